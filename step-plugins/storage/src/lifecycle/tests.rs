//! What is changed about a bucket's rules, what stays, and that nothing is believed that does not read back.

use rekindle_engine::environment::{Lifecycle, Provider, Settings, Transition};
use rekindle_engine::host::{Key, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, PreflightContext, Probe};
use rekindle_engine::testing::{self, TestContext};
use serde_json::{Value, json};

use super::*;
use crate::testing::Shop;

fn guide() -> Lifecycle {
    let to = |days, class: &str| Transition { after: Lifecycle::age(days), class: class.to_owned() };
    Lifecycle {
        id: Some("mysql-backup-lifecycle".to_owned()),
        transitions: vec![to(30, "STANDARD_IA"), to(90, "GLACIER")],
        expire: Some(Lifecycle::age(2555)),
        ..Lifecycle::default()
    }
}

fn settings(lifecycle: Option<Lifecycle>) -> Settings {
    let mut settings = Shop::settings();
    settings.stores.get_mut(&StoreName::from("primary")).unwrap().lifecycle = lifecycle;
    settings
}

fn context(shop: &Shop) -> TestContext {
    testing::context(&shop.world).settings(settings(Some(guide()))).build()
}

fn preflight_context(shop: &Shop, lifecycle: Option<Lifecycle>) -> PreflightContext {
    testing::context(&shop.world).settings(settings(lifecycle)).preflight([])
}

fn params() -> Value {
    json!({ "store": "primary" })
}

fn typed() -> LifecycleParams {
    serde_json::from_value(params()).unwrap()
}

async fn preflight(shop: &Shop, lifecycle: Option<Lifecycle>) -> Preflight {
    let cx = preflight_context(shop, lifecycle);
    LifecycleStep.preflight(&Planned::known(typed(), params()), &cx).await
}

async fn run(shop: &Shop) -> Result<Value, StepError> {
    shop.run_in(&context(shop), "store.lifecycle", params()).await
}

fn of_others() -> Value {
    json!({ "ID": "logs", "Status": "Enabled", "Filter": { "Prefix": "logs/" }, "Expiration": { "Days": 7 } })
}

#[tokio::test]
async fn declared_rules_are_added_read_back_and_those_of_others_stay() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_rules(vec![of_others()]);
    let notes = preflight(&shop, Some(guide())).await.notes;
    assert_eq!(bucket.changes(), 0, "a preview touches nothing");
    insta::assert_snapshot!(notes.join("\n"), @r"
    add rule `mysql-backup-lifecycle` below `mysql/`: STANDARD_IA after 30d, GLACIER after 90d, deleted after 2555d
    add rule `mysql-backup-lifecycle-leftovers` below `mysql/`: unfinished uploads removed after 7d
    not declared here, stays: rule `logs` below `logs/`: deleted after 7d
    what is older than 90d can be read only after up to 5h
    the bucket `memory` keeps versions: what is deleted in it stays, and is paid for, without `expire_noncurrent`
    ");
    let outputs = run(&shop).await.unwrap();
    assert_eq!((&outputs["changed"], &outputs["other_rules"]), (&json!(true), &json!(1)));
    let rules = bucket.rules();
    assert_eq!((rules.len(), &rules[0]), (3, &of_others()));
    assert_eq!(rules[1]["Filter"]["Prefix"], "mysql/");
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let shop = Shop::new();
    assert_eq!(LifecycleStep.probe(&typed(), &context(&shop).cx).await.unwrap(), Probe::Absent);
    run(&shop).await.unwrap();
    assert!(matches!(LifecycleStep.probe(&typed(), &context(&shop).cx).await.unwrap(), Probe::Complete(_)));
    let again = run(&shop).await.unwrap();
    assert_eq!((&again["changed"], shop.primary.memory_bucket().changes()), (&json!(false), 1));
    let notes = preflight(&shop, Some(guide())).await.notes;
    insta::assert_snapshot!(notes.join("\n"), @r"
    the bucket `memory` has the declared rules already
    already there: rule `mysql-backup-lifecycle` below `mysql/`: STANDARD_IA after 30d, GLACIER after 90d, deleted after 2555d
    already there: rule `mysql-backup-lifecycle-leftovers` below `mysql/`: unfinished uploads removed after 7d
    what is older than 90d can be read only after up to 5h
    the bucket `memory` keeps versions: what is deleted in it stays, and is paid for, without `expire_noncurrent`
    ");
}

#[tokio::test]
async fn a_rule_of_the_same_id_is_replaced() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    let older = json!({ "ID": "mysql-backup-lifecycle", "Status": "Enabled", "Filter": { "Prefix": "" },
        "Expiration": { "Days": 10 } });
    bucket.set_rules(vec![older.clone()]);
    let notes = preflight(&shop, Some(guide())).await.notes;
    insta::assert_snapshot!(notes.join("\n"), @r"
    remove rule `mysql-backup-lifecycle` everywhere: deleted after 10d
    add rule `mysql-backup-lifecycle` below `mysql/`: STANDARD_IA after 30d, GLACIER after 90d, deleted after 2555d
    add rule `mysql-backup-lifecycle-leftovers` below `mysql/`: unfinished uploads removed after 7d
    what is older than 90d can be read only after up to 5h
    the bucket `memory` keeps versions: what is deleted in it stays, and is paid for, without `expire_noncurrent`
    ");
    run(&shop).await.unwrap();
    assert!(!bucket.rules().contains(&older));
    assert_eq!(bucket.rules().len(), 2);
}

#[tokio::test]
async fn rules_of_others_about_the_same_objects_are_pointed_at() {
    let shop = Shop::new();
    let early = json!({ "ID": "early", "Status": "Enabled", "Prefix": "", "Expiration": { "Days": 10 } });
    shop.primary.memory_bucket().set_rules(vec![early]);
    let notes = preflight(&shop, Some(guide())).await.notes;
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("not declared here, and about some of the same objects, stays:")),
        "{notes:#?}"
    );
}

