//! Dumps of real servers, and of clients that misbehave.

use std::io::Read as _;
use std::sync::Arc;

use rekindle_backup::dump::check_content;
use rekindle_backup::manifest::DumpIndex;
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode};
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{Answer, FakeWorld, TestContext, context};
use serde_json::json;

use super::*;
use crate::connection::Login;
use crate::sandbox::testing::{CANARY_PASSWORD, TempServer};
use crate::testing::{planned, processes, world_of};

mod checksums;
mod privileges;

const SEED: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE DATABASE `we``ird.db;` CHARACTER SET latin1",
    "CREATE DATABASE empty",
    "USE shop",
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT CHARACTER SET utf8mb4, b BLOB, g INT AS (id * 2) VIRTUAL, d DATE) ENGINE=InnoDB",
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
    for statement in SEED {
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

/// The accounts' hashes decide on some counts: numbers are hidden.
fn masked(error: &StepError) -> String {
    let words = error.message.split(' ').map(|word| {
        let number = word.trim_matches(|c: char| !c.is_ascii_digit());
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if is_number { word.replace(number, "N") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A world in which the client is scripted; the server is real, because it is asked first.
async fn with_client(server: &TempServer, answer: Answer) -> (Bench, Result<DumpOutputs, StepError>) {
    let mut bench = bench(Some(server)).await;
    bench.world.processes.respond("mariadb-dump", move |spec| {
        let version = "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)";
        if spec.args.iter().any(|arg| arg == "--version") { Answer::success(version) } else { answer.clone() }
    });
    bench.world.world.processes = Arc::new(bench.world.processes.clone());
    let settings = bench.test.cx.settings().clone();
    bench.test = context(&bench.world).step("full").settings(settings).build();
    let result = Dump.run(&params(json!({})), &bench.test.cx).await;
    (bench, result)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_server_becomes_an_indexed_object() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
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
    assert!(shop.events.contains("e") && shop.sequences.contains("s"));
    assert_eq!(index.inventory.databases["we`ird.db;"].tables["t.a`b"].rows, Some(1));
    assert!(index.inventory.databases.contains_key("empty"));
    assert_eq!((outputs.tables, outputs.rows), (5, 7));
    assert!(outputs.gtid.starts_with("0-"), "{}", outputs.gtid);
    assert!(index.consistent_point.binlog_position.is_some());
    let sql = text(&object);
    assert!(sql.contains("CREATE ROLE IF NOT EXISTS `readers`;"));
    assert!(sql.contains("CREATE USER IF NOT EXISTS `o'neil`@`10.%` IDENTIFIED BY PASSWORD '*"), "{sql}");
    assert!(sql.contains("GRANT SELECT (`id`) ON `shop`.`a` TO `o'neil`@`10.%`;"));
    assert!(bench.test.reporter.warnings().iter().any(|warning| warning.contains("shop.old (MyISAM)")));
    // Nothing that is kept or shown has the password.
    let said = format!("{sql}{index:?}{:?}{:?}", bench.test.reporter.logs(), bench.test.reporter.warnings());
    assert!(!said.contains(CANARY_PASSWORD));

    assert_eq!(Dump.probe(&params(json!({})), cx).await.unwrap(), Probe::Complete(outputs));
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_databases_and_the_schema_alone_are_dumps_too() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_is_not_proven_leaves_nothing() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    let mut session = server.login().connect().await.unwrap().session;
    session.run("be seeded", "CREATE DATABASE shop").await.unwrap();
    session.close().await;
    let cut = "-- MariaDB dump\nCREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\n";

    let (bench, result) = with_client(&server, Answer::success("")).await;
    insta::assert_snapshot!(masked(&result.unwrap_err()), @"mariadb-dump gave no whole dump: the dump ended after N bytes without its trailer (`-- Dump completed`)");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(cut).stderr("disk quota")).await;
    insta::assert_snapshot!(masked(&result.unwrap_err()), @"mariadb-dump gave no whole dump: the dump ended after N bytes without its trailer (`-- Dump completed`): disk quota");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) =
        with_client(&server, Answer::success(format!("{cut}INSERT INTO `a` VALUES ('x"))).await;
    insta::assert_snapshot!(masked(&result.unwrap_err()), @"mariadb-dump gave no whole dump: the dump is not valid: the text ends inside a quoted text (line N, byte N of the SQL text)");
    assert!(names(&bench.store).await.is_empty());

    let whole = format!("{cut}-- Dump completed on x\n");
    let (bench, result) =
        with_client(&server, Answer::failure(3, "Got error: 1142").stdout(whole.clone())).await;
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(masked(&error), @"mariadb-dump failed with exit code N: Got error: N");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::killed(9).stdout(whole.clone())).await;
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    insta::assert_snapshot!(masked(&error), @"mariadb-dump failed with signal N");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(format!("{whole}system id\n"))).await;
    insta::assert_snapshot!(masked(&result.unwrap_err()), @"mariadb-dump gave no whole dump: the dump is not valid: the client command `system` is no SQL and is refused (line N, byte N of the SQL text)");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(whole)).await;
    assert_eq!(result.unwrap().rows, 1);
    assert_eq!(names(&bench.store).await.len(), 2);
    assert_eq!(bench.world.processes.open_private_files(), 0);
    let lines = bench.world.processes.command_lines().join("\n");
    assert!(!lines.contains(CANARY_PASSWORD) && lines.contains("--defaults-file=/private/"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_client_and_leaves_nothing() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    let mut session = server.login().connect().await.unwrap().session;
    session.run("be seeded", "CREATE DATABASE shop").await.unwrap();
    session.close().await;
    let bench = bench(Some(&server)).await;
    bench.world.processes.respond("mariadb-dump", |spec| {
        let version = "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)";
        if spec.args.iter().any(|arg| arg == "--version") {
            Answer::success(version)
        } else {
            Answer::hang().stdout("-- MariaDB dump\n")
        }
    });
    let mut world = bench.world.clone();
    world.world.processes = Arc::new(bench.world.processes.clone());
    let test = context(&world).step("full").settings(bench.test.cx.settings().clone()).build();
    let cancel = test.cancel.clone();
    let (processes, started) = (bench.world.processes.clone(), std::time::Instant::now());
    let running = tokio::spawn(async move { Dump.run(&params(json!({})), &test.cx).await });
    while processes.commands().len() < 2 && started.elapsed().as_secs() < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    assert!(names(&bench.store).await.is_empty());
    assert_eq!(processes.terminated().first(), Some(&rekindle_engine::host::TerminateReason::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_half_way_leaves_nothing_and_may_be_tried_again() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    let mut session = server.login().connect().await.unwrap().session;
    for statement in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.big (id INT PRIMARY KEY AUTO_INCREMENT, t LONGTEXT)",
        "USE shop",
        "INSERT INTO big (t) SELECT REPEAT(RAND(), 50000) FROM seq_1_to_100",
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
    assert!(error.message.contains("mariadb-dump failed with exit code"), "{error}");
    assert!(names(&store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_ends_the_dump_and_leaves_nothing() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    bench.world.stores.store("file:backups").limit_bytes(Some(600));
    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert!(error.message.contains("full.sql.gz"), "{error}");
    assert!(error.help.unwrap().contains("free space"));
    assert!(names(&bench.store).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_backup_and_an_empty_server_are_left_alone() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn preflight_shows_the_command_and_touches_nothing() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
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
    insta::assert_snapshot!(found.commands.join("\n"), @"mariadb-dump --defaults-file=LOGIN --single-transaction --routines --events --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G --master-data=2 --gtid --databases empty shop 'we`ird.db;'");
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
    insta::assert_snapshot!(wrong(json!({ "compression_level": 10 })), @"`compression_level` is from 0 to 9");
    assert!(params(json!({ "name": "full-2" })).check().is_ok());
}
