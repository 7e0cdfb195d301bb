//! A copy arrives whole or not at all.

use std::sync::Arc;

use rekindle_backup::verdict::Level;
use rekindle_emulators::{Fault, S3Server};
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{ObjectStore, Secret, StoreError, StoreErrorKind, Stores};
use rekindle_engine::step::{ErrorClass, Probe};
use rekindle_engine::testing::{self, Operation};
use serde_json::{Value, json};

use super::CopyStep;
use crate::fault_bench::asked;
use crate::s3::tests::BUCKET;
use crate::s3::{self, S3Store};
use crate::testing::{Shop, key};

fn params() -> Value {
    json!({ "backup": "backup://primary/shop/b1", "to": "offsite" })
}

async fn shop() -> Shop {
    let shop = Shop::new();
    shop.backup("b1", "2026-11-22T14:00:00Z").await;
    shop
}

#[tokio::test]
async fn every_object_arrives_with_the_manifest_last() {
    let shop = shop().await;
    shop.verdict("b1", Level::Content, true).await;
    let outputs = shop.run("backup.copy", params()).await.unwrap();
    assert_eq!(outputs["uri"], "backup://offsite/shop/b1");
    assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(6), &json!(0)));
    for name in shop.objects("b1") {
        assert_eq!(shop.offsite.object(&key("b1", &name)), shop.primary.object(&key("b1", &name)), "{name}");
    }
    let written = shop.offsite.calls().into_iter().filter(|(call, _)| *call == Operation::Put);
    let order: Vec<String> = written.map(|(_, key)| key).collect();
    let last: Vec<_> = order.iter().rev().take(3).map(String::as_str).collect();
    let wanted =
        ["backups/shop/index.json", "backups/shop/b1/manifest.json", "backups/shop/b1/verified/content.json"];
    assert_eq!(last, wanted);
}

#[tokio::test]
async fn a_cut_copy_is_taken_up_where_it_broke_off() {
    let shop = shop().await;
    // The source breaks off in the third object; show() has read the manifest before.
    shop.primary.cut_get(4, 100);
    let error = shop.run("backup.copy", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert_eq!(shop.offsite.keys().len(), 2);

    let (kind, test) = (shop.kind("backup.copy"), shop.context());
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Absent);
    let outputs = shop.run("backup.copy", params()).await.unwrap();
    assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(4), &json!(2)));
    assert_eq!(shop.offsite.keys(), shop.primary.keys());
}

/// The memory stores, but some of them are buckets.
struct WithBuckets {
    memory: Arc<dyn Stores>,
    buckets: Vec<(&'static str, Arc<S3Store>)>,
}

#[async_trait::async_trait]
impl Stores for WithBuckets {
    async fn open(
        &self,
        config: &StoreConfig,
        identity: Option<Secret>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError> {
        match self.buckets.iter().find(|(url, _)| *url == config.url) {
            Some((_, bucket)) => Ok(bucket.clone()),
            None => self.memory.open(config, identity).await,
        }
    }
}

#[tokio::test]
async fn a_copy_that_was_killed_in_a_large_object_goes_on_inside_it() {
    let mut shop = Shop::new();
    shop.rows = 300_000;
    shop.backup("b1", "2026-11-22T14:00:00Z").await;
    let size = shop.primary.object(&key("b1", "full.sql.gz")).unwrap().len();
    assert_eq!(size / (5 << 20), 2, "{size} bytes are not three parts");
    let server = S3Server::start(BUCKET).await.unwrap();
    let mut bucket = s3::tests::open(&server, "s3://backups").await;
    bucket.least_part_bytes = 5 << 20;
    let memory = Arc::clone(&shop.world.world.stores);
    let buckets = vec![("memory:offsite", Arc::new(bucket))];
    shop.world.world.stores = Arc::new(WithBuckets { memory, buckets });
    let sent = |part: &str| {
        let seen = server.faults().seen();
        seen.iter().filter(|seen| seen.contains("full.sql.gz?") && seen.contains(part)).count()
    };
    server.faults().add("PUT", "full.sql.gz?x-id=UploadPart&partNumber=2&", 1, Fault::Stall);
    let killed = shop.context();
    let arrives = async {
        while sent("partNumber=2&") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = shop.run_in(&killed, "backup.copy", params()) => panic!("{done:?}"),
        () = arrives => {}
    }
    let checkpoint = killed.reporter.checkpoints().pop().unwrap();
    assert_eq!(checkpoint["of"], "full.sql.gz");

    let resumed =
        testing::context(&shop.world).settings(shop.settings.clone()).checkpoint(checkpoint).build();
    shop.run_in(&resumed, "backup.copy", params()).await.unwrap();

    let parts: Vec<usize> = (1..=3).map(|part| sent(&format!("partNumber={part}&"))).collect();
    assert_eq!(parts, [1, 2, 1]);
    let object = server.root().join(BUCKET).join(key("b1", "full.sql.gz").as_str());
    assert_eq!(std::fs::read(object).unwrap(), shop.primary.object(&key("b1", "full.sql.gz")).unwrap());
}

#[tokio::test]
async fn what_the_service_does_not_copy_by_itself_passes_through_us() {
    let mut shop = shop().await;
    let server = S3Server::start(BUCKET).await.unwrap();
    std::fs::create_dir(server.root().join("far")).unwrap();
    let near = Arc::new(s3::tests::open(&server, "s3://backups").await);
    let far = Arc::new(s3::tests::open(&server, "s3://far").await);
    let memory = Arc::clone(&shop.world.world.stores);
    let stores = |buckets| Arc::new(WithBuckets { memory: Arc::clone(&memory), buckets }) as Arc<dyn Stores>;
    shop.world.world.stores = stores(vec![("memory:offsite", Arc::clone(&near))]);
    shop.run("backup.copy", params()).await.unwrap();

    // One object is told to lie elsewhere, not where; for the others the server knows no copies.
    let redirect = Fault::Refuse(301, "PermanentRedirect", None);
    server.faults().add("HEAD", "/backups/backups/shop/b1/full.sql.gz", 1, redirect);
    server.faults().add("PUT", "CopyObject", 9, Fault::Refuse(501, "NotImplemented", None));
    shop.world.world.stores = stores(vec![("memory:primary", near), ("memory:offsite", far)]);
    let outputs = shop.run("backup.copy", params()).await.unwrap();
    assert_eq!(outputs["objects"], 6);
    for name in shop.objects("b1") {
        let copy = std::fs::read(server.root().join("far").join(key("b1", &name).as_str())).unwrap();
        assert_eq!(copy, shop.primary.object(&key("b1", &name)).unwrap(), "{name}");
    }
    assert_eq!(asked(server.faults(), &["PUT", "CopyObject"]), 5);
}

#[tokio::test]
async fn what_lies_there_damaged_is_copied_again() {
    let shop = shop().await;
    shop.run("backup.copy", params()).await.unwrap();
    shop.offsite.flip_byte(&key("b1", "full.sql.gz"), 9);
    shop.offsite.delete(&key("b1", "server.json")).await.unwrap();
    let outputs = shop.run("backup.copy", params()).await.unwrap();
    assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(2), &json!(4)));
    assert_eq!(
        shop.offsite.object(&key("b1", "full.sql.gz")),
        shop.primary.object(&key("b1", "full.sql.gz"))
    );
}

