//! Restores into real servers.

use std::io::Write as _;
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::layout::MANIFEST;
use rekindle_backup::manifest::{BackupKind, DumpIndex, Flavour, MANIFEST_FORMAT, Manifest, ServerFacts};
use rekindle_backup::{layout::BackupUri, sealed};
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode};
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{FakeWorld, TestContext, context};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::connection::Server;
use crate::dump::{Dump, seed_for_tests};
use crate::sandbox::testing::TempServer;
use crate::testing::{known_to, on_both, position_query, server_of, world_of};

mod grant_option;
mod replica;
mod rights;
mod side_by_side;

const OBJECT: &str = "backups/shop/b1/full.sql.gz";

struct Bench {
    flavour: Flavour,
    world: FakeWorld,
    settings: Settings,
    store: Arc<dyn ObjectStore>,
}

impl Bench {
    async fn of(servers: &[&TempServer]) -> Self {
        let logins: Vec<_> = servers.iter().map(|s| (s.login().target.as_str(), s.login())).collect();
        let (world, mut settings) = world_of(&logins);
        let config = StoreConfig::at("file:backups");
        settings.stores.insert("primary".into(), config.clone());
        let store = world.world.stores.open(&config, None).await.unwrap();
        Self { flavour: servers[0].flavour(), world, settings, store }
    }

    fn test(&self) -> TestContext {
        context(&self.world).step("restore").settings(self.settings.clone()).build()
    }

    async fn run(&self, params: serde_json::Value) -> Result<Outputs, StepError> {
        Restore.run(&params_of(params), &self.test().cx).await
    }

    async fn probe(&self, params: serde_json::Value) -> Probe<Outputs> {
        Restore.probe(&params_of(params), &self.test().cx).await.unwrap()
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.store.put(&Key::new(key).unwrap(), Body::from_bytes(bytes), PutMode::Replace).await.unwrap();
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        self.store.get(&Key::new(key).unwrap(), None).await.unwrap().collect(1 << 26).await.unwrap()
    }

    /// Dumps a server and publishes the dump as the backup `b1`.
    async fn back_up(&self, target: &str) -> Manifest {
        let dump = json!({ "target": target, "store": "primary", "name": "full", "id": "b1" });
        Dump.run(&serde_json::from_value(dump).unwrap(), &self.test().cx).await.unwrap();
        let index = serde_json::from_slice(&self.get("backups/shop/b1/full.index.json").await).unwrap();
        self.publish(index).await
    }

    async fn publish(&self, index: DumpIndex) -> Manifest {
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            id: "b1".to_owned(),
            kind: BackupKind::Logical,
            cluster: "shop".to_owned(),
            server: ServerFacts {
                flavour: self.flavour,
                version: "10.11.14-MariaDB".to_owned(),
                version_comment: String::new(),
                server_id: 1,
                server_uuid: None,
                gtid_domain_id: None,
                log_bin: true,
                users: Vec::new(),
                variables: std::collections::BTreeMap::default(),
            },
            started_at: index.started_at,
            finished_at: index.started_at,
            consistent_point: index.consistent_point,
            objects: vec![index.object],
            inventory: index.inventory,
            tools: vec![index.tool],
            labels: std::collections::BTreeMap::default(),
            physical: None,
            encryption: None,
        };
        self.put(&format!("backups/shop/b1/{MANIFEST}"), sealed::seal(&manifest).unwrap()).await;
        manifest
    }

    /// Publishes a text as if it were a dump.
    async fn publish_text(&self, text: &str) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        let object = encoder.finish().unwrap();
        let index = json!({
            "format": MANIFEST_FORMAT,
            "object": {
                "name": "full.sql.gz", "size_bytes": object.len(),
                "sha256": hex::encode(Sha256::digest(&object)), "role": "full"
            },
            "uncompressed_bytes": text.len(), "started_at": "2026-11-22T15:00:00Z", "consistent_point": {},
            "inventory": { "databases": { "shop": { "tables": { "a": { "rows": 1 } } } } },
            "members": [], "tool": { "name": "mariadb-dump", "version": "" }
        });
        self.put(OBJECT, object).await;
        self.publish(serde_json::from_value(index).unwrap()).await;
    }
}

