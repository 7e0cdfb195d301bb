//! Dumps of real servers, and of clients that misbehave.

use std::io::Read as _;
use std::sync::Arc;

use rekindle_backup::dump::check_content;
use rekindle_backup::manifest::{DumpIndex, Flavour};
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode};
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{Answer, FakeWorld, TestContext, context};
use serde_json::json;

use super::*;
use crate::connection::Login;
use crate::sandbox::testing::{CANARY_PASSWORD, TempServer};
use crate::testing::{known_to, on_both, planned, position_query, processes, server_of, world_of};

mod checksums;
mod clients;
mod floats;
mod privileges;
mod tables;
mod unchanged;

const SEED: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE DATABASE `we``ird.db;` CHARACTER SET latin1",
    "CREATE DATABASE `empty`",
    "USE shop",
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT CHARACTER SET utf8mb4, b BLOB, g INT AS (CHAR_LENGTH(t)) VIRTUAL, d DATE) ENGINE=InnoDB",
    "INSERT INTO a (t, b) VALUES ('x),(''y\\\\', 0x0001FF00), ('emoji 😀', NULL), ('-- Table structure for table `zz`\\n\\\\! id', '')",
    "CREATE TABLE c (id INT PRIMARY KEY, a_id INT, FOREIGN KEY (a_id) REFERENCES a (id))",
    "INSERT INTO c VALUES (1, 1), (2, 2)",
    "CREATE TABLE nothing (id INT)",
    "CREATE TABLE old (id INT) ENGINE=MyISAM",
    "INSERT INTO old VALUES (7)",
    "CREATE SEQUENCE s START WITH 5",
    "CREATE VIEW v2 AS SELECT id FROM a",
    "CREATE VIEW v1 AS SELECT * FROM v2",
    "CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.t = CONCAT(NEW.t, ';'); /* it's */ END",
    "CREATE PROCEDURE p(x INT) COMMENT 'a;b' BEGIN SELECT 'x;y';\n-- Table structure for table `fooled`\nEND",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN SET @y = 'a;b'; END",
    "CREATE TABLE `we``ird.db;`.`t.a``b` (`c;` INT)",
    "INSERT INTO `we``ird.db;`.`t.a``b` VALUES (1)",
    "CREATE ROLE readers",
    "GRANT SELECT ON shop.* TO readers",
    "CREATE USER 'o''neil'@'10.%' IDENTIFIED BY 'it''s;'",
    "GRANT SELECT (id) ON shop.a TO 'o''neil'@'10.%'",
    "GRANT readers TO 'o''neil'@'10.%'",
];

pub(crate) async fn seed(server: &TempServer) {
    let mut session = server.login().connect().await.unwrap().session;
    for statement in known_to(server.flavour(), SEED) {
        session.run("be seeded", statement).await.unwrap();
    }
    session.close().await;
}

struct Bench {
    world: FakeWorld,
    test: TestContext,
    store: Arc<dyn ObjectStore>,
}

async fn bench(server: Option<&TempServer>) -> Bench {
    bench_as(server.map(TempServer::login)).await
}

async fn bench_as(login: Option<&Login>) -> Bench {
    let (world, mut settings) = match login {
        Some(login) => world_of(&[("primary", login)]),
        None => {
            (rekindle_engine::testing::world(), Settings { name: "shop".to_owned(), ..Settings::default() })
        }
    };
    let config = StoreConfig::at("file:backups");
    settings.stores.insert("primary".into(), config.clone());
    let store = world.world.stores.open(&config, None).await.unwrap();
    let test = context(&world).step("full").settings(settings).build();
    Bench { world, test, store }
}

