//! A file comes whole or not at all, and goes on from the byte it had.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rekindle_engine::host::{Key, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, Preflight, Probe, StepError};
use rekindle_engine::testing::{self, Operation};
use serde_json::{Value, json};

use super::{DownloadStep, look};
use crate::encrypted::tests::Pair;
use crate::reading::Digest;
use crate::testing::Shop;
use crate::transfer::beside;

struct Bench {
    shop: Shop,
    folder: tempfile::TempDir,
    checkpoint: Option<Value>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { shop: Shop::new(), folder: tempfile::tempdir().unwrap(), checkpoint: None };
        bench.shop.primary.insert(&key(), bytes());
        bench
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("dump.sql")
    }

    fn params(&self) -> Value {
        json!({ "store": "primary", "key": "a/dump.sql", "to": self.to() })
    }

    /// Tries with what the try before has left in the journal.
    async fn download(&mut self, params: Value) -> Result<Value, StepError> {
        let mut context = testing::context(&self.shop.world).settings(self.shop.settings.clone());
        if let Some(checkpoint) = &self.checkpoint {
            context = context.checkpoint(checkpoint.clone());
        }
        let test = context.build();
        let done = self.shop.run_in(&test, "store.download", params).await;
        self.checkpoint = test.reporter.checkpoints().pop().or(self.checkpoint.take());
        done
    }

    /// Leaves the first 100,000 bytes.
    async fn cut(&mut self) {
        self.shop.primary.cut_get(1, 100_000);
        let error = self.download(self.params()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{error}");
        assert_eq!(beside(&self.to()).metadata().unwrap().len(), 100_000);
        assert_eq!(self.checkpoint.as_ref().unwrap()["state"]["synced_bytes"], 100_000);
        assert!(!self.to().exists());
    }

    fn file(&self) -> Vec<u8> {
        assert!(!beside(&self.to()).exists());
        std::fs::read(self.to()).unwrap()
    }
}

fn key() -> Key {
    Key::new("a/dump.sql").unwrap()
}

fn bytes() -> Vec<u8> {
    (0..75_000_u32).flat_map(u32::to_be_bytes).collect()
}