#[tokio::test]
async fn in_a_bucket_of_google_those_for_the_same_prefix_are_replaced() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_place(Some(Provider::Gcs), "mysql/");
    let rule = |days: u32, prefix: &str| json!({ "action": { "type": "Delete" }, "condition": { "age": days, "matchesPrefix": [prefix] } });
    bucket.set_rules(vec![rule(3, "mysql/"), rule(3, "logs/"), rule(2555, "mysql/")]);
    let lifecycle = Lifecycle { id: None, transitions: Vec::new(), ..guide() };
    let test = testing::context(&shop.world).settings(settings(Some(lifecycle))).build();
    shop.run_in(&test, "store.lifecycle", params()).await.unwrap();
    assert_eq!(bucket.rules(), [rule(3, "logs/"), rule(2555, "mysql/")]);
}

#[tokio::test]
async fn what_does_not_read_back_is_no_success() {
    let shop = Shop::new();
    shop.primary.memory_bucket().forget_changes();
    let error = run(&shop).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help.clone().unwrap()), @r"
    the rules of the bucket `memory` do not read back as they were written
    help: somebody else may be changing them: look at them, then run this again
    ");
}

#[tokio::test]
async fn a_change_that_is_refused_is_an_error() {
    let shop = Shop::new();
    shop.primary.memory_bucket().fail(StoreErrorKind::Denied);
    assert_eq!(run(&shop).await.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(shop.primary.memory_bucket().rules(), Vec::<Value>::new());
}

#[tokio::test]
async fn rules_that_would_take_journals_are_refused_beforehand_and_when_run() {
    let shop = Shop::new();
    shop.primary.insert(&Key::new("runs/events/r/000000000000.jsonl").unwrap(), "{}");
    let found = preflight(&shop, Some(guide())).await;
    insta::assert_snapshot!(found.problems[0], @r"
    rekindle::preflight::failed: the rules would take the journals and locks of runs that lie in memory:primary below `runs/`
      help: say what they are about, as in `lifecycle: { prefix: backups/, … }`
    ");
    run(&shop).await.unwrap_err();
    assert_eq!(shop.primary.memory_bucket().changes(), 0);

    let backups = Lifecycle { prefix: Some("backups/".to_owned()), ..guide() };
    assert!(preflight(&shop, Some(backups)).await.problems.is_empty());
    let versions = Lifecycle { expire_noncurrent: Some(Lifecycle::age(30)), ..Lifecycle::default() };
    assert!(preflight(&shop, Some(versions)).await.problems.is_empty());
}

#[tokio::test]
async fn a_store_without_a_declaration_is_told_before_anything_starts() {
    let found = preflight(&Shop::new(), None).await;
    insta::assert_snapshot!(found.problems[0], @r"
    rekindle::store::no_lifecycle: the environment declares no lifecycle for the store `primary` (/store)
      help: add `lifecycle:` to the store, as in `stores: { primary: { url: …, lifecycle: { expire: 365d } } }`
    ");
}

#[tokio::test]
async fn a_folder_has_no_rules_and_a_bucket_that_is_still_to_be_made_none_yet() {
    let shop = Shop::new();
    shop.primary.memory_bucket().set_place(None, "");
    let found = preflight(&shop, Some(guide())).await;
    insta::assert_snapshot!(found.problems[0], @r"
    rekindle::preflight::failed: memory:primary has no lifecycle rules: it is no bucket
      help: let `backup.prune` thin out the backups there
    ");
    shop.primary.memory_bucket().set_place(Some(Provider::S3), "mysql/");
    shop.primary.memory_bucket().set_facts(None);
    let found = preflight(&shop, Some(guide())).await;
    assert_eq!(
        (found.problems, found.notes[0].as_str()),
        (Vec::new(), "the bucket `memory` is not there yet")
    );
}

#[test]
fn it_needs_consent_as_what_destroys_does() {
    assert_eq!(LifecycleStep::EFFECT, Effect::Destroy);
}
