//! Tables side by side, and a restore that goes on after a kill.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, Step as _};
use serde_json::json;

use super::super::{Params, Restore, loaded};
use super::bench::{Bench, ask, bench, key, tell};
use super::{assert_equal, shop};
use crate::connection::Login;
use crate::testing::{on_both, server_of};

/// Tables whose indexes, engines and rows each need something else of a restore. `large` and `child` have several
/// members of rows each.
const ZOO: &[&str] = &[
    "CREATE DATABASE zoo",
    "CREATE TABLE zoo.parent (id INT PRIMARY KEY, code INT NOT NULL, x INT, pad VARCHAR(250), KEY before_it (x), \
     UNIQUE KEY code (code), KEY after_it (code, x))",
    "INSERT INTO zoo.parent SELECT seq, seq + 7, seq % 10, REPEAT(SHA2(seq, 256), 3) FROM zoo.seq_1_to_40000",
    "CREATE TABLE zoo.child (id INT PRIMARY KEY AUTO_INCREMENT, code INT, x INT, pad VARCHAR(250), KEY a (x), \
     KEY of_parent (code), KEY z (x, code), FULLTEXT KEY words (pad), \
     CONSTRAINT of_parent FOREIGN KEY (code) REFERENCES zoo.parent (code))",
    "INSERT INTO zoo.child SELECT seq, seq + 7, seq % 10, REPEAT(SHA2(seq, 256), 3) FROM zoo.seq_1_to_40000",
    "CREATE TABLE zoo.large (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6), pad VARCHAR(250), b VARBINARY(40), \
     UNIQUE KEY at (at, id), KEY pad (pad(20)), KEY b (b)) AUTO_INCREMENT = 1000001",
    "INSERT INTO zoo.large SELECT seq, '2020-01-01' + INTERVAL seq SECOND, REPEAT(SHA2(seq, 256), 3), UNHEX(SHA2(seq, 256)) \
     FROM zoo.seq_1_to_60000",
    "CREATE TRIGGER zoo.of_large BEFORE INSERT ON zoo.large FOR EACH ROW BEGIN SET NEW.b = ';'; END",
    "CREATE TABLE zoo.mine (id INT PRIMARY KEY, a INT, KEY a (a)) ENGINE=MyISAM",
    "INSERT INTO zoo.mine SELECT seq, seq FROM zoo.seq_1_to_1000",
    "CREATE TABLE zoo.parts (id INT, a INT, PRIMARY KEY (id), KEY a (a)) PARTITION BY HASH (id) PARTITIONS 3",
    "INSERT INTO zoo.parts SELECT seq, seq FROM zoo.seq_1_to_1000",
    "CREATE TABLE zoo.made (id INT PRIMARY KEY, v INT AS (id * 2) VIRTUAL, s INT AS (id * 3) STORED, h INT INVISIBLE, KEY v (v))",
    "INSERT INTO zoo.made (id) VALUES (1), (2)",
    "CREATE TABLE zoo.versions (id INT PRIMARY KEY, a INT, KEY a (a)) WITH SYSTEM VERSIONING",
    "INSERT INTO zoo.versions VALUES (1, 1), (2, 2)",
    "CREATE TABLE zoo.keyless (a INT, UNIQUE KEY a (a))",
    "INSERT INTO zoo.keyless VALUES (3), (1), (NULL), (2)",
    "CREATE SEQUENCE zoo.numbers START WITH 5",
    "CREATE TABLE zoo.numbered (id INT PRIMARY KEY DEFAULT NEXT VALUE FOR zoo.numbers)",
    "CREATE VIEW zoo.z AS SELECT id FROM zoo.large",
    "CREATE VIEW zoo.a AS SELECT id FROM zoo.z",
    "CREATE TABLE zoo.`we``ird.na me` (id INT PRIMARY KEY)",
];

/// What of [`ZOO`] a flavour has: MySQL has neither versioned tables nor sequences, nor the engine that counts.
fn zoo_of(flavour: Flavour) -> Vec<String> {
    if flavour == Flavour::Mariadb {
        return ZOO.iter().map(ToString::to_string).collect();
    }
    let is_known =
        |statement: &&&str| !["zoo.versions", "zoo.number"].iter().any(|name| statement.contains(name));
    let counted = ZOO.iter().filter(is_known).map(|statement| match statement.split_once("zoo.seq_1_to_") {
        Some((before, count)) => format!(
            "{before}(WITH RECURSIVE s (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < {count}) \
             SELECT seq FROM s) AS numbers"
        ),
        None => (*statement).to_owned(),
    });
    std::iter::once("SET SESSION cte_max_recursion_depth = 100000".to_owned()).chain(counted).collect()
}

