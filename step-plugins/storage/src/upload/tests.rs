//! A file arrives whole, once, and nothing of another is touched.

use rekindle_engine::host::{Key, ObjectStore as _, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, Preflight, Probe};
use rekindle_engine::testing::Operation;
use serde_json::{Value, json};

use super::UploadStep;
use crate::encrypted::tests::Pair;
use crate::reading::Digest;
use crate::testing::Shop;

const BYTES: &[u8] = b"a dump that somebody made by hand";

struct Bench {
    shop: Shop,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { shop: Shop::new(), folder: tempfile::tempdir().unwrap() };
        bench.write(BYTES);
        bench
    }

    fn write(&self, bytes: &[u8]) {
        std::fs::write(self.folder.path().join("dump.sql"), bytes).unwrap();
    }

    fn params(&self, if_exists: &str) -> Value {
        let from = self.folder.path().join("dump.sql");
        json!({ "from": from, "store": "primary", "key": "a/dump.sql", "if_exists": if_exists })
    }

    fn object(&self) -> Vec<u8> {
        self.shop.primary.object(&key()).unwrap().to_vec()
    }

    fn puts(&self) -> usize {
        self.shop.primary.calls().iter().filter(|(call, _)| *call == Operation::Put).count()
    }

    async fn probe(&self) -> Probe<Value> {
        let (kind, test) = (self.shop.kind("store.upload"), self.shop.context());
        kind.probe(&self.params("fail"), &test.cx).await.unwrap()
    }
}

fn key() -> Key {
    Key::new("a/dump.sql").unwrap()
}

#[tokio::test]
async fn a_file_arrives_with_its_sums_told() {
    let bench = Bench::new();
    let outputs = bench.shop.run("store.upload", bench.params("fail")).await.unwrap();
    let wanted = json!({ "key": "a/dump.sql", "size_bytes": 33, "sha256": Digest::of(BYTES).sha256 });
    assert_eq!(outputs, wanted);
    assert_eq!(bench.object(), BYTES);
    assert_eq!(bench.probe().await, Probe::Complete(wanted));
}

#[tokio::test]
async fn a_file_lies_encrypted_in_a_store_that_encrypts_and_is_known_by_its_bytes() {
    let mut bench = Bench::new();
    bench.shop.encrypt("primary", &Pair::new());
    let first = bench.shop.run("store.upload", bench.params("fail")).await.unwrap();
    assert_eq!((&first["size_bytes"], &first["sha256"]), (&json!(33), &json!(Digest::of(BYTES).sha256)));
    assert!(bench.object().starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(bench.probe().await, Probe::Complete(first.clone()));
    // Encrypted anew it would be other bytes: it is compared with what it says.
    let sealed = bench.object();
    assert_eq!(bench.shop.run("store.upload", bench.params("fail")).await.unwrap(), first);
    assert_eq!(bench.object(), sealed);
}

#[tokio::test]
async fn what_is_there_with_the_same_bytes_is_not_sent_again() {
    let bench = Bench::new();
    let first = bench.shop.run("store.upload", bench.params("fail")).await.unwrap();
    let again = bench.shop.run("store.upload", bench.params("fail")).await.unwrap();
    assert_eq!((bench.puts(), again), (1, first));
}

#[tokio::test]
async fn another_object_stays_unless_it_may_be_replaced() {
    let bench = Bench::new();
    bench.shop.primary.insert(&key(), vec![7; BYTES.len()]);
    assert_eq!(bench.probe().await, Probe::Absent);
    let error = bench.shop.run("store.upload", bench.params("fail")).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help.as_deref().unwrap()), @"
    another object is in memory:primary as `a/dump.sql`
    help: name another `key:`, or set `if_exists: replace`
    ");
    assert_eq!(bench.object(), vec![7; BYTES.len()]);
    bench.shop.run("store.upload", bench.params("replace")).await.unwrap();
    assert_eq!(bench.object(), BYTES);
}

#[tokio::test]
async fn a_store_that_is_full_or_away_is_named_and_gets_nothing() {
    let bench = Bench::new();
    bench.shop.primary.limit_bytes(Some(10));
    let error = bench.shop.run("store.upload", bench.params("fail")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("no space left on device"), "{error}");
    bench.shop.primary.limit_bytes(None);
    bench.shop.primary.fail(Operation::Put, 1, StoreErrorKind::Unavailable);
    let error = bench.shop.run("store.upload", bench.params("fail")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(bench.shop.primary.keys().is_empty());
}

#[tokio::test]
async fn a_step_that_should_stop_sends_nothing() {
    let bench = Bench::new();
    let test = bench.shop.context();
    test.cancel.cancel();
    let error = bench.shop.run_in(&test, "store.upload", bench.params("fail")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(bench.shop.primary.keys().is_empty());
}

#[tokio::test]
async fn names_that_can_not_be_are_refused() {
    let bench = Bench::new();
    for (field, value) in [("from", ""), ("key", "a/"), ("key", "../a")] {
        let mut params = bench.params("fail");
        params[field] = json!(value);
        let error = bench.shop.run("store.upload", params).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{field}");
        assert!(error.help.is_some(), "{field}");
    }
}

#[tokio::test]
async fn what_would_fail_is_found_beforehand() {
    let bench = Bench::new();
    let mut params = bench.params("fail");
    assert_eq!(bench.shop.preflight(&UploadStep, params.clone()).await, Preflight::default());

    params["from"] = json!("/dev");
    let found = bench.shop.preflight(&UploadStep, params.clone()).await;
    insta::assert_snapshot!(found.problems[0], @"rekindle::store::local_path: failed to read `/dev`: it is not a file (/from)");

    // A step before it may make the file.
    params["from"] = json!("/nowhere/dump.sql");
    bench.shop.primary.fail(Operation::CheckWritable, 1, StoreErrorKind::Denied);
    let found = bench.shop.preflight(&UploadStep, params).await;
    assert_eq!(found.problems[0].code, "rekindle::store::not_writable");
    assert_eq!(
        (found.problems.len(), found.notes),
        (1, vec!["/nowhere/dump.sql is not there yet".to_owned()])
    );
    bench.shop.primary.delete(&key()).await.unwrap();
}
