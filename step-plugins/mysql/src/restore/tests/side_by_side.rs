//! Sessions of one restore that get in each other's way.

use futures_util::future::join_all;
use rekindle_backup::sql::Kind;

use super::super::send::{Outgoing, StatementSender};
use super::*;

async fn send(sender: &mut StatementSender<'_>, cx: &TestContext, sql: &str) -> Result<(), StepError> {
    let kind = Kind::Other("DROP".to_owned());
    let statement = Outgoing { sql: sql.as_bytes(), kind: &kind, offset: 0, line: None };
    sender.send(&cx.cx, statement).await
}

on_both!(parents_and_children_are_dropped_side_by_side);
async fn parents_and_children_are_dropped_side_by_side(flavour: Flavour) {
    const TABLES: [&str; 4] = ["alone", "parent", "child", "grandchild"];
    let server = server_of(flavour, "primary").await;
    let bench = Bench::of(&[&server]).await;
    let mut sessions = join_all(TABLES.map(|_| async { server.login().connect().await.unwrap() })).await;
    for session in &mut sessions {
        session.session.run("prepare", "SET SESSION foreign_key_checks = 0").await.unwrap();
    }
    let mut senders = Vec::new();
    for session in &mut sessions {
        senders.push(StatementSender::new(session).await.unwrap().committing_each());
    }
    let mut filler = server.login().connect().await.unwrap();
    filler.session.run("prepare", "CREATE DATABASE shop").await.unwrap();
    for round in 0..5 {
        for (table, parent) in TABLES.iter().zip([None, None, Some("parent"), Some("child")]) {
            let key = parent.map_or(String::new(), |parent| {
                format!(", FOREIGN KEY (id) REFERENCES shop.{parent} (id) ON DELETE CASCADE")
            });
            let rows: Vec<String> = (1..2000).map(|id| format!("({id}, 'what is in a row')")).collect();
            let create =
                format!("CREATE TABLE shop.{table} (id INT PRIMARY KEY, note TEXT{key}) ENGINE=InnoDB");
            filler.session.run("create", &create).await.unwrap();
            let insert = format!("INSERT INTO shop.{table} VALUES {}", rows.join(", "));
            filler.session.run("fill", &insert).await.unwrap();
        }
        let test = bench.test();
        let dropped = senders.iter_mut().zip(TABLES).map(|(sender, table)| {
            let test = &test;
            async move { send(sender, test, &format!("DROP TABLE shop.{table}")).await }
        });
        for (table, dropped) in TABLES.iter().zip(join_all(dropped).await) {
            assert_eq!(dropped, Ok(()), "{table} in round {round}");
        }
    }
}

on_both!(a_statement_waits_for_the_last_one_of_a_killed_runner);
async fn a_statement_waits_for_the_last_one_of_a_killed_runner(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let bench = Bench::of(&[&server]).await;
    let (mut left, mut patient, mut other) = (
        server.login().connect().await.unwrap(),
        server.login().connect().await.unwrap(),
        server.login().connect().await.unwrap(),
    );
    for statement in ["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)", "BEGIN"] {
        left.session.run("prepare", statement).await.unwrap();
    }
    left.session.run("hold the table", "INSERT INTO shop.t VALUES (1)").await.unwrap();
    for session in [&mut patient, &mut other] {
        session.session.run("not wait", "SET SESSION lock_wait_timeout = 1").await.unwrap();
    }
    let mut waiting = StatementSender::new(&mut patient).await.unwrap().committing_each();
    let mut refused = StatementSender::new(&mut other).await.unwrap();

    let test = bench.test();
    let drop = "DROP TABLE shop.t";
    let (waited, error) = tokio::join!(send(&mut waiting, &test, drop), async {
        let error = send(&mut refused, &test, drop).await.unwrap_err();
        left.session.run("end", "COMMIT").await.unwrap();
        error
    });
    assert_eq!(waited, Ok(()));
    assert!(error.message.contains("error 1205"), "{}", error.message);
}
