//! Which backup is chosen when some are of less than the whole server.

use rekindle_backup::manifest::ObjectRole;
use rekindle_engine::host::Key;
use rekindle_engine::host::ObjectStore as _;
use rekindle_engine::step::{Planned, Step as _};
use serde_json::{Value, json};

use super::FindStep;
use crate::testing::Shop;

/// One of everything (the database shop), then parts, each of them newer.
async fn shop() -> Shop {
    let shop = Shop::new();
    shop.backup("whole", "2026-11-22T10:00:00Z").await;
    shop.partial("crm", "2026-11-22T11:00:00Z", ObjectRole::Databases, &["crm"]).await;
    shop.partial("tables", "2026-11-22T12:00:00Z", ObjectRole::Tables, &["items", "a.b"]).await;
    shop
}

/// Gives id and object of what is found, or error and help.
async fn find(shop: &Shop, more: Value) -> String {
    let mut params = json!({ "store": "primary" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match shop.run("backup.find", params).await {
        Ok(outputs) => format!("{} {}", outputs["id"].as_str().unwrap(), outputs["object"].as_str().unwrap()),
        Err(error) => format!("{}\nhelp: {}", error.message, error.help.unwrap_or_default()),
    }
}

#[tokio::test]
async fn the_latest_is_of_the_whole_server_and_parts_are_passed_over_in_silence() {
    let shop = shop().await;
    let test = shop.context();
    let found = shop.run_in(&test, "backup.find", json!({ "store": "primary" })).await.unwrap();
    assert_eq!((&found["id"], &found["covers"]), (&json!("whole"), &json!("everything")));
    assert!(test.reporter.warnings().is_empty(), "{:?}", test.reporter.warnings());
    assert_eq!(find(&shop, json!({ "covers": "anything" })).await, "tables items.sql.gz");
}

#[tokio::test]
async fn the_newest_that_holds_a_database_or_a_table_is_found_with_the_dump_that_it_is_in() {
    let shop = shop().await;
    for (covers, wanted) in [
        (json!({ "database": "shop" }), "whole full.sql.gz"),
        (json!({ "database": "crm" }), "crm crm.sql.gz"),
        (json!({ "table": "shop.orders" }), "whole full.sql.gz"),
        (json!({ "table": "shop.items" }), "tables items.sql.gz"),
        (json!({ "table": "shop.a.b" }), "tables a.b.sql.gz"),
        (json!({ "table": "crm.items" }), "crm crm.sql.gz"),
    ] {
        assert_eq!(find(&shop, json!({ "covers": covers })).await, wanted, "{covers}");
    }
}

#[tokio::test]
async fn one_of_everything_that_is_younger_than_a_drop_is_passed_over_with_a_word() {
    let shop = shop().await;
    // Made while crm was not there.
    shop.backup("later", "2026-11-22T13:00:00Z").await;
    let test = shop.context();
    let params = json!({ "store": "primary", "covers": { "table": "crm.orders" } });
    assert_eq!(shop.run_in(&test, "backup.find", params.clone()).await.unwrap()["id"], "crm");
    insta::assert_snapshot!(test.reporter.warnings().join("\n"), @"passed over the backup `later`: it does not hold the table `crm.orders`");
    // An index says as much.
    let index = Key::new("backups/shop/index.json").unwrap();
    shop.primary.delete(&index).await.unwrap();
    assert_eq!(shop.run("backup.find", params).await.unwrap()["id"], "crm");
}

#[tokio::test]
async fn what_no_backup_holds_is_told_with_what_each_holds() {
    let shop = shop().await;
    insta::assert_snapshot!(find(&shop, json!({ "covers": { "database": "wiki" } })).await, @r"
    there is no usable backup of cluster `shop` in store `primary` that holds the database `wiki`: passed over the backup `whole`: it does not hold the database `wiki`; passed over the backup `tables`: it holds only shop.a.b, shop.items; passed over the backup `crm`: it holds only crm
    help: `rekindle backups list` shows what is there
    ");
    insta::assert_snapshot!(find(&shop, json!({ "covers": { "table": "orders" } })).await, @r"
    `orders` names no table of a database
    help: write `database.table`, as in `shop.orders`
    ");
}

#[tokio::test]
async fn where_there_are_parts_only_it_is_said_what_to_do() {
    let shop = Shop::new();
    shop.partial("crm", "2026-11-22T11:00:00Z", ObjectRole::Databases, &["crm"]).await;
    insta::assert_snapshot!(find(&shop, json!({})).await, @r"
    there is no usable backup of cluster `shop` in store `primary`: passed over the backup `crm`: it holds only crm
    help: make one of everything: `rekindle run backup`; `restore-database` and `restore-table` bring back what the others hold, and one of them is taken by its id
    ");
}

#[tokio::test]
async fn a_part_is_taken_by_its_id_with_a_warning_and_refused_where_the_whole_is_asked_for() {
    let shop = shop().await;
    let test = shop.context();
    let by_id = json!({ "store": "primary", "backup": "crm" });
    assert_eq!(shop.run_in(&test, "backup.find", by_id).await.unwrap()["covers"], "only crm");
    insta::assert_snapshot!(test.reporter.warnings().join("\n"), @"the backup `crm` is taken as asked, though it holds only crm");
    let by_uri = json!({ "backup": "backup://primary/shop/crm", "covers": "server" });
    insta::assert_snapshot!(find(&shop, by_uri).await, @r"
    the backup `crm` holds only crm
    help: choose another one: `rekindle backups list` shows them with what is known of each
    ");
    insta::assert_snapshot!(find(&shop, json!({ "backup": "whole", "covers": { "database": "crm" } })).await, @r"
    the backup `whole` does not hold the database `crm`
    help: choose another one: `rekindle backups list` shows them with what is known of each
    ");
}

#[test]
fn the_plan_says_what_it_has_to_hold_and_nonsense_is_refused() {
    let plan = |covers: Value| {
        let params = json!({ "store": "primary", "covers": covers });
        let typed = serde_json::from_value(params.clone());
        typed.map(|typed| FindStep.plan(&Planned::known(typed, params)).unwrap().summary)
    };
    let told = [json!("server"), json!({ "table": "shop.orders" }), json!({ "database": "shop" })];
    insta::assert_snapshot!(told.map(|covers| plan(covers).unwrap()).join("\n"), @r"
    find the backup `latest` in primary
    find the backup `latest` that holds the table shop.orders in primary
    find the backup `latest` that holds the database shop in primary
    ");
    for wrong in [json!("servers"), json!({ "databases": "shop" }), json!({ "database": 7 }), json!([])] {
        assert!(plan(wrong.clone()).is_err(), "{wrong}");
    }
}