#[tokio::test]
async fn a_damaged_source_is_named_and_not_published() {
    let shop = shop().await;
    shop.primary.flip_byte(&key("b1", "schema.sql.gz"), 9);
    let error = shop.run("backup.copy", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("can't be copied: `schema.sql.gz` is damaged"), "{error}");
    assert!(!shop.offsite.keys().iter().any(|key| key.contains("schema.sql.gz") || key.contains("manifest")));
}

#[tokio::test]
async fn a_full_store_is_named_and_gets_no_manifest() {
    let shop = shop().await;
    shop.offsite.limit_bytes(Some(6000));
    let error = shop.run("backup.copy", params()).await.unwrap_err();
    assert!(error.message.contains("no space left on device"), "{error}");
    assert!(!shop.offsite.keys().iter().any(|key| key.contains("manifest")));
}

#[tokio::test]
async fn another_backup_of_the_same_id_stays_as_it_is() {
    let shop = shop().await;
    shop.run("backup.copy", params()).await.unwrap();
    let mine = shop.offsite.object(&key("b1", "full.sql.gz"));
    let other = Shop::new();
    other.backup("b1", "2026-11-22T13:00:00Z").await;
    for name in other.objects("b1") {
        shop.primary.insert(&key("b1", &name), other.primary.object(&key("b1", &name)).unwrap());
    }
    let error = shop.run("backup.copy", params()).await.unwrap_err();
    assert!(error.message.contains("another backup is published as backup://offsite/shop/b1"), "{error}");
    assert_eq!(shop.offsite.object(&key("b1", "full.sql.gz")), mine);
    let (kind, test) = (shop.kind("backup.copy"), shop.context());
    assert!(matches!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Partial { .. }));
}

#[tokio::test]
async fn the_probe_reads_the_copy_before_it_calls_it_complete() {
    let shop = shop().await;
    let (kind, test) = (shop.kind("backup.copy"), shop.context());
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Absent);
    shop.run("backup.copy", params()).await.unwrap();
    let Probe::Complete(outputs) = kind.probe(&params(), &test.cx).await.unwrap() else {
        panic!("the copy was not seen")
    };
    assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(0), &json!(6)));
    shop.offsite.flip_byte(&key("b1", "full.sql.gz"), 9);
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Absent);
}

#[tokio::test]
async fn a_copy_onto_itself_and_of_nothing_is_refused() {
    let shop = shop().await;
    let error =
        shop.run("backup.copy", json!({ "backup": "backup://primary/shop/b1", "to": "primary" })).await;
    assert!(error.unwrap_err().message.contains("lies in the store `primary` already"));
    let none = json!({ "backup": "backup://primary/shop/b2", "to": "offsite" });
    let error = shop.run("backup.copy", none.clone()).await.unwrap_err();
    assert_eq!(error.message, "there is no backup backup://primary/shop/b2");
    let found = shop.preflight(&CopyStep, none).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::backup::not_usable: there is no backup backup://primary/shop/b2 (/backup)
      help: `rekindle backups list` shows what is there
    ");
    assert!(shop.offsite.keys().is_empty());
}

#[tokio::test]
async fn a_target_that_can_not_be_written_is_a_problem_beforehand() {
    let shop = shop().await;
    shop.offsite.fail(Operation::CheckWritable, 1, StoreErrorKind::Full);
    let found = shop.preflight(&CopyStep, params()).await;
    assert_eq!(found.problems[0].code, "rekindle::store::not_writable");
    assert_eq!(found.problems[0].pointer, Some("/to"));
}

#[tokio::test]
async fn a_step_that_should_stop_copies_nothing() {
    let shop = shop().await;
    let test = shop.context();
    test.cancel.cancel();
    let error = shop.run_in(&test, "backup.copy", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(shop.offsite.keys().is_empty());
}
