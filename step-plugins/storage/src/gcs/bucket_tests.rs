//! Buckets and their rules on a server of Google Cloud Storage.

use rekindle_emulators::GcsServer;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{Bucket, BucketChange, BucketFacts, LifecycleRule, Setting, StoreErrorKind};
use serde_json::json;

use super::GcsStore;
use super::open::open_with;
use crate::bucket::patience::Patience;

fn config(server: &GcsServer, url: &str) -> StoreConfig {
    StoreConfig {
        endpoint: Some(server.endpoint().to_owned()),
        anonymous: Some(true),
        ..StoreConfig::at(url)
    }
}

async fn open(config: &StoreConfig) -> GcsStore {
    open_with(config, Patience::of_a_test()).await.unwrap_or_else(|failure| panic!("{failure:?}"))
}

async fn bucket() -> (GcsStore, GcsServer) {
    let server = GcsServer::start("other").await.unwrap();
    let config = StoreConfig {
        project: Some("shop".to_owned()),
        location: Some("asia-northeast3".to_owned()),
        ..config(&server, "gs://backups/mysql")
    };
    (open(&config).await, server)
}

#[tokio::test]
async fn a_bucket_is_made_in_its_location_and_everything_set_reads_back() {
    let (bucket, _server) = bucket().await;
    assert_eq!(bucket.look().await.unwrap(), None);
    let (off, on) = (Setting::Off, Setting::On);
    let facts = |versioning, public_access_blocked| {
        Some(BucketFacts { location: Some("ASIA-NORTHEAST3".to_owned()), versioning, public_access_blocked })
    };
    // Each twice, as after a lost answer.
    for _ in 0..2 {
        bucket.change(BucketChange::Create).await.unwrap();
    }
    assert_eq!(bucket.look().await.unwrap(), facts(off, off));
    for _ in 0..2 {
        bucket.change(BucketChange::BlockPublicAccess).await.unwrap();
    }
    assert_eq!(bucket.look().await.unwrap(), facts(off, on));
    for _ in 0..2 {
        bucket.change(BucketChange::KeepVersions).await.unwrap();
    }
    assert_eq!(bucket.look().await.unwrap(), facts(on, on));
}

#[tokio::test]
async fn a_bucket_is_not_made_without_a_project() {
    let server = GcsServer::start("other").await.unwrap();
    let bucket = open(&config(&server, "gs://backups")).await;
    let error = bucket.change(BucketChange::Create).await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"failed to change gs://backups: a bucket is made in a project: set `project:` of the store to its id");
}

fn delete_after(days: u32, prefix: &str) -> LifecycleRule {
    json!({ "action": { "type": "Delete" }, "condition": { "age": days, "matchesPrefix": [prefix] } })
}

#[tokio::test]
async fn rules_are_changed_one_by_one_and_others_stay_as_they_are() {
    let (bucket, _server) = bucket().await;
    let missing = bucket.lifecycle().await.unwrap_err();
    assert_eq!(missing.kind, StoreErrorKind::Invalid, "{missing}");
    bucket.change(BucketChange::Create).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), Vec::<LifecycleRule>::new());
    let (ours, theirs) = (delete_after(3, "mysql/"), delete_after(4, "logs/"));
    bucket.change_lifecycle(&[], &[ours.clone(), theirs.clone()]).await.unwrap();
    let colder = json!({ "action": { "type": "SetStorageClass", "storageClass": "NEARLINE" },
        "condition": { "age": 30, "matchesPrefix": ["mysql/"] } });
    bucket.change_lifecycle(std::slice::from_ref(&ours), std::slice::from_ref(&colder)).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), [theirs.clone(), colder]);
    let late = bucket.change_lifecycle(&[ours], &[]).await.unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Changed);
    bucket.change_lifecycle(&bucket.lifecycle().await.unwrap(), &[]).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), Vec::<LifecycleRule>::new());
}
