//! Which backup is chosen, and what is said when there is none.

use rekindle_backup::catalogue::{self, Trust};
use rekindle_backup::verdict::Level;
use rekindle_engine::host::StoreErrorKind;
use rekindle_engine::id::StoreName;
use rekindle_engine::testing::Operation;
use serde_json::{Value, json};

use super::FindStep;
use crate::testing::{Shop, key};

async fn shop() -> Shop {
    let shop = Shop::new();
    shop.backup("20261122T100000Z-aaaa", "2026-11-22T10:00:00Z").await;
    shop.backup("20261122T120000Z-bbbb", "2026-11-22T12:00:00Z").await;
    shop.backup("20261122T140000Z-cccc", "2026-11-22T14:00:00Z").await;
    shop
}

/// Gives the id found, or error and help.
async fn find(shop: &Shop, more: Value) -> String {
    let mut params = json!({ "store": "primary" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match shop.run("backup.find", params).await {
        Ok(outputs) => outputs["id"].as_str().unwrap().to_owned(),
        Err(error) => format!("{}\nhelp: {}", error.message, error.help.unwrap_or_default()),
    }
}

#[tokio::test]
async fn the_latest_is_told_with_all_that_later_steps_need() {
    let shop = shop().await;
    shop.verdict("20261122T140000Z-cccc", Level::Content, true).await;
    let outputs = shop.run("backup.find", json!({ "store": "primary" })).await.unwrap();
    let size = outputs["size_bytes"].as_u64().unwrap();
    assert!(size > 10_000);
    assert_eq!(
        outputs,
        json!({
            "uri": "backup://primary/shop/20261122T140000Z-cccc",
            "id": "20261122T140000Z-cccc",
            "store": "primary",
            "cluster": "shop",
            "consistent_at": "2026-11-22T14:00:00Z",
            "recovery_point": "2026-11-22T14:00:00Z",
            "keeps_gtids": true,
            "age_seconds": 3601,
            "size_bytes": size,
            "kind": "logical",
            "covers": "everything",
            "object": "full.sql.gz",
            "flavour": "mariadb",
            "version": "10.11.14-MariaDB-log",
            "verified": ["content"],
            "databases": 1,
            "tables": 2,
            "rows": 207,
        })
    );
}

#[tokio::test]
async fn a_backup_is_found_by_id_by_uri_and_by_time() {
    let shop = shop().await;
    let wanted = "20261122T120000Z-bbbb";
    assert_eq!(find(&shop, json!({ "backup": wanted })).await, wanted);
    assert_eq!(find(&shop, json!({ "backup": format!("backup://primary/shop/{wanted}") })).await, wanted);
    assert_eq!(find(&shop, json!({ "before": "2026-11-22T13:59:59Z" })).await, wanted);
    assert_eq!(find(&shop, json!({ "before": "2026-11-22T12:00:00Z" })).await, wanted);
}

#[tokio::test]
async fn the_latest_with_all_labels_is_found() {
    let shop = shop().await;
    let wanted = "20261122T120000Z-bbbb";
    for (id, labels) in [
        ("20261122T100000Z-aaaa", json!({ "grade": "gold", "ticket": "7" })),
        (wanted, json!({ "grade": "gold", "ticket": "7" })),
        ("20261122T140000Z-cccc", json!({ "grade": "gold", "ticket": "8" })),
    ] {
        let mark = json!({ "backup": format!("backup://primary/shop/{id}"), "labels": labels });
        shop.run("backup.mark", mark).await.unwrap();
    }
    assert_eq!(find(&shop, json!({ "labels": { "grade": "gold", "ticket": "7" } })).await, wanted);
    insta::assert_snapshot!(find(&shop, json!({ "labels": { "ticket": "9" }, "before": "2026-11-22T13:00:00Z" })).await, @r"
    there is no usable backup of cluster `shop` in store `primary`: passed over the backup `20261122T140000Z-cccc`: it is of 2026-11-22T14:00:00Z, which is too late; passed over the backup `20261122T120000Z-bbbb`: it has the label ticket=7, not ticket=9; passed over the backup `20261122T100000Z-aaaa`: it has the label ticket=7, not ticket=9
    help: `rekindle backups list` shows what is there
    ");
    let named = find(&shop, json!({ "backup": wanted, "labels": { "vault": "x" } })).await;
    assert!(named.starts_with(&format!("the backup `{wanted}` has no label vault=x")), "{named}");
}

#[tokio::test]
async fn only_a_proven_backup_will_do_when_asked_for() {
    let shop = shop().await;
    shop.verdict("20261122T100000Z-aaaa", Level::Objects, true).await;
    assert_eq!(find(&shop, json!({ "verified": true })).await, "20261122T100000Z-aaaa");
    assert_eq!(find(&shop, json!({})).await, "20261122T140000Z-cccc");
    shop.verdict("20261122T100000Z-aaaa", Level::Content, false).await;
    insta::assert_snapshot!(find(&shop, json!({ "verified": true })).await, @r"
    there is no verified backup of cluster `shop` in store `primary`: passed over the backup `20261122T140000Z-cccc`: it is not verified; passed over the backup `20261122T120000Z-bbbb`: it is not verified; passed over the backup `20261122T100000Z-aaaa`: it was found bad by a verification
    help: `rekindle backups verify ID` proves one; `verified: false` takes the latest as it is, unproven
    ");
    insta::assert_snapshot!(find(&shop, json!({ "verified": true, "backup": "20261122T120000Z-bbbb" })).await, @r"
    the backup `20261122T120000Z-bbbb` is not verified
    help: choose another one: `rekindle backups list` shows them with what is known of each
    ");
}

#[tokio::test]
async fn the_latest_passes_over_what_is_known_to_be_bad_and_says_so() {
    let shop = shop().await;
    shop.primary.flip_byte(&key("20261122T140000Z-cccc", "manifest.json"), 500);
    shop.verdict("20261122T120000Z-bbbb", Level::Objects, false).await;
    let test = shop.context();
    let outputs = shop.run_in(&test, "backup.find", json!({ "store": "primary" })).await.unwrap();
    assert_eq!(outputs["id"], "20261122T100000Z-aaaa");
    insta::assert_snapshot!(test.reporter.warnings().join("\n"), @r"
    passed over the backup `20261122T140000Z-cccc`: it can't be read: `manifest.json` of backup://primary/shop/20261122T140000Z-cccc is damaged: its bytes do not match its own checksum: it was damaged or changed after it was written
    passed over the backup `20261122T120000Z-bbbb`: it was found bad by a verification
    ");
}

#[tokio::test]
async fn the_latest_passes_over_what_is_archived_and_says_so() {
    let shop = shop().await;
    shop.primary.refuse(&key("20261122T140000Z-cccc", "manifest.json"), StoreErrorKind::Archived);
    let test = shop.context();
    let outputs = shop.run_in(&test, "backup.find", json!({ "store": "primary" })).await.unwrap();
    assert_eq!(outputs["id"], "20261122T120000Z-bbbb");
    insta::assert_snapshot!(test.reporter.warnings().join("\n"), @"passed over the backup `20261122T140000Z-cccc`: it can't be read: failed to read `backups/shop/20261122T140000Z-cccc/manifest.json` in memory:primary: refused by the test");
    insta::assert_snapshot!(find(&shop, json!({ "backup": "20261122T140000Z-cccc" })).await, @r"
    failed to read `backups/shop/20261122T140000Z-cccc/manifest.json` in memory:primary: refused by the test
    help: bring it back with the provider's own tool, which takes hours, then resume the run
    ");
}

#[tokio::test]
async fn a_bad_backup_is_taken_only_when_named_and_with_a_warning() {
    let shop = shop().await;
    let id = "20261122T120000Z-bbbb";
    shop.verdict(id, Level::Objects, false).await;
    let test = shop.context();
    let params = json!({ "store": "primary", "backup": id });
    assert_eq!(shop.run_in(&test, "backup.find", params).await.unwrap()["id"], id);
    assert!(test.reporter.warnings()[0].contains("its verification failed"));
    shop.primary.flip_byte(&key(id, "manifest.json"), 500);
    assert!(find(&shop, json!({ "backup": id })).await.starts_with("`manifest.json` of"));
}

#[tokio::test]
async fn an_unknown_id_names_the_nearest() {
    let shop = shop().await;
    insta::assert_snapshot!(find(&shop, json!({ "backup": "20261122T120000Z-bbb" })).await, @r"
    there is no backup `20261122T120000Z-bbb` of cluster `shop` in store `primary`
    help: did you mean `20261122T120000Z-bbbb`? the newest are `20261122T140000Z-cccc`, `20261122T120000Z-bbbb`, `20261122T100000Z-aaaa`
    ");
    insta::assert_snapshot!(find(&shop, json!({ "backup": "yesterday" })).await, @r"
    there is no backup `yesterday` of cluster `shop` in store `primary`
    help: the newest are `20261122T140000Z-cccc`, `20261122T120000Z-bbbb`, `20261122T100000Z-aaaa`; `rekindle backups list` shows all
    ");
}

#[tokio::test]
async fn a_cluster_without_backups_is_told() {
    let shop = Shop::new();
    // A dump without a manifest is no backup.
    shop.dump("20261122T100000Z-aaaa", "2026-11-22T10:00:00Z");
    insta::assert_snapshot!(find(&shop, json!({})).await, @r"
    there is no backup of cluster `shop` in store `primary`
    help: `rekindle backups list` shows what is there; `cluster:` names another cluster
    ");
}

#[tokio::test]
async fn what_an_index_remembers_of_a_backup_that_was_damaged_since_is_not_believed() {
    let shop = shop().await;
    let store = StoreName::from("primary");
    let found = catalogue::scan(&*shop.primary, &store, Some("shop"), Trust::Nothing).await.unwrap();
    let later = "2026-01-02T00:00:00Z".parse().unwrap();
    catalogue::write_index(&*shop.primary, "shop", &found, later).await.unwrap();
    let newest = "20261122T140000Z-cccc";
    assert_eq!(find(&shop, json!({})).await, newest);
    // As a bad disk does it: with the same size and time.
    shop.primary.flip_byte(&key(newest, "manifest.json"), 300);
    assert_eq!(find(&shop, json!({})).await, "20261122T120000Z-bbbb");
}

#[tokio::test]
async fn a_time_before_all_backups_is_told() {
    let shop = shop().await;
    insta::assert_snapshot!(find(&shop, json!({ "before": "2026-11-22T09:00:00Z" })).await, @r"
    there is no usable backup of cluster `shop` in store `primary`: passed over the backup `20261122T140000Z-cccc`: it is of 2026-11-22T14:00:00Z, which is too late; passed over the backup `20261122T120000Z-bbbb`: it is of 2026-11-22T12:00:00Z, which is too late; passed over the backup `20261122T100000Z-aaaa`: it is of 2026-11-22T10:00:00Z, which is too late
    help: `rekindle backups list` shows what is there
    ");
}

#[tokio::test]
async fn a_uri_that_contradicts_the_other_parameters_is_refused() {
    let shop = shop().await;
    for (params, wanted) in [
        (json!({ "backup": "backup://offsite/shop/x" }), "lies in `offsite`, but `store` says `primary`"),
        (
            json!({ "backup": "backup://primary/shop/x", "cluster": "c" }),
            "is of `shop`, but `cluster` says `c`",
        ),
        (json!({ "backup": "backup://primary/x" }), "names no backup"),
    ] {
        let error = find(&shop, params).await;
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_can_not_be_read_is_a_problem_beforehand() {
    let shop = shop().await;
    shop.primary.fail(Operation::List, 1, StoreErrorKind::NotFound);
    let found = shop.preflight(&FindStep, json!({ "store": "primary" })).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::store::not_readable: the store `primary` can't be read: failed to list `backups/shop/` in memory:primary: a fault of the test (/store)
      help: check the store's `url:` in the environment, and that it is mounted
    ");
    let found = shop.preflight(&FindStep, json!({ "store": "nowhere" })).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::store::unusable: the environment has no store `nowhere` (/store)
      help: it has primary, offsite; declare others under `stores:`
    ");
}

#[test]
fn its_age_is_known_to_change_with_every_look() {
    let mut registry = rekindle_engine::step::Registry::default();
    registry.register(super::FindStep);
    let outputs = &registry.get("backup.find").unwrap().info().outputs;
    let volatile = outputs.get("properties").unwrap().as_object().unwrap().iter();
    let volatile = volatile.filter(|(_, schema)| schema.get("x-volatile").is_some()).map(|(name, _)| name);
    assert_eq!(volatile.collect::<Vec<_>>(), ["age_seconds"]);
}
