//! Backups of a part thin out each other, and never one of the whole server.

use rekindle_backup::manifest::ObjectRole;
use rekindle_backup::verdict::Level;
use serde_json::{Value, json};

use super::PruneStep;
use crate::testing::Shop;

/// Two of everything, the older one verified, then three of the database crm and one of a table, all verified.
async fn shop() -> Shop {
    let shop = Shop::new();
    for (id, hour) in [("a", 8), ("b", 9)] {
        shop.backup(id, &format!("2026-11-22T0{hour}:00:00Z")).await;
    }
    for (id, hour) in [("p", 10), ("q", 11), ("r", 12)] {
        shop.partial(id, &format!("2026-11-22T{hour}:00:00Z"), ObjectRole::Databases, &["crm"]).await;
    }
    shop.partial("t", "2026-11-22T13:00:00Z", ObjectRole::Tables, &["items"]).await;
    for id in ["a", "p", "q", "r", "t"] {
        shop.verdict(id, Level::Content, true).await;
    }
    shop
}

async fn notes(shop: &Shop, params: Value) -> String {
    shop.preflight(&PruneStep, params).await.notes.join("\n")
}

#[tokio::test]
async fn newer_parts_cost_no_backup_of_everything() {
    let shop = shop().await;
    let params = json!({ "store": "primary", "keep": { "keep_last": 1 } });
    insta::assert_snapshot!(notes(&shop, params.clone()).await, @r"
    keep t: the newest (only shop.items), the last verified (only shop.items), last 1 (only shop.items)
    keep r: the newest (only crm), the last verified (only crm), last 1 (only crm)
    remove q: no rule keeps it
    remove p: no rule keeps it
    keep b: the newest (logical), last 1 (logical)
    keep a: the last verified (logical)
    ");
    shop.run("backup.prune", params).await.unwrap();
    let left = |id: &str| !shop.objects(id).is_empty();
    assert_eq!(["a", "b", "p", "q", "r", "t"].map(left), [true, true, false, false, true, true]);
}

#[tokio::test]
async fn the_rules_of_a_part_are_for_its_like_and_the_plan_says_so() {
    let shop = shop().await;
    let only = json!({ "kind": "logical", "databases": ["crm"] });
    let params = json!({ "store": "primary", "keep": { "keep_last": 1 }, "only": only });
    let planned = rekindle_engine::step::Planned::known(
        serde_json::from_value(params.clone()).unwrap(),
        params.clone(),
    );
    let intent = rekindle_engine::step::Step::plan(&PruneStep, &planned).unwrap();
    insta::assert_snapshot!(intent.summary, @"remove the backups in primary that no rule keeps (keep last 1; only logical backups of crm)");
    insta::assert_snapshot!(notes(&shop, params).await, @r"
    keep t: the newest (only shop.items), the last verified (only shop.items)
    keep r: the newest (only crm), the last verified (only crm), last 1 (only crm)
    remove q: no rule keeps it
    remove p: no rule keeps it
    keep b: the newest (logical)
    keep a: the last verified (logical)
    ");
    let everything = json!({ "kind": "logical", "databases": [], "tables": [] });
    let params = json!({ "store": "primary", "keep": { "keep_within": "1h" }, "only": everything });
    insta::assert_snapshot!(notes(&shop, params).await, @r"
    keep t: the newest (only shop.items), the last verified (only shop.items)
    keep r: the newest (only crm), the last verified (only crm)
    keep q: the rules are for logical backups of everything
    keep p: the rules are for logical backups of everything
    keep b: the newest (logical)
    keep a: the last verified (logical)
    ");
}

#[tokio::test]
async fn misspelt_series_are_refused() {
    let shop = Shop::new();
    let kind = shop.kind("backup.prune");
    for only in [json!({}), json!({ "kind": "partial" }), json!({ "kind": "logical", "database": ["crm"] })] {
        let params = json!({ "store": "primary", "keep": { "keep_last": 1 }, "only": only });
        assert!(kind.check_params(&params).unwrap_err().pointer.starts_with("/only"), "{only}");
    }
}
