//! Dumps of some tables, there and back.

use rekindle_storage::PublishStep;

use super::*;
use crate::binlogs::testing::{Lab, ask, tell};
use crate::checksum::{add_checksums, leave_unknown_history_out};
use crate::inspect::Inspect;
use crate::restore::Restore;

fn of_tables() -> serde_json::Value {
    json!({ "name": "some", "scope": "tables", "tables": ["shop.a", "we`ird.db;.t.a`b"] })
}

on_both!(chosen_tables_are_dumped_with_their_triggers_and_nothing_else);
async fn chosen_tables_are_dumped_with_their_triggers_and_nothing_else(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let bench = bench(Some(&server)).await;
    let with_checksums = |mut params: serde_json::Value| {
        params["checksums"] = json!(true);
        super::params(params)
    };

    let outputs = Dump.run(&with_checksums(of_tables()), &bench.test.cx).await.unwrap();

    assert_eq!((outputs.tables, outputs.rows, outputs.checksums), (2, 4, 2));
    let index: DumpIndex = serde_json::from_slice(&bytes(&bench.store, &outputs.index).await).unwrap();
    assert_eq!(index.object.role, rekindle_backup::manifest::ObjectRole::Tables);
    let shop = &index.inventory.databases["shop"];
    assert_eq!(shop.tables.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(shop.triggers.keys().collect::<Vec<_>>(), ["tr"]);
    assert!(
        shop.views.is_empty()
            && shop.routines.is_empty()
            && shop.events.is_empty()
            && shop.sequences.is_empty()
    );
    assert_eq!(index.inventory.databases.len(), 2);
    let object = bytes(&bench.store, &outputs.object).await;
    check_content(&object[..], Some(&index)).unwrap();
    let sql = text(&object);
    for absent in ["CREATE USER", "`nothing`", "CREATE TABLE `c`", "PROCEDURE", "CREATE SEQUENCE"] {
        assert!(!sql.contains(absent), "{absent} in {sql}");
    }
    let absent = super::params(json!({ "scope": "tables", "tables": ["shop.typo"] }));
    let error = Dump.run(&absent, &bench.test.cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` has no table `shop.typo`");
    let view = super::params(json!({ "scope": "tables", "tables": ["shop.v1"] }));
    let error = Dump.run(&view, &bench.test.cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"`shop.v1` of `primary` is no table");
}

on_both!(a_backup_of_tables_replaces_these_and_leaves_their_databases);
async fn a_backup_of_tables_replaces_these_and_leaves_their_databases(flavour: Flavour) {
    let (server, fresh) = tokio::join!(server_of(flavour, "primary"), server_of(flavour, "fresh"));
    seed(&server).await;
    let lab = Lab::of(&[&server, &fresh]);
    let common = json!({ "target": "primary", "store": "primary", "id": "b1" });
    lab.run(&Inspect, common.clone()).await.unwrap();
    let mut dump = of_tables();
    dump.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
    lab.run(&Dump, dump).await.unwrap();
    let publish = json!({ "store": "primary", "id": "b1", "objects": ["some"] });
    lab.run(&PublishStep, publish).await.unwrap();
    let verify = json!({ "backup": "backup://primary/shop/b1", "level": "content" });
    lab.run(&rekindle_storage::VerifyStep, verify).await.unwrap();
    tell(
        &fresh,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.kept (id INT PRIMARY KEY)",
            "INSERT INTO shop.kept VALUES (1)",
            "CREATE TABLE shop.a (id INT PRIMARY KEY)",
        ],
    )
    .await;
    let restore = |more: serde_json::Value| {
        let mut params =
            json!({ "backup": "backup://primary/shop/b1", "target": "fresh", "object": "some.sql.gz" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };

    let error = lab.run(&Restore, restore(json!({}))).await.unwrap_err();
    insta::assert_snapshot!(error, @"`fresh` holds the table shop.a");
    let found = lab.preflight(&Restore, restore(json!({}))).await;
    insta::assert_snapshot!(found.problems[0].message, @"`fresh` holds the table shop.a");
    let whole = restore(json!({ "overwrite": true }));
    let outputs = lab.run(&Restore, whole.clone()).await.unwrap();

    assert_eq!(ask(&fresh, "SELECT COUNT(*) FROM shop.a").await, "3");
    assert_eq!(ask(&fresh, "SELECT COUNT(*) FROM `we``ird.db;`.`t.a``b`").await, "1");
    assert_eq!(ask(&fresh, "SELECT COUNT(*) FROM shop.kept").await, "1");
    assert_eq!(
        ask(&fresh, "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'shop'")
            .await,
        "tr"
    );
    let probed = Restore.probe(&serde_json::from_value(whole).unwrap(), &lab.cx().cx).await.unwrap();
    assert_eq!(probed, Probe::Complete(outputs));
    let part = restore(json!({ "tables": ["shop.a"], "rename": { "shop.a": "shop.a_before" } }));
    lab.run(&Restore, part).await.unwrap();
    assert_eq!(ask(&fresh, "SELECT COUNT(*) FROM shop.a_before").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_by_transactions_is_left_out_with_a_warning_and_the_rest_restores() {
    let (server, fresh) =
        tokio::join!(server_of(Flavour::Mariadb, "primary"), server_of(Flavour::Mariadb, "fresh"));
    tell(
        &server,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.v (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
            "CREATE TABLE shop.x (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, \
             e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
            "INSERT INTO shop.v VALUES (1), (2)",
            "INSERT INTO shop.x (id) VALUES (1), (2)",
            "DELETE FROM shop.v WHERE id = 1",
            "DELETE FROM shop.x WHERE id = 1",
        ],
    )
    .await;
    let lab = Lab::of(&[&server, &fresh]);
    let test = lab.cx();
    let params = params(json!({ "checksums": true }));

    let outputs = Dump.run(&params, &test.cx).await.unwrap();

    assert_eq!((outputs.rows, outputs.checksums), (2, 2));
    let warnings = test.reporter.warnings();
    insta::assert_snapshot!(warnings.join("\n"), @"the history of system-versioned tables is not dumped, only their current rows: shop.v, shop.x; mariadb-dump can't dump that of shop.x, which is by transactions");
    lab.run(&Inspect, json!({ "target": "primary", "store": "primary", "id": "b1" })).await.unwrap();
    lab.run(&PublishStep, json!({ "store": "primary", "id": "b1", "objects": ["full"] })).await.unwrap();
    lab.restore("b1").await;
    let index = lab.store.object(&Key::new(outputs.index.as_str()).unwrap()).unwrap();
    let index: DumpIndex = serde_json::from_slice(&index).unwrap();
    let mut session = fresh.login().connect().await.unwrap().session;
    let mut found = crate::inventory::read(&mut session).await.unwrap();
    add_checksums(&mut session, &mut found, |_, _| {}).await.unwrap();
    leave_unknown_history_out(&mut found, &index.inventory);
    assert_eq!(index.inventory.compare(&found), []);
    assert_eq!(index.inventory.shared_checksum_count(&found), 2);
}
