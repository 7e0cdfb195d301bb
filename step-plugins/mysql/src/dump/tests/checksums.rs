//! Checksums at the consistent point.

use std::sync::atomic::{AtomicBool, Ordering};

use rekindle_backup::inventory::Inventory;

use super::*;
use crate::checksum::add_checksums;
use crate::connection::Session;
use crate::testing::load_by_hand;

const PAIR: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.a (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
    "CREATE TABLE shop.b (id INT PRIMARY KEY, n INT, d INT AS (n * 2) STORED) ENGINE=InnoDB",
    "CREATE TABLE shop.old (id INT) ENGINE=MyISAM",
    "INSERT INTO shop.a VALUES (1, 0), (2, 7)",
    "INSERT INTO shop.b (id, n) VALUES (1, 0), (2, 7)",
];

pub(super) async fn open(server: &TempServer, statements: &[&str]) -> Session {
    let mut session = server.login().connect().await.unwrap().session;
    for statement in statements {
        session.run("be filled", statement).await.unwrap();
    }
    session
}

on_both!(checksums_are_of_the_moment_of_the_dump_while_others_write);
async fn checksums_are_of_the_moment_of_the_dump_while_others_write(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut writer = open(&server, PAIR).await;
    let writing = Arc::new(AtomicBool::new(true));
    let going_on = Arc::clone(&writing);
    let written = tokio::spawn(async move {
        let mut commits = 0;
        while going_on.load(Ordering::Relaxed) {
            for statement in
                ["BEGIN", "UPDATE shop.a SET n = n + 1 WHERE id = 1", "UPDATE shop.b SET n = n + 1", "COMMIT"]
            {
                writer.run("write", statement).await.unwrap();
            }
            commits += 1;
        }
        commits
    });
    let bench = bench(Some(&server)).await;

    let outputs = Dump.run(&params(json!({ "checksums": true })), &bench.test.cx).await.unwrap();
    writing.store(false, Ordering::Relaxed);

    assert!(written.await.unwrap() > 0);
    assert_eq!(outputs.checksums, 2, "a table without transactions has none");
    let index: DumpIndex = serde_json::from_slice(&bytes(&bench.store, &outputs.index).await).unwrap();
    let restored = server_of(flavour, "restored").await;
    load_by_hand(&restored, &bytes(&bench.store, &outputs.object).await);
    let mut session = open(&restored, &[]).await;
    let mut found = crate::inventory::read(&mut session).await.unwrap();
    add_checksums(&mut session, &mut found, |_, _| {}).await.unwrap();
    assert_eq!(index.inventory.compare(&found), []);
    session.run("change", "UPDATE shop.a SET n = -1 WHERE id = 1").await.unwrap();
    add_checksums(&mut session, &mut found, |_, _| {}).await.unwrap();
    let differences = index.inventory.compare(&found);
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].to_string().starts_with("the checksum of table shop.a: expected "));
}

/// Starts a server on which an account without RELOAD can dump: MySQL's client needs that for a position, so there is
/// none. Gives the account.
pub(super) async fn without_lock(flavour: Flavour, statements: &[&str]) -> (TempServer, Login) {
    let options: &[&str] = match flavour {
        Flavour::Mariadb => &[],
        Flavour::Mysql => &["--skip-log-bin"],
    };
    let server = TempServer::start_of(flavour, "primary", &processes(), options).await.unwrap();
    let create =
        format!("CREATE USER 'calm'@'%' IDENTIFIED BY {}", crate::connection::quote_string(CANARY_PASSWORD));
    let grant = "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER, SHOW DATABASES ON *.* TO 'calm'@'%'";
    open(&server, statements).await.close().await;
    open(&server, &[create.as_str(), grant]).await.close().await;
    let login = Login { user: "calm".to_owned(), ..server.login().clone() };
    (server, login)
}

/// Gives warnings in the words of MariaDB: MySQL knows another privilege that would do.
pub(super) fn in_words_of_mariadb(warnings: &str) -> String {
    warnings.replace("the RELOAD or FLUSH_TABLES privilege(s)", "the RELOAD privilege(s)")
}

on_both!(without_the_lock_a_dump_is_made_without_checksums_and_says_so);
async fn without_the_lock_a_dump_is_made_without_checksums_and_says_so(flavour: Flavour) {
    let (_server, login) = without_lock(flavour, PAIR).await;
    let bench = bench_as(Some(&login)).await;

    let outputs = Dump.run(&params(json!({ "checksums": true })), &bench.test.cx).await.unwrap();

    assert_eq!(outputs.checksums, 0);
    let warnings = bench.test.reporter.warnings();
    insta::assert_snapshot!(in_words_of_mariadb(warnings.last().unwrap()), @"the backup gets no checksums of its tables, a restore drill will compare rows only: `primary` refused to stop commits for a moment: error 1227 (42000): Access denied; you need (at least one of) the RELOAD privilege(s) for this operation");
}

on_both!(a_dump_that_fails_leaves_no_lock);
async fn a_dump_that_fails_leaves_no_lock(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = open(&server, PAIR).await;

    let failing = Answer::failure(2, "no");
    let (_bench, result) = clients::with_client_as(&server, failing, json!({ "checksums": true })).await;
    result.unwrap_err();

    session.run("not wait", "SET SESSION lock_wait_timeout = 20").await.unwrap();
    session.run("write", "UPDATE shop.a SET n = 8 WHERE id = 2").await.unwrap();
}

#[test]
fn a_dump_without_rows_can_have_no_checksums() {
    let error = params(json!({ "scope": "schema-only", "checksums": true })).check().unwrap_err();
    insta::assert_snapshot!(error, @"a dump without rows has no `checksums`");
}

#[test]
fn inventories_without_checksums_read_as_before() {
    let old: Inventory = serde_json::from_str(r#"{"databases":{"a":{"tables":{"t":{"rows":1}}}}}"#).unwrap();
    assert_eq!(old.checksum_count(), 0);
    assert_eq!(serde_json::to_value(&old).unwrap()["databases"]["a"]["tables"]["t"], json!({ "rows": 1 }));
}
