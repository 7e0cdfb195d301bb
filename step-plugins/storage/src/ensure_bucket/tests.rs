//! What is changed about a bucket, and when nothing is.

use rekindle_engine::host::{BucketFacts, ObjectStore as _, Setting, StoreErrorKind};
use rekindle_engine::step::Probe;
use serde_json::{Value, json};

use super::*;
use crate::testing::Shop;

fn params() -> Value {
    json!({ "store": "primary" })
}

fn facts(versioning: Setting, public_access_blocked: Setting) -> BucketFacts {
    BucketFacts { location: Some("eu-central-1".to_owned()), versioning, public_access_blocked }
}

async fn probe(shop: &Shop) -> Probe<EnsureBucketOutputs> {
    let params = serde_json::from_value(params()).unwrap();
    EnsureBucketStep.probe(&params, &shop.context().cx).await.unwrap()
}

#[tokio::test]
async fn a_missing_bucket_is_made_and_set_and_the_preview_said_so() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_facts(None);
    assert_eq!(probe(&shop).await, Probe::Absent);
    let notes = shop.preflight(&EnsureBucketStep, params()).await.notes;
    assert_eq!(bucket.changes(), 0, "a preview touches nothing");
    let outputs = shop.run("store.ensure-bucket", params()).await.unwrap();
    assert_eq!(outputs["changed"], json!(notes));
    assert_eq!((&outputs["versioning"], &outputs["public_access_blocked"]), (&json!("on"), &json!("on")));
    insta::assert_snapshot!(notes.join("\n"), @r"
    make the bucket `memory`
    block public access to the bucket `memory`
    let the bucket `memory` keep versions
    ");
    assert!(matches!(probe(&shop).await, Probe::Complete(_)));
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_says_so() {
    let shop = Shop::new();
    let test = shop.context();
    let outputs = shop.run_in(&test, "store.ensure-bucket", params()).await.unwrap();
    assert_eq!((&outputs["changed"], shop.primary.memory_bucket().changes()), (&json!([]), 0));
    insta::assert_snapshot!(test.reporter.logs().join("\n"), @"the bucket `memory` is as it should be: nothing is changed");
    let notes = shop.preflight(&EnsureBucketStep, params()).await.notes;
    insta::assert_snapshot!(notes.join("\n"), @"the bucket `memory` is as it should be");
}

#[tokio::test]
async fn only_what_is_not_as_it_should_be_is_changed() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_facts(Some(facts(Setting::Off, Setting::On)));
    let outputs = shop.run("store.ensure-bucket", params()).await.unwrap();
    assert_eq!(outputs["changed"], json!(["let the bucket `memory` keep versions"]));

    bucket.set_facts(Some(facts(Setting::Off, Setting::Off)));
    let as_it_is = json!({ "store": "primary", "versioning": false });
    let outputs = shop.run("store.ensure-bucket", as_it_is).await.unwrap();
    assert_eq!(outputs["changed"], json!(["block public access to the bucket `memory`"]));
    assert_eq!(outputs["versioning"], "off");
}

#[tokio::test]
async fn what_a_service_does_not_have_is_not_set_and_told() {
    let shop = Shop::new();
    shop.primary.memory_bucket().set_facts(Some(facts(Setting::On, Setting::NotApplicable)));
    let test = shop.context();
    shop.run_in(&test, "store.ensure-bucket", params()).await.unwrap();
    insta::assert_snapshot!(test.reporter.logs().join("\n"), @r"
    the bucket `memory` is as it should be: nothing is changed
    blocking public access is not applicable to the bucket `memory`
    ");
}

#[tokio::test]
async fn what_does_not_read_back_is_no_success() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_facts(Some(facts(Setting::Off, Setting::On)));
    bucket.forget_changes();
    let error = shop.run("store.ensure-bucket", params()).await.unwrap_err();
    assert_eq!(bucket.changes(), 1, "a change is not asked for again while it may only be slow to show");
    insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help.clone().unwrap()), @r"
    the bucket `memory` does not read back as it was set
    help: somebody else may be changing it: look at it, then run this again
    ");
}

#[tokio::test]
async fn a_bucket_that_can_not_be_made_is_an_error() {
    let shop = Shop::new();
    let bucket = shop.primary.memory_bucket();
    bucket.set_facts(None);
    bucket.fail(StoreErrorKind::AlreadyExists);
    let error = shop.run("store.ensure-bucket", params()).await.unwrap_err();
    assert_eq!(error.class, rekindle_engine::step::ErrorClass::Permanent);
    assert_eq!(probe(&shop).await, Probe::Absent);
}

#[tokio::test]
async fn a_folder_is_made_and_the_rest_is_said_to_mean_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let store = crate::FileStore::new(parent.path().join("a/b"));
    let params = serde_json::from_value(params()).unwrap();
    let notes = run::preview(&params, &store).await.unwrap();
    assert!(!store.root().exists(), "a preview touches nothing");
    let bucket = store.bucket().unwrap();
    bucket.change(rekindle_engine::host::BucketChange::Create).await.unwrap();
    assert!(store.root().is_dir());
    let after = run::preview(&params, &store).await.unwrap();
    let root = store.root().display().to_string();
    insta::assert_snapshot!([notes, after].concat().join("\n").replace(&root, "FOLDER"), @r"
    make the folder FOLDER
    versions and public access are not applicable: it is a folder
    the folder FOLDER is as it should be
    versions and public access are not applicable: it is a folder
    ");
    assert_eq!(bucket.lifecycle().await.unwrap_err().kind, StoreErrorKind::Invalid);
}
