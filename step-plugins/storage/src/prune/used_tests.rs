//! What another run works with is not taken away from it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rekindle_engine::environment::Settings;
use rekindle_engine::host::{AtWork, OtherRuns};
use rekindle_engine::step::ErrorClass;
use serde_json::json;

use super::PruneStep;
use crate::testing::Shop;

/// Tells each time the next thing.
struct Told(Mutex<Vec<Result<Vec<AtWork>, String>>>);

#[async_trait]
impl OtherRuns for Told {
    async fn at_work(&self, _: &Settings) -> Result<Vec<AtWork>, String> {
        let mut told = self.0.lock().unwrap();
        if told.len() > 1 { told.remove(0) } else { told[0].clone() }
    }
}

fn recovery(run: &str, id: &str) -> AtWork {
    AtWork { run: run.into(), says: format!(r#"{{"uri":"backup://primary/shop/{id}"}}"#) }
}

async fn shop(told: Vec<Result<Vec<AtWork>, String>>) -> Shop {
    let mut shop = Shop::new();
    for (id, hour) in [("a", 10), ("b", 11), ("c", 12)] {
        shop.backup(id, &format!("2026-11-22T{hour}:00:00Z")).await;
    }
    shop.world.world.others = Arc::new(Told(Mutex::new(told)));
    shop
}

fn params() -> serde_json::Value {
    json!({ "store": "primary", "keep": { "keep_last": 1 } })
}

#[tokio::test]
async fn a_backup_that_a_recovery_goes_on_with_stays_and_the_preview_said_so() {
    let shop = shop(vec![Ok(vec![recovery("recovery", "a")])]).await;
    let notes = shop.preflight(&PruneStep, params()).await.notes;
    insta::assert_snapshot!(notes.join("\n"), @r"
    keep c: the newest, last 1
    remove b: no rule keeps it
    keep a: in use by run recovery
    ");
    let outputs = shop.run("backup.prune", params()).await.unwrap();
    assert_eq!(outputs["kept"][1], json!({ "id": "a", "reason": "in use by run recovery" }));
    assert_eq!((shop.objects("a").len(), shop.objects("b").len()), (7, 0));
}

#[tokio::test]
async fn what_the_run_itself_names_is_not_in_use_by_another() {
    let test = Shop::new().context();
    let shop = shop(vec![Ok(vec![recovery(test.cx.run().as_str(), "a")])]).await;
    shop.run("backup.prune", params()).await.unwrap();
    assert!(shop.objects("a").is_empty());
}

#[tokio::test]
async fn a_recovery_that_begins_after_the_decision_is_heeded() {
    let none = || Ok(Vec::new());
    let shop = shop(vec![none(), none(), Ok(vec![recovery("recovery", "b")])]).await;
    let outputs = shop.run("backup.prune", params()).await.unwrap();
    assert!(shop.objects("a").is_empty(), "the oldest goes first");
    assert_eq!(shop.objects("b").len(), 7);
    assert_eq!(outputs["kept"][1], json!({ "id": "b", "reason": "in use by run recovery" }));
}

#[tokio::test]
async fn nothing_goes_while_nobody_knows_what_other_runs_are_at() {
    let shop = shop(vec![Err("the journals are out of reach".to_owned())]).await;
    let error = shop.run("backup.prune", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    insta::assert_snapshot!(error.message, @"failed to find out which backups other runs work with: the journals are out of reach");
    assert_eq!(shop.objects("a").len(), 7);
}