#[allow(clippy::needless_pass_by_value)]
fn params(more: serde_json::Value) -> DumpParams {
    let mut params = json!({ "target": "primary", "store": "primary", "name": "full", "id": "b1" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(params).unwrap()
}

async fn names(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    store.list("").await.unwrap().into_iter().map(|info| info.key.to_string()).collect()
}

async fn bytes(store: &Arc<dyn ObjectStore>, key: &str) -> Vec<u8> {
    store.get(&Key::new(key).unwrap(), None).await.unwrap().collect(1 << 26).await.unwrap()
}

fn text(object: &[u8]) -> String {
    let mut text = Vec::new();
    rekindle_backup::dump::GzipText::new(object).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

on_both!(a_whole_server_becomes_an_indexed_object);
async fn a_whole_server_becomes_an_indexed_object(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    let cx = &bench.test.cx;

    assert_eq!(Dump.probe(&params(json!({})), cx).await.unwrap(), Probe::Absent);
    let outputs = Dump.run(&params(json!({})), cx).await.unwrap();

    assert_eq!(names(&bench.store).await, ["backups/shop/b1/full.index.json", "backups/shop/b1/full.sql.gz"]);
    let object = bytes(&bench.store, &outputs.object).await;
    let index: DumpIndex = serde_json::from_slice(&bytes(&bench.store, &outputs.index).await).unwrap();
    let report = check_content(&object[..], Some(&index)).unwrap();
    assert_eq!(report.sha256, outputs.sha256);
    assert_eq!(report.size_bytes, outputs.size_bytes);
    let shop = &index.inventory.databases["shop"];
    let rows = |table: &str| shop.tables[table].rows;
    assert_eq!((rows("a"), rows("c"), rows("nothing"), rows("old")), (Some(3), Some(2), Some(0), Some(1)));
    assert_eq!(shop.tables.len(), 4);
    assert_eq!(shop.views.len(), 2);
    assert_eq!(shop.triggers["tr"].timing, "BEFORE");
    assert_eq!(shop.routines.iter().map(String::as_str).collect::<Vec<_>>(), ["FUNCTION f", "PROCEDURE p"]);
    assert!(shop.events.contains("e"));
    assert_eq!(shop.sequences.contains("s"), flavour == Flavour::Mariadb);
    assert_eq!(index.inventory.databases["we`ird.db;"].tables["t.a`b"].rows, Some(1));
    assert!(index.inventory.databases.contains_key("empty"));
    assert_eq!((outputs.tables, outputs.rows), (5, 7));
    let mut open = server.login().connect().await.unwrap();
    let position: String = open.session.row("ask", position_query(flavour)).await.unwrap();
    assert_eq!(outputs.gtid, position);
    assert!(index.consistent_point.binlog_position.is_some());
    let sql = text(&object);
    let (role, user) = match flavour {
        Flavour::Mariadb => ("ROLE IF NOT EXISTS `readers`;", "IDENTIFIED BY PASSWORD '*"),
        // A role is an account that can't be entered.
        Flavour::Mysql => (
            "USER IF NOT EXISTS `readers`@`%` IDENTIFIED WITH 'caching_sha2_password'",
            "IDENTIFIED WITH 'caching_sha2_password' AS 0x",
        ),
    };
    assert!(sql.contains(&format!("CREATE {role}")), "{sql}");
    assert!(sql.contains(&format!("CREATE USER IF NOT EXISTS `o'neil`@`10.%` {user}")), "{sql}");
    assert!(sql.contains("GRANT SELECT (`id`) ON `shop`.`a` TO `o'neil`@`10.%`;"));
    assert!(bench.test.reporter.warnings().iter().any(|warning| warning.contains("shop.old (MyISAM)")));
    // Nothing that is kept or shown has the password.
    let said = format!("{sql}{index:?}{:?}{:?}", bench.test.reporter.logs(), bench.test.reporter.warnings());
    assert!(!said.contains(CANARY_PASSWORD));

    assert_eq!(Dump.probe(&params(json!({})), cx).await.unwrap(), Probe::Complete(outputs));
}

on_both!(chosen_databases_and_the_schema_alone_are_dumps_too);
async fn chosen_databases_and_the_schema_alone_are_dumps_too(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    let cx = &bench.test.cx;

    let some = params(json!({ "name": "some", "scope": "databases", "databases": ["shop"] }));
    let outputs = Dump.run(&some, cx).await.unwrap();
    assert_eq!((outputs.tables, outputs.rows), (4, 6));
    assert!(!text(&bytes(&bench.store, &outputs.object).await).contains("CREATE USER"));

    let schema = Dump.run(&params(json!({ "name": "schema", "scope": "schema-only" })), cx).await.unwrap();
    assert_eq!((schema.tables, schema.rows), (5, 0));
    assert!(!text(&bytes(&bench.store, &schema.object).await).contains("INSERT INTO"));

    let absent = params(json!({ "scope": "databases", "databases": ["shop", "typo"] }));
    let error = Dump.run(&absent, cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` has no database `typo`");
    insta::assert_snapshot!(error.help.unwrap(), @"it has empty, shop, we`ird.db;");
}

on_both!(a_server_killed_half_way_leaves_nothing_and_may_be_tried_again);
async fn a_server_killed_half_way_leaves_nothing_and_may_be_tried_again(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    for statement in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.big (id INT PRIMARY KEY AUTO_INCREMENT, t LONGTEXT)",
        "USE shop",
        "INSERT INTO big (t) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100) \
         SELECT REPEAT(RAND(), 50000) FROM s",
    ] {
        session.run("be seeded", statement).await.unwrap();
    }
    session.close().await;
    let bench = bench(Some(&server)).await;
    let reporter = Arc::clone(&bench.test.reporter);
    let store = Arc::clone(&bench.store);
    let test = bench.test;
    let running =
        tokio::spawn(async move { Dump.run(&params(json!({ "compression_level": 9 })), &test.cx).await });
    while reporter.logs().is_empty() && !running.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    server.kill().await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert!(error.message.contains("dump failed with exit code"), "{error}");
    assert!(names(&store).await.is_empty());
}

on_both!(a_full_store_ends_the_dump_and_leaves_nothing);
async fn a_full_store_ends_the_dump_and_leaves_nothing(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    bench.world.stores.store("file:backups").limit_bytes(Some(600));
    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert!(error.message.contains("full.sql.gz"), "{error}");
    assert!(error.help.unwrap().contains("free space"));
    assert!(names(&bench.store).await.is_empty());
}

on_both!(a_published_backup_and_an_empty_server_are_left_alone);
async fn a_published_backup_and_an_empty_server_are_left_alone(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let bench = bench(Some(&server)).await;
    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` has no databases to dump");
    let manifest = Key::new("backups/shop/b1/manifest.json").unwrap();
    bench.store.put(&manifest, Body::from_bytes("{}"), PutMode::IfAbsent).await.unwrap();
    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"backup://primary/shop/b1 is published already: nothing is added to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_hangs_the_client_is_refused_by_name() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    let mut session = server.login().connect().await.unwrap().session;
    for statement in
        ["CREATE DATABASE shop", "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO BEGIN SET @y = 'a;;b'; END"]
    {
        session.run("be seeded", statement).await.unwrap();
    }
    let bench = bench(Some(&server)).await;
    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"the event shop.e has `;;` in its body, on which mariadb-dump never ends");
}

on_both!(preflight_shows_the_command_and_touches_nothing);
async fn preflight_shows_the_command_and_touches_nothing(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    let settings = bench.test.cx.settings().clone();
    let look = |params: serde_json::Value, provided: &'static [&'static str]| {
        let cx = context(&bench.world).settings(settings.clone()).preflight(provided.iter().copied());
        async move { Dump.preflight(&planned(&params), &cx).await }
    };
    let whole = json!({ "target": "primary", "store": "primary", "name": "full" });
    let found = look(whole.clone(), &[]).await;
    assert_eq!(found.problems, []);
    let (program, position) = match flavour {
        Flavour::Mariadb => ("mariadb-dump", "--master-data=2 --gtid"),
        Flavour::Mysql => ("mysqldump", "--source-data=2 --set-gtid-purged=COMMENTED"),
    };
    let shown = found.commands.join("\n").replace(program, "CLIENT").replace(position, "POSITION");
    insta::assert_snapshot!(shown, @"CLIENT --defaults-file=LOGIN --single-transaction --routines --events --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G POSITION --databases empty shop 'we`ird.db;'");
    assert!(names(&bench.store).await.is_empty());
    assert_eq!(look(whole, &["primary"]).await.commands, Vec::<String>::new());
    let wrong = look(json!({ "target": "primary", "store": "nowhere", "name": "full" }), &[]).await;
    insta::assert_snapshot!(wrong.problems[0].message, @"the environment has no store `nowhere`");
}

#[tokio::test]
async fn without_the_client_the_package_is_named() {
    let world = rekindle_engine::testing::world();
    let cancel = tokio_util::sync::CancellationToken::new();
    let found =
        client::Client::find(&world.world.processes, rekindle_backup::manifest::Flavour::Mariadb, &cancel);
    let problem = found.await.unwrap_err().problem();
    insta::assert_snapshot!(problem.message, @"there is no program `mariadb-dump` on PATH, and MariaDB is dumped with it");
    insta::assert_snapshot!(problem.help.unwrap(), @"install the client programs: package `mariadb-client` on Debian and Ubuntu");
}

#[test]
fn parameters_are_checked() {
    let wrong = |more| params(more).check().unwrap_err().to_string();
    insta::assert_snapshot!(wrong(json!({ "name": "../x" })), @"`../x` can't be the name of a dump");
    insta::assert_snapshot!(wrong(json!({ "scope": "databases" })), @"`databases` names the databases of `scope: databases`, and of no other scope");
    insta::assert_snapshot!(wrong(json!({ "databases": ["a"] })), @"`databases` names the databases of `scope: databases`, and of no other scope");
    insta::assert_snapshot!(wrong(json!({ "scope": "tables" })), @"`tables` names the tables of `scope: tables`, and of no other scope");
    insta::assert_snapshot!(wrong(json!({ "scope": "tables", "tables": ["a.b"], "databases": ["a"] })), @"`databases` and `tables` are both given, and a dump is of one of them");
    insta::assert_snapshot!(wrong(json!({ "compression_level": 10 })), @"`compression_level` is from 0 to 9");
    assert!(params(json!({ "name": "full-2" })).check().is_ok());
}
