use rekindle_backup::inventory::Inventory;
use rekindle_backup::layout::{BackupUri, MANIFEST};
use rekindle_backup::manifest::{
    BackupKind, ConsistentPoint, Flavour, MANIFEST_FORMAT, Manifest, ObjectEntry, ObjectRole,
};
use rekindle_backup::sealed;
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::step::{ErrorClass, Step as _, StepError};
use rekindle_engine::testing::{self, FakeWorld};
use serde_json::{Value, json};

use super::*;
use crate::connection::Server;
use crate::inspect::read_facts;
use crate::sandbox::testing::TempServer;
use crate::testing::{fill, on_both, planned, server_of, shop_of, world_of};

pub(crate) async fn filled(flavour: Flavour, name: &str) -> (TempServer, Server) {
    let server = server_of(flavour, name).await;
    let mut open = server.login().connect().await.unwrap();
    fill(&mut open.session, &shop_of(flavour)).await;
    (server, open)
}

async fn check(world: &FakeWorld, settings: &Settings, params: Value) -> Result<AssertOutputs, StepError> {
    let test = testing::context(world).settings(settings.clone()).build();
    Assert.run(&serde_json::from_value(params).unwrap(), &test.cx).await
}

/// Stores a manifest that says that a server holds this.
pub(crate) async fn publish(world: &FakeWorld, server: &mut Server, inventory: Inventory) -> BackupUri {
    let uri: BackupUri = "backup://main/shop/b1".parse().unwrap();
    let now = world.world.clock.now();
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        id: uri.id.clone(),
        kind: BackupKind::Logical,
        cluster: uri.cluster.clone(),
        server: read_facts(server).await.unwrap(),
        started_at: now,
        finished_at: now,
        consistent_point: ConsistentPoint::default(),
        objects: vec![ObjectEntry {
            name: "full.sql.gz".to_owned(),
            size_bytes: 1,
            sha256: String::new(),
            role: ObjectRole::Full,
        }],
        inventory,
        tools: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        physical: None,
        encryption: None,
    };
    let store = world.stores.store("memory:main");
    store.insert(&uri.key(MANIFEST).unwrap(), sealed::seal(&manifest).unwrap());
    uri
}

on_both!(an_inventory_is_equal_until_a_row_a_table_or_a_trigger_is_not);
async fn an_inventory_is_equal_until_a_row_a_table_or_a_trigger_is_not(flavour: Flavour) {
    let (server, mut open) = filled(flavour, "primary").await;
    let (world, mut settings) = world_of(&[("primary", server.login())]);
    settings.stores.insert("main".into(), StoreConfig::at("memory:main"));
    let inventory = crate::inventory::read(&mut open.session).await.unwrap();
    let uri = publish(&world, &mut open, inventory).await;
    let params = json!({ "target": "primary", "inventory": uri });

    let outputs = check(&world, &settings, params.clone()).await.unwrap();
    assert_eq!((outputs.databases, outputs.tables, outputs.rows), (2, 3, 5));

    fill(
        &mut open.session,
        &[
            "DELETE FROM shop.`odd``na.me` WHERE id = 3",
            "DROP TABLE shop.empty",
            "DROP TRIGGER shop.keep",
            "DROP DATABASE `empty-one`",
            "CREATE DATABASE extra",
        ],
    )
    .await;
    let error = check(&world, &settings, params).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(error.message, @r"
    `primary` is not as expected, 5 differences:
      database empty-one is missing
      database extra is too much
      table shop.empty is missing
      the rows of table shop.odd`na.me: expected 3, found 2
      trigger shop.keep is missing
    ");

    let cx = testing::context(&world).settings(settings).preflight([]);
    let gone = json!({ "target": "primary", "inventory": "backup://main/shop/gone" });
    let found = Assert.preflight(&planned(&gone), &cx).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::backup::unusable: there is no backup backup://main/shop/gone (/inventory)
      help: `rekindle backups list` shows what is there
    ");
}

on_both!(two_servers_with_as_many_rows_differ_by_checksum);
async fn two_servers_with_as_many_rows_differ_by_checksum(flavour: Flavour) {
    let ((one, _), (other, mut open)) = tokio::join!(filled(flavour, "one"), filled(flavour, "other"));
    let (world, settings) = world_of(&[("one", one.login()), ("other", other.login())]);
    let params = json!({ "target": "one", "against": "other" });
    let outputs = check(&world, &settings, params.clone()).await.unwrap();
    assert_eq!(outputs.checksums, 3);

    fill(&mut open.session, &["UPDATE shop.customers SET picture = x'00fe' WHERE id = 1"]).await;
    let error = check(&world, &settings, params).await.unwrap_err();
    assert!(
        error
            .message
            .starts_with("`one` is not as expected: the rows of table shop.customers differ: checksum "),
        "{error}"
    );
}

on_both!(queries_answer_as_expected_and_can_not_write);
async fn queries_answer_as_expected_and_can_not_write(flavour: Flavour) {
    let (server, mut open) = filled(flavour, "primary").await;
    let (world, settings) = world_of(&[("primary", server.login())]);
    let queries = json!([
        { "sql": "SELECT COUNT(*) FROM shop.customers", "expect": 2 },
        { "sql": "SELECT id, name, picture IS NULL FROM shop.customers ORDER BY id",
          "expect": [[1, "Zoë 🌍", false], [2, r"it's \ me", true]] },
        { "sql": "SELECT id FROM shop.empty", "expect": [] },
    ]);
    let outputs = check(&world, &settings, json!({ "target": "primary", "queries": queries })).await.unwrap();
    assert_eq!(outputs.queries, 3);

    let one = async |sql: &str, expect: Value| {
        let queries = json!([{ "sql": sql, "expect": expect }]);
        check(&world, &settings, json!({ "target": "primary", "queries": queries })).await.unwrap_err()
    };
    insta::assert_snapshot!(one("SELECT 1 + 1", json!(3)).await, @r#"`primary` is not as expected: `SELECT 1 + 1`: expected 3, found "2""#);
    let error = one("SELECT nonsense", json!(1)).await;
    assert!(error.message.contains("refused to answer `SELECT nonsense`: error 1054"), "{error}");
    for sql in
        ["DELETE FROM shop.customers", "DROP TABLE shop.empty", "COMMIT; DELETE FROM shop.empty; SELECT 1"]
    {
        let error = one(sql, json!(0)).await;
        assert!(error.message.contains("error 1792"), "{sql}: {error}");
    }
    let error = one("SELECT 1 FROM shop.customers a, mysql.help_topic", json!(0)).await;
    assert!(error.message.ends_with("answers more than 1000 rows"), "{error}");
    let left: u64 = open.session.row("count", "SELECT COUNT(*) FROM shop.customers").await.unwrap();
    assert_eq!(left, 2);
}

#[test]
fn asserting_nothing_is_an_error_of_the_plan() {
    let error = Assert.plan(&planned(&json!({ "target": "primary" }))).unwrap_err();
    insta::assert_snapshot!(error.message, @"nothing is asserted");
    let intent = Assert
        .plan(&planned(&json!({
            "target": "primary", "inventory": "backup://main/shop/b1", "against": "replica",
            "queries": [{ "sql": "SELECT 1", "expect": 1 }],
        })))
        .unwrap();
    insta::assert_snapshot!(intent.summary, @"check that primary has every object and row count of backup://main/shop/b1, and every object and row of replica, and the answers of 1 queries");
}
