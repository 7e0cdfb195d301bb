//! Dumps of others: taken whole, in every form, or refused with nothing left.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use rekindle_backup::dump::check_content;
use rekindle_backup::manifest::{DumpIndex, Flavour, ObjectRole, ServerFacts};
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::Key;
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{FakeWorld, MemoryStore, TestContext, context};
use serde_json::{Value, json};

use super::*;
use crate::testing::planned;

/// As `mysqldump --all-databases` writes it.
const DUMP: &str = "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n-- Host: db    Database: \n\
    -- ------------------------------------------------------\n-- Server version\t8.0.36-log\n\n\
    /*!40101 SET NAMES utf8mb4 */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\n\
    --\n-- Current Database: `mysql`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql`;\n\nUSE `mysql`;\n\n\
    --\n-- Table structure for table `user`\n--\n\nDROP TABLE IF EXISTS `user`;\nCREATE TABLE `user` (`Host` char(60));\n\n\
    --\n-- Current Database: `shop`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`;\n\nUSE `shop`;\n\n\
    --\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (`id` int);\n\n--\n-- Dumping data for table `t`\n--\n\n\
    LOCK TABLES `t` WRITE;\nINSERT INTO `t` VALUES (1),(2);\nUNLOCK TABLES;\n\
    /*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n-- Dump completed on 2026-11-22 15:00:00\n";
/// As `mysqldump shop` writes it.
const OF_ONE: &str = "-- MariaDB dump 10.19\n--\n-- Server version\t10.11.6-MariaDB\n\n/*!40101 SET NAMES utf8mb4 */;\n\n\
    --\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (`id` int);\nINSERT INTO `t` VALUES (1);\n-- Dump completed\n";

struct Bench {
    world: FakeWorld,
    settings: Settings,
    test: TestContext,
    store: Arc<MemoryStore>,
    folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let world = rekindle_engine::testing::world();
    let mut settings = Settings { name: "shop".to_owned(), ..Settings::default() };
    settings.stores.insert("primary".into(), StoreConfig::at("memory:primary"));
    let store = world.stores.store("memory:primary");
    let test = context(&world).settings(settings.clone()).build();
    Bench { world, settings, test, store, folder: tempfile::tempdir().unwrap() }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

impl Bench {
    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("dump");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn import(&self, bytes: &[u8], more: &Value) -> Result<ImportOutputs, StepError> {
        let mut params = json!({
            "from": self.file(bytes), "store": "primary", "id": "b1", "taken_at": "2026-11-22T14:00:00Z"
        });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ImportDump.run(&serde_json::from_value(params).unwrap(), &self.test.cx).await
    }

    fn object(&self, name: &str) -> Vec<u8> {
        self.store.object(&Key::new(format!("backups/shop/b1/{name}")).unwrap()).unwrap().to_vec()
    }

    fn index(&self) -> DumpIndex {
        serde_json::from_slice(&self.object("full.index.json")).unwrap()
    }