#[tokio::test]
async fn an_object_becomes_a_file_that_only_its_owner_reads() {
    let mut bench = Bench::new();
    let outputs = bench.download(bench.params()).await.unwrap();
    let sha256 = Digest::of(&bytes()).sha256;
    assert_eq!(outputs, json!({ "path": bench.to(), "size_bytes": 300_000, "sha256": sha256 }));
    assert!(bench.file() == bytes());
    assert_eq!(bench.to().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (kind, test) = (bench.shop.kind("store.download"), bench.shop.context());
    assert_eq!(kind.probe(&bench.params(), &test.cx).await.unwrap(), Probe::Complete(outputs));
}

#[tokio::test]
async fn what_was_uploaded_to_a_store_that_encrypts_comes_back() {
    let mut bench = Bench::new();
    bench.shop.encrypt("primary", &Pair::new());
    bench.shop.primary.insert(&key(), "older");
    let from = bench.folder.path().join("from.sql");
    std::fs::write(&from, bytes()).unwrap();
    let params = json!({ "from": from, "store": "primary", "key": "a/dump.sql", "if_exists": "replace" });
    bench.shop.run("store.upload", params).await.unwrap();
    let stored = bench.shop.primary.object(&key()).unwrap();
    let info = bench.shop.store("primary").await.head(&key()).await.unwrap().unwrap();
    assert_eq!((info.size_bytes, info.checksum), (300_000, None), "they are those of the plain bytes");

    bench.download(bench.params()).await.unwrap();

    assert!(stored.starts_with(b"age-encryption.org/v1\n"));
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn an_empty_object_becomes_an_empty_file() {
    let mut bench = Bench::new();
    bench.shop.primary.insert(&key(), "");
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file().is_empty());
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on() {
    let mut bench = Bench::new();
    bench.cut().await;
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn what_a_kill_left_after_the_last_sync_is_there_until_the_machine_starts_again() {
    let mut bench = Bench::new();
    bench.cut().await;
    let mut part = bytes()[..150_000].to_vec();
    std::fs::write(beside(&bench.to()), &part).unwrap();
    let mut other = Bench { checkpoint: bench.checkpoint.clone(), ..Bench::new() };
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == bytes());
    // They are not fetched again, and so they are proven.
    part[120_000] ^= 1;
    std::fs::write(beside(&other.to()), &part).unwrap();
    other.checkpoint.as_mut().unwrap()["of"] =
        json!(format!("primary/a/dump.sql to {}", other.to().display()));
    let error = other.download(other.params()).await.unwrap_err();
    assert!(error.message.contains("was not downloaded whole"), "{error}");
}

#[tokio::test]
async fn after_a_start_of_the_machine_only_what_was_synced_is_trusted() {
    let mut bench = Bench::new();
    bench.cut().await;
    bench.checkpoint.as_mut().unwrap()["state"]["boot"] = json!("another");
    let mut part = std::fs::read(beside(&bench.to())).unwrap();
    part.extend(vec![0; 50_000]);
    std::fs::write(beside(&bench.to()), part).unwrap();
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn the_whole_is_proven_also_the_bytes_of_the_try_before() {
    let mut bench = Bench::new();
    bench.cut().await;
    let mut part = std::fs::read(beside(&bench.to())).unwrap();
    part[5] ^= 1;
    std::fs::write(beside(&bench.to()), part).unwrap();
    let error = bench.download(bench.params()).await.unwrap_err();
    assert!(error.message.contains("was not downloaded whole"), "{error}");
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(!bench.to().exists() && !beside(&bench.to()).exists());
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn an_object_that_was_replaced_begins_anew() {
    let mut bench = Bench::new();
    bench.cut().await;
    bench.shop.primary.insert(&key(), vec![7; 300_000]);
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == vec![7; 300_000]);
}

#[tokio::test]
async fn an_unfinished_file_that_is_gone_begins_anew() {
    let mut bench = Bench::new();
    bench.cut().await;
    std::fs::remove_file(beside(&bench.to())).unwrap();
    bench.download(bench.params()).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn another_sha256_than_asked_for_leaves_no_file() {
    let mut bench = Bench::new();
    let mut params = bench.params();
    params["sha256"] = json!("0".repeat(64));
    let error = bench.download(params.clone()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains(&Digest::of(&bytes()).sha256), "{error}");
    assert!(!bench.to().exists() && !beside(&bench.to()).exists());
    params["sha256"] = json!(Digest::of(&bytes()).sha256.to_uppercase());
    bench.download(params).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn another_file_stays_unless_it_may_be_replaced() {
    let mut bench = Bench::new();
    std::fs::write(bench.to(), "mine").unwrap();
    let error = bench.download(bench.params()).await.unwrap_err();
    let told = format!("{error}\nhelp: {}", error.help.as_deref().unwrap());
    insta::assert_snapshot!(told.replace(bench.folder.path().to_str().unwrap(), "DIR"), @"
    another file is there as `DIR/dump.sql`
    help: move it away, name another file in `to:`, or set `if_exists: replace`
    ");
    assert_eq!(bench.file(), b"mine");
    let mut params = bench.params();
    params["if_exists"] = json!("replace");
    bench.download(params).await.unwrap();
    assert!(bench.file() == bytes());
}

#[tokio::test]
async fn a_file_has_one_download_at_a_time() {
    let mut bench = Bench::new();
    bench.cut().await;
    let other = std::fs::File::open(beside(&bench.to())).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = bench.download(bench.params()).await.unwrap_err();
    assert!(error.message.contains("another process is writing"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_or_can_not_be_is_refused() {
    let mut bench = Bench::new();
    for (field, value) in [
        ("key", json!("a/none")),
        ("key", json!("a//b")),
        ("to", json!("")),
        ("to", json!("a/")),
        ("sha256", json!("12")),
    ] {
        let mut params = bench.params();
        params[field] = value;
        let error = bench.download(params).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{field}");
        assert!(error.help.is_some(), "{error}");
    }
    let mut params = bench.params();
    params["to"] = json!(bench.folder.path().join("none/dump.sql"));
    let error = bench.download(params).await.unwrap_err();
    assert!(error.help.unwrap().contains("check the path"));
}

#[tokio::test]
async fn what_would_fail_is_found_beforehand() {
    let bench = Bench::new();
    let mut params = bench.params();
    assert_eq!(bench.shop.preflight(&DownloadStep, params.clone()).await, Preflight::default());
    bench.shop.primary.fail(Operation::List, 1, StoreErrorKind::Denied);
    let found = bench.shop.preflight(&DownloadStep, params.clone()).await;
    assert_eq!(found.problems[0].code, "rekindle::store::not_readable");

    params["key"] = json!("a/later");
    params["to"] = json!("/nowhere/dump.sql");
    let found = bench.shop.preflight(&DownloadStep, params).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::store::local_path: failed to write into `/nowhere`: No such file or directory (os error 2) (/to)
      help: check the path: it begins at the folder that rekindle runs in
    ");
    assert_eq!(found.notes, ["a/later is not in primary yet"]);

    let to = std::path::Path::new("dump.sql");
    assert_eq!(look::no_room(to, 1000, 1000), None);
    insta::assert_snapshot!(look::no_room(to, 1001, 1000).unwrap(), @"
    rekindle::store::no_room: `dump.sql` needs 1001 bytes more, but its disk has 1000 left (/to)
      help: free space there, or name another place
    ");
}