#[allow(clippy::needless_pass_by_value)]
fn params_of(more: serde_json::Value) -> Params {
    let mut params = json!({ "backup": "backup://primary/shop/b1", "target": "new" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(params).unwrap()
}

async fn execute(server: &TempServer, statements: &[&str]) {
    let mut session = server.login().connect().await.unwrap().session;
    for statement in statements {
        session.run("do it", statement).await.unwrap();
    }
    session.close().await;
}

/// Gives everything a query says, as text.
async fn ask(server: &TempServer, query: &str) -> String {
    let Server { mut session, .. } = server.login().connect().await.unwrap();
    let rows: Vec<mysql_async::Row> = session.conn.query(query).await.unwrap();
    let text = |value: &mysql_async::Value| match value {
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(false),
    };
    let rows = rows.into_iter().map(|row| row.unwrap().iter().map(text).collect::<Vec<_>>().join("|"));
    rows.collect::<Vec<_>>().join("\n")
}

const SAME: &[&str] = &[
    "CHECKSUM TABLE shop.a, shop.c, shop.nothing, shop.old, `we``ird.db;`.`t.a``b`",
    "SELECT id, t, HEX(b), g, d FROM shop.a ORDER BY id",
    "SHOW CREATE TABLE shop.c",
    "SHOW CREATE VIEW shop.v1",
    "SHOW CREATE PROCEDURE shop.p",
    "SHOW CREATE FUNCTION shop.f",
    "SELECT trigger_name, action_statement, sql_mode, definer FROM information_schema.triggers WHERE trigger_schema = 'shop'",
    "SELECT event_name, event_definition, status, interval_value FROM information_schema.events",
    "SELECT schema_name, default_character_set_name FROM information_schema.schemata ORDER BY 1",
    "SHOW GRANTS FOR 'o''neil'@'10.%'",
    "SHOW CREATE USER 'o''neil'@'10.%'",
    "SHOW GRANTS FOR readers",
    "SELECT NEXTVAL(shop.s)",
];

on_both!(a_server_comes_back_equal_at_the_backups_position);
async fn a_server_comes_back_equal_at_the_backups_position(flavour: Flavour) {
    let (old, new) = tokio::join!(server_of(flavour, "old"), server_of(flavour, "new"));
    seed_for_tests(&old).await;
    let bench = Bench::of(&[&old, &new]).await;
    let manifest = bench.back_up("old").await;
    execute(&new, &["SET GLOBAL event_scheduler = ON"]).await;

    assert_eq!(bench.probe(json!({})).await, Probe::Absent);
    let outputs = bench.run(json!({})).await.unwrap();

    let gtid = manifest.consistent_point.gtid.unwrap();
    assert_eq!(outputs.gtid, gtid);
    assert_eq!((outputs.tables, outputs.rows), (5, 7));
    assert_eq!(ask(&new, "SELECT @@read_only, @@event_scheduler").await, "0|ON");
    assert_eq!(ask(&new, position_query(flavour)).await, gtid);
    if flavour == Flavour::Mariadb {
        assert_eq!(ask(&new, "SELECT @@gtid_slave_pos").await, gtid);
    }
    // The log is empty: nothing of the restore reaches a replica that begins at this position.
    let events = ask(&new, "SHOW BINLOG EVENTS").await;
    assert!(!events.contains("Query") && !events.contains("rekindle_restore"), "{events}");
    for query in known_to(flavour, SAME) {
        let (before, after) = (ask(&old, query).await, ask(&new, query).await);
        // The marker is the one thing that is more.
        let after: Vec<_> = after.lines().filter(|line| !line.contains("rekindle_restore")).collect();
        assert_eq!(before.lines().collect::<Vec<_>>(), after, "{query}");
    }
    assert_eq!(bench.probe(json!({})).await, Probe::Complete(outputs));
}

on_both!(what_a_server_holds_is_replaced_only_when_that_was_said);
async fn what_a_server_holds_is_replaced_only_when_that_was_said(flavour: Flavour) {
    let (old, new) = tokio::join!(server_of(flavour, "old"), server_of(flavour, "new"));
    seed_for_tests(&old).await;
    execute(&new, &["CREATE DATABASE precious", "CREATE TABLE precious.t (id INT)"]).await;
    let bench = Bench::of(&[&old, &new]).await;
    bench.back_up("old").await;

    let error = bench.run(json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"`new` holds 1 database (precious) with 1 table");
    assert!(error.help.unwrap().contains("overwrite: true"));
    assert_eq!(ask(&new, "SELECT @@read_only").await, "0");
    let found = "1 database (precious) with 1 table".to_owned();
    assert_eq!(bench.probe(json!({})).await, Probe::Partial { found });

    bench.run(json!({ "overwrite": true })).await.unwrap();
    assert_eq!(ask(&new, "SHOW DATABASES LIKE 'precious'").await, "");
    assert_eq!(ask(&new, "SELECT COUNT(*) FROM shop.a").await, "3");

    // With `binlog: on` replicas of the server get it as ordinary changes, and its position moves on.
    let position = ask(&new, position_query(flavour)).await;
    let logged = bench.run(json!({ "overwrite": true, "binlog": "on" })).await.unwrap();
    assert_eq!(logged.gtid, "");
    assert_ne!(ask(&new, position_query(flavour)).await, position);
    assert!(!ask(&new, "SHOW BINLOG EVENTS").await.contains("rekindle_restore"));
}

on_both!(a_damaged_object_leaves_the_server_fenced);
async fn a_damaged_object_leaves_the_server_fenced(flavour: Flavour) {
    let (old, new) = tokio::join!(server_of(flavour, "old"), server_of(flavour, "new"));
    seed_for_tests(&old).await;
    let bench = Bench::of(&[&old, &new]).await;
    bench.back_up("old").await;
    let whole = bench.get(OBJECT).await;

    // In the header of a member, which no decompressor checks: only the hash of the object tells.
    let mut damaged = whole.clone();
    damaged[5] ^= 1;
    bench.put(OBJECT, damaged).await;
    let error = bench.run(json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.starts_with("`full.sql.gz` is damaged: its sha256 is "), "{error}");
    assert_eq!(ask(&new, "SELECT @@read_only").await, "1");
    assert_eq!(bench.probe(json!({})).await, Probe::Absent);
    let another_run = params_of(json!({ "object": "other.sql.gz" }));
    let Probe::Partial { found } = Restore.probe(&another_run, &bench.test().cx).await.unwrap() else {
        panic!("the marker of another restore was not seen")
    };
    insta::assert_snapshot!(found, @"an unfinished restore of backup://primary/shop/b1 by run 20261122T150000Z-test");

    let mut damaged = whole.clone();
    // Behind the header of the first member.
    damaged[30] ^= 0x10;
    bench.put(OBJECT, damaged).await;
    let error = bench.run(json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.starts_with("`full.sql.gz` can't be read: gzip member "), "{error}");

    bench.put(OBJECT, whole).await;
    bench.run(json!({})).await.unwrap();
    // What the server was like before the first attempt, not before the last.
    assert_eq!(ask(&new, "SELECT @@read_only").await, "0");
}

on_both!(a_bad_dump_is_refused_by_statement_and_place);
async fn a_bad_dump_is_refused_by_statement_and_place(flavour: Flavour) {
    let new = server_of(flavour, "new").await;
    let bench = Bench::of(&[&new]).await;
    let head = "CREATE DATABASE `shop`;\nUSE `shop`;\nCREATE TABLE `a` (`id` int);\n";
    let tail = "-- Dump completed on x\n";

    bench.publish_text(&format!("{head}\\! touch owned\n{tail}")).await;
    let error = bench.run(json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"`full.sql.gz` is no sound dump: the client command `\\!` is no SQL and is refused (line 4, byte 65 of the SQL text)");

    bench.publish_text(&format!("{head}INSERT INTO `a` VALUES (1,2);\n{tail}")).await;
    let error = bench.run(json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(error, @"`new` refused to run INSERT (line 4, byte 65 of the SQL text) at table shop.a: error 1136 (21S01): Column count doesn't match value count at row 1");

    bench.publish_text(&format!("{head}INSERT INTO `a` VALUES (1);\n")).await;
    let error = bench.run(json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"`full.sql.gz` is damaged: its trailer `-- Dump completed` is missing");

    bench.publish_text(&format!("{head}INSERT INTO `a` VALUES (1),(2);\n{tail}")).await;
    let error = bench.run(json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"`new` is not what the backup says, 1 differences: the rows of table shop.a: expected 1, found 2");
    assert_eq!(ask(&new, "SELECT @@read_only").await, "1");

    bench.publish_text(&format!("{head}INSERT INTO `a` VALUES (1);\n{tail}")).await;
    assert_eq!(bench.run(json!({})).await.unwrap().rows, 1);
}

on_both!(a_restore_that_was_interrupted_goes_on);
async fn a_restore_that_was_interrupted_goes_on(flavour: Flavour) {
    let mut new = server_of(flavour, "new").await;
    let bench = Bench::of(&[&new]).await;
    let text = "CREATE DATABASE `shop`;\nUSE `shop`;\nCREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\nDO SLEEP(20);\n-- Dump completed on x\n";
    bench.publish_text(text).await;

    // The server dies in the middle: that may pass, and the same restore begins again.
    let begun = bench.test();
    let running = tokio::spawn(async move { Restore.run(&params_of(json!({})), &begun.cx).await });
    while !ask(&new, "SHOW PROCESSLIST").await.contains("DO SLEEP") {
        assert!(!running.is_finished());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    new.kill().await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    new.start_again().await.unwrap();
    assert_eq!(bench.probe(json!({})).await, Probe::Absent);

    // The operator cancels in the middle of a statement: heard at once.
    let begun = bench.test();
    let cancel = begun.cancel.clone();
    let running = tokio::spawn(async move { Restore.run(&params_of(json!({})), &begun.cx).await });
    while !ask(&new, "SHOW PROCESSLIST").await.contains("DO SLEEP") {
        assert!(!running.is_finished());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);

    // The next one waits for the session that was left behind, which still sleeps.
    let quick = text.replace("SLEEP(20)", "SLEEP(0)");
    bench.publish_text(&quick).await;
    let outputs = bench.run(json!({})).await.unwrap();
    assert_eq!(ask(&new, "SELECT COUNT(*) FROM shop.a").await, "1");

    // Loaded, but killed before the fence was taken down: nothing is loaded again.
    let mut control = new.login().connect().await.unwrap();
    let mut marker = marker::read(&mut control).await.unwrap().unwrap();
    marker.stage = marker::Stage::Loaded;
    crate::marker::prepare(&mut control).await.unwrap();
    marker.write(&mut control).await.unwrap();
    control.session.run("fence", "SET GLOBAL read_only = ON").await.unwrap();
    control.session.run("mark the data", "INSERT INTO shop.a VALUES (2)").await.unwrap();
    assert_eq!(bench.probe(json!({})).await, Probe::Absent);
    assert_eq!(bench.run(json!({})).await.unwrap(), outputs);
    assert_eq!(ask(&new, "SELECT COUNT(*), @@read_only FROM shop.a").await, "2|0");
}

on_both!(preflight_tells_what_would_stand_in_the_way);
async fn preflight_tells_what_would_stand_in_the_way(flavour: Flavour) {
    let new = server_of(flavour, "new").await;
    execute(&new, &["CREATE DATABASE precious"]).await;
    let bench = Bench::of(&[&new]).await;
    let look = async |params: serde_json::Value, provided: &[&str]| {
        let mut all = json!({ "backup": "backup://primary/shop/b1", "target": "new" });
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let cx = context(&bench.world).settings(bench.settings.clone()).preflight(provided.iter().copied());
        let found = Restore.preflight(&crate::testing::planned(&all), &cx).await;
        found
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .collect::<Vec<_>>()
    };
    let missing = look(json!({}), &[]).await;
    assert!(missing[0].starts_with("rekindle::backup::unusable: "), "{missing:?}");
    bench.publish_text("-- Dump completed\n").await;
    assert_eq!(
        look(json!({}), &[]).await,
        ["rekindle::restore::not_empty: `new` holds 1 database (precious) with 0 tables"]
    );
    assert!(look(json!({ "overwrite": true }), &[]).await.is_empty());
    assert!(look(json!({}), &["new"]).await.is_empty());
    assert_eq!(
        look(json!({ "object": "x.sql.gz" }), &["new"]).await,
        ["rekindle::backup::unusable: backup://primary/shop/b1 has no dump `x.sql.gz`"]
    );
    assert_eq!(ask(&new, "SELECT @@read_only").await, "0");
}

#[test]
fn the_plan_says_what_is_lost() {
    let plan = |params: serde_json::Value| {
        let mut all = json!({ "backup": "backup://primary/shop/b1", "target": "new" });
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        Restore.plan(&crate::testing::planned(&all)).unwrap().summary
    };
    insta::assert_snapshot!(plan(json!({})), @"load new from backup://primary/shop/b1");
    insta::assert_snapshot!(plan(json!({ "overwrite": true })), @"replace what new holds by backup://primary/shop/b1");
    let uri: BackupUri = "backup://primary/shop/b1".parse().unwrap();
    assert_eq!(params_of(json!({})).backup, uri);
}