    async fn refused(&self, bytes: &[u8], more: &Value) -> String {
        let error = self.import(bytes, more).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{error}");
        assert_eq!(self.store.keys(), [""; 0], "{error}");
        error.message.replace(&self.folder.path().display().to_string(), "DIR")
    }
}

#[tokio::test]
async fn a_dump_is_taken_in_every_form_without_the_servers_own_databases() {
    let zstd = zstd::encode_all(DUMP.as_bytes(), 1).unwrap();
    let in_two = [gzip(&DUMP.as_bytes()[..700]), gzip(&DUMP.as_bytes()[700..])].concat();
    for bytes in [DUMP.as_bytes().to_vec(), gzip(DUMP.as_bytes()), in_two, zstd] {
        let bench = bench();

        let outputs = bench.import(&bytes, &json!({})).await.unwrap();

        assert_eq!((outputs.databases, outputs.tables, outputs.rows), (1, 1, 2));
        let index = bench.index();
        let report = check_content(&bench.object("full.sql.gz")[..], Some(&index)).unwrap();
        assert_eq!(report.sha256, outputs.sha256);
        assert_eq!(
            (index.object.role, index.consistent_point.at),
            (ObjectRole::Databases, Some(index.started_at))
        );
        let facts: ServerFacts = serde_json::from_slice(&bench.object("server.json")).unwrap();
        assert_eq!((facts.flavour, facts.version.as_str()), (Flavour::Mysql, "8.0.36-log"));
        let warnings = bench.test.reporter.warnings();
        assert_eq!(
            warnings,
            ["the dump has system databases (mysql, sys): they are left out, accounts among them"]
        );
        let params = json!({
            "from": "gone", "store": "primary", "id": "b1", "taken_at": "2026-11-22T14:00:00Z"
        });
        let found = ImportDump.probe(&serde_json::from_value(params).unwrap(), &bench.test.cx).await;
        assert_eq!(found.unwrap(), Probe::Complete(outputs));
    }
}

#[tokio::test]
async fn a_dump_of_one_database_gets_its_name_behind_its_header() {
    let bench = bench();
    bench.import(OF_ONE.as_bytes(), &json!({ "database": "sh`op", "scope": "all" })).await.unwrap();
    let index = bench.index();
    assert_eq!(index.inventory.databases["sh`op"].tables["t"].rows, Some(1));
    assert_eq!(index.object.role, ObjectRole::Full);
    assert_eq!(index.members[0].database, None, "what every session sets comes first");
    check_content(&bench.object("full.sql.gz")[..], Some(&index)).unwrap();
    // One that names its own is not put into another.
    let error = bench.import(DUMP.as_bytes(), &json!({ "database": "x" })).await.unwrap_err();
    assert!(error.message.ends_with("it names the database `mysql` itself"), "{error}");
}

#[tokio::test]
async fn whom_triggers_and_functions_act_as_is_noted_for_their_restore() {
    let bench = bench();
    let made = "/*!50003 CREATE*/ /*!50017 DEFINER=`ann`@`%`*/ /*!50003 TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW SET @a = 1 */;\n\
        CREATE DEFINER=`bob`@`localhost` FUNCTION `f`() RETURNS int RETURN 1;\n";
    let text = DUMP.replace("UNLOCK TABLES;\n", &format!("UNLOCK TABLES;\n{made}"));

    bench.import(text.as_bytes(), &json!({})).await.unwrap();

    let shop = &bench.index().inventory.databases["shop"];
    let definers = json!({ "FUNCTION f": "bob@localhost", "TRIGGER g": "ann@%" });
    assert_eq!(serde_json::to_value(&shop.definers).unwrap(), definers);
    assert_eq!(shop.undeclared_functions.iter().collect::<Vec<_>>(), ["f"]);
}

#[tokio::test]
async fn what_is_no_whole_dump_is_refused_and_leaves_nothing() {
    let bench = bench();
    let refused = async |bytes: &[u8], more: Value| bench.refused(bytes, &more).await;
    let cut = DUMP.split("-- Dump completed").next().unwrap();
    let in_the_middle = &DUMP.as_bytes()[..DUMP.find("(2)").unwrap()];
    let packed = gzip(DUMP.as_bytes());
    insta::assert_snapshot!(refused(cut.as_bytes(), json!({})).await, @"DIR/dump can't be taken: its last line is not `-- Dump completed`: it was cut off, or made without comments");
    insta::assert_snapshot!(refused(in_the_middle, json!({ "allow_missing_trailer": true })).await, @"DIR/dump can't be taken: the text ends inside a statement (line 44, byte 682 of the SQL text)");
    insta::assert_snapshot!(refused(&packed[..packed.len() - 20], json!({})).await, @"DIR/dump can't be taken: incomplete deflate stream");
    insta::assert_snapshot!(refused(b"", json!({ "allow_missing_trailer": true })).await, @"DIR/dump can't be taken: there is no table in it");
    insta::assert_snapshot!(refused(OF_ONE.as_bytes(), json!({})).await, @"DIR/dump can't be taken: it says nothing of the database that its tables belong to");
    insta::assert_snapshot!(refused(b"\x7fELF nothing of the kind", json!({})).await, @"DIR/dump can't be taken: the text ends inside a statement (line 1, byte 0 of the SQL text)");
    let unknown = OF_ONE.replace("-- Server version\t10.11.6-MariaDB\n", "");
    let error = bench.import(unknown.as_bytes(), &json!({ "database": "shop" })).await.unwrap_err();
    assert!(error.message.ends_with("does not say which server it is of"), "{error}");
    assert!(
        !bench.store.keys().iter().any(|key| key.ends_with(".index.json")),
        "without an index it is no dump"
    );
    let told = json!({ "database": "shop", "flavour": "mysql", "version": "5.7.44" });
    bench.import(unknown.as_bytes(), &told).await.unwrap();
    // By the word of whoever knows it.
    bench.import(cut.as_bytes(), &json!({ "allow_missing_trailer": true })).await.unwrap();
    check_content(&bench.object("full.sql.gz")[..], Some(&bench.index())).unwrap();
}

#[tokio::test]
async fn a_dump_in_a_store_is_streamed_from_there() {
    let bench = bench();
    bench.store.insert(&Key::new("old/shop.sql.gz").unwrap(), gzip(DUMP.as_bytes()));
    let from = json!({ "from": { "store": "primary", "key": "old/shop.sql.gz" } });
    assert_eq!(bench.import(b"", &from).await.unwrap().rows, 2);
    let from = json!({ "from": { "store": "primary", "key": "old/none.sql.gz" } });
    let error = bench.import(b"", &from).await.unwrap_err();
    insta::assert_snapshot!(error, @"there is no `old/none.sql.gz` in memory:primary");
}

#[tokio::test]
async fn what_can_not_be_read_is_told_before_the_run_and_what_is_not_there_yet_is_no_fault() {
    let bench = bench();
    let look = async |from: &str| {
        let cx = context(&bench.world).settings(bench.settings.clone()).preflight([]);
        let params = json!({ "from": from, "store": "primary", "taken_at": "2026-11-22T14:00:00Z" });
        ImportDump.preflight(&planned(&params), &cx).await
    };
    let folder = look("/proc").await;
    insta::assert_snapshot!(folder.problems[0], @r"
    rekindle::import_dump::unreadable: failed to read /proc: it is not a file (/from)
      help: `from` is a path from rekindle's working directory
    ");
    let later = look("/nowhere/dump.sql").await;
    assert_eq!(
        (later.problems, later.notes),
        (vec![], vec!["/nowhere/dump.sql is not there yet".to_owned()])
    );
}