const DEFINITIONS: [&str; 11] = [
    "parent",
    "child",
    "large",
    "mine",
    "parts",
    "made",
    "versions",
    "keyless",
    "numbered",
    "numbers",
    "`we``ird.na me`",
];

async fn definition(login: &Login, table: &str) -> String {
    let mut open = login.connect().await.unwrap();
    let query = format!("SHOW CREATE TABLE zoo.{table}");
    let (_, create): (String, String) = open.session.row("ask for a test", &query).await.unwrap();
    create
}

/// Begins to keep every statement in `mysql.general_log`.
pub(super) async fn listen(login: &Login) {
    let log = [
        "SET GLOBAL general_log = 0",
        "TRUNCATE mysql.general_log",
        "SET GLOBAL log_output = 'TABLE'",
        "SET GLOBAL general_log = 1",
    ];
    tell(login, &log).await;
}

pub(super) async fn heard(login: &Login, select: &str, like: &str) -> String {
    let query = format!(
        "SELECT CAST({select} AS CHAR) FROM mysql.general_log WHERE command_type = 'Query' AND argument LIKE '{like}'"
    );
    ask(login, &query).await
}

on_both!(tables_of_every_sort_come_back_equal_over_several_sessions);
async fn tables_of_every_sort_come_back_equal_over_several_sessions(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let zoo = zoo_of(flavour);
    tell(source.login(), &zoo.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    listen(fresh.login()).await;

    let outputs = Restore.run(&Bench::params(json!({ "parallelism": 3 })), &bench.cx().cx).await.unwrap();

    assert_equal(&bench).await;
    let mariadb = flavour == Flavour::Mariadb;
    let only_there = ["versions", "numbered", "numbers"];
    for table in DEFINITIONS.iter().filter(|table| mariadb || !only_there.contains(table)) {
        assert_eq!(definition(fresh.login(), table).await, definition(source.login(), table).await);
    }
    assert_eq!(
        outputs.rows,
        7 + 40_000 + 40_000 + 60_000 + 1_000 + 1_000 + 2 + 4 + if mariadb { 2 } else { 0 }
    );
    let fresh = fresh.login();
    let sessions = heard(fresh, "COUNT(DISTINCT thread_id)", "INSERT INTO%").await;
    assert!(sessions.parse::<u32>().unwrap() > 1, "{sessions}");
    // Made from sorted rows; what a foreign key needs stayed, and all before it.
    let added =
        heard(fresh, "GROUP_CONCAT(argument ORDER BY argument SEPARATOR '; ')", "ALTER TABLE%ADD%").await;
    insta::assert_snapshot!(added, @"ALTER TABLE `zoo`.`child` ADD KEY `z` (`x`,`code`); ALTER TABLE `zoo`.`large` ADD UNIQUE KEY `at` (`at`,`id`), ADD KEY `pad` (`pad`(20)), ADD KEY `b` (`b`)");
    assert_eq!(heard(fresh, "COUNT(*)", "LOCK TABLES%").await, "0");
    let next =
        "SELECT CAST(AUTO_INCREMENT AS CHAR) FROM information_schema.TABLES WHERE TABLE_NAME = 'large'";
    assert_eq!(ask(fresh, next).await, "1000001");
}

on_both!(one_session_in_the_order_of_the_dump_gives_the_same);
async fn one_session_in_the_order_of_the_dump_gives_the_same(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    listen(fresh.login()).await;
    Restore.run(&Bench::params(json!({ "parallelism": 1 })), &bench.cx().cx).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(heard(fresh.login(), "COUNT(DISTINCT thread_id)", "INSERT INTO%").await, "1");
}

/// How many tables [`many`] makes.
const MANY: usize = 250;

/// Tables of 100 rows each, so many that a restore can be killed between two of them.
pub(super) fn many() -> Vec<String> {
    let rows: Vec<String> = (1..=100).map(|row| format!("({row}, 7)")).collect();
    let rows = rows.join(", ");
    let mut statements = vec!["CREATE DATABASE many".to_owned()];
    for number in 0..MANY {
        statements.push(format!("CREATE TABLE many.t{number:03} (id INT PRIMARY KEY, n INT)"));
        statements.push(format!("INSERT INTO many.t{number:03} VALUES {rows}"));
    }
    statements
}

/// Kills a restore when some tables of [`many`] are loaded. Gives those, and listens from then on.
pub(super) async fn kill_half_way(bench: &Bench, fresh: &Login, params: Params) -> Vec<String> {
    let test = bench.cx();
    let running = tokio::spawn(async move { Restore.run(&params, &test.cx).await });
    let there = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'rekindle_restore' AND TABLE_NAME = 'loaded'";
    let count = "SELECT CAST(COUNT(*) AS CHAR) FROM rekindle_restore.loaded WHERE database_name = 'many'";
    while ask(fresh, there).await == "0" || ask(fresh, count).await.parse::<u32>().unwrap() < 20 {
        assert!(!running.is_finished(), "it was too fast to be stopped half way");
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // What the server was told before it heard of the end is still done.
    let sessions = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST WHERE USER = 'root'";
    while ask(fresh, sessions).await != "1" {
        tokio::task::yield_now().await;
    }
    // A table whose rows are there and whose record is not counts as half loaded.
    let mut open = fresh.connect().await.unwrap();
    let kept = loaded::read(&mut open).await.unwrap();
    let of_many = kept.into_iter().filter(|(database, _)| database == "many");
    let kept: Vec<String> = of_many.map(|(_, table)| table).collect();
    assert!((20..MANY).contains(&kept.len()), "{}", kept.len());
    listen(fresh).await;
    kept
}

/// Asserts that of the tables of [`many`] all were loaded but these.
pub(super) async fn assert_left_alone(fresh: &Login, kept: &[String]) {
    for table in kept {
        assert_eq!(heard(fresh, "COUNT(*)", &format!("INSERT INTO `{table}`%")).await, "0", "{table}");
        assert_eq!(heard(fresh, "COUNT(*)", &format!("CREATE TABLE `{table}`%")).await, "0", "{table}");
        assert_eq!(heard(fresh, "COUNT(*)", &format!("DROP TABLE%`{table}`%")).await, "0", "{table}");
    }
    let again = heard(fresh, "COUNT(*)", "INSERT INTO `t___`%").await.parse::<usize>().unwrap();
    assert_eq!(again, MANY - kept.len());
}

on_both!(after_a_kill_tables_that_were_complete_are_not_loaded_again);
async fn after_a_kill_tables_that_were_complete_are_not_loaded_again(flavour: Flavour) {
    let (source, fresh) = tokio::join!(server_of(flavour, "source"), server_of(flavour, "fresh"));
    tell(source.login(), &many().iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    let fresh = fresh.login();
    let params = || Bench::params(json!({ "parallelism": 2 }));
    let kept = kill_half_way(&bench, fresh, params()).await;

    let outputs = Restore.run(&params(), &bench.cx().cx).await.unwrap();

    assert_eq!((outputs.tables, outputs.rows), (250, 25_000));
    assert_left_alone(fresh, &kept).await;
    assert_equal(&bench).await;

    // A restore that is complete is not gone on with.
    listen(fresh).await;
    let replace = Bench::params(json!({ "overwrite": true }));
    Restore.run(&replace, &bench.cx().cx).await.unwrap();
    assert_eq!(heard(fresh, "COUNT(*)", "INSERT INTO `t%").await, "250");
}

on_both!(a_damaged_member_is_named_and_nothing_of_it_is_sent);
async fn a_damaged_member_is_named_and_nothing_of_it_is_sent(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    listen(fresh.login()).await;
    let index: rekindle_backup::manifest::DumpIndex =
        serde_json::from_slice(&bench.store.object(&key("b1", "full.index.json")).unwrap()).unwrap();
    let is_it = |member: &&rekindle_backup::manifest::Member| {
        member.table.as_deref() == Some("customers") && member.rows > 0
    };
    let member = index.members.iter().find(is_it).unwrap();
    // The time in its header: no decompressor looks at it.
    assert!(bench.store.flip_byte(&key("b1", "full.sql.gz"), usize::try_from(member.offset).unwrap() + 5));

    let error = Restore.run(&Bench::params(json!({})), &bench.cx().cx).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.starts_with("`full.sql.gz` is damaged: gzip member "), "{error}");
    assert!(error.message.contains(", of table shop.customers): its sha256 is "), "{error}");
    assert_eq!(heard(fresh.login(), "COUNT(*)", "INSERT INTO `customers`%").await, "0");
}

on_both!(rows_that_break_a_foreign_key_come_back_and_are_told);
async fn rows_that_break_a_foreign_key_come_back_and_are_told(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let broken = ["SET foreign_key_checks = 0", "INSERT INTO shop.b VALUES (2, 77), (3, NULL)"];
    tell(source.login(), &broken).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    let test = bench.cx();
    Restore.run(&Bench::params(json!({})), &test.cx).await.unwrap();
    assert_equal(&bench).await;
    let warnings = test.reporter.warnings();
    insta::assert_snapshot!(warnings.join("\n"), @"rows of shop.b have no row in shop.a, which the foreign key b_ibfk_1 asks for: they were like this in the backup");
}
