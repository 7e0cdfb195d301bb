//! An upload into a folder goes on from the bytes that are there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::{
    Body, ObjectInfo, PutMode, Resumption, StoreError, StoreErrorKind, UploadSource,
};
use rekindle_engine::testing::{KeptStates, MemorySource};

use super::FileStore;
use crate::contract::{Store, key, put};

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    states: KeptStates,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Store = Arc::new(FileStore::new(folder.path()));
        Self { folder, store, states: KeptStates::default() }
    }

    async fn upload(&self, source: &MemorySource, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        let earlier = self.states.last();
        self.store.upload(&key("a"), source, mode, Resumption::new(earlier.as_ref(), &self.states)).await
    }

    /// Gives the unfinished files.
    fn partials(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(super::PARTIAL)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn object(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("a")).unwrap()
    }
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on_in_the_same_file() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = Bench::new();
    let bytes = vec![7; 500_000];
    bench.upload(&MemorySource::new(bytes.clone()).breaks_at(300_000), PutMode::IfAbsent).await.unwrap_err();
    let [partial] = bench.partials().try_into().unwrap();
    let before = partial.metadata().unwrap();
    assert_eq!(before.len(), 300_000);
    assert_eq!(before.permissions().mode() & 0o777, 0o600);

    bench.upload(&MemorySource::new(bytes.clone()), PutMode::IfAbsent).await.unwrap();

    let object = std::fs::metadata(bench.folder.path().join("a")).unwrap();
    assert_eq!(object.ino(), before.ino());
    assert!(bench.object() == bytes);
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn what_a_crash_left_wrong_or_too_long_is_written_again() {
    let bytes: Vec<u8> = (0..400_000_u32).flat_map(u32::to_be_bytes).collect();
    for (at, long) in [(0, false), (700_000, false), (0, true)] {
        let bench = Bench::new();
        let broken = MemorySource::new(bytes.clone()).breaks_at(900_000);
        bench.upload(&broken, PutMode::Replace).await.unwrap_err();
        let [partial] = bench.partials().try_into().unwrap();
        let mut there =
            if long { [bytes.clone(), vec![0; 4096]].concat() } else { std::fs::read(&partial).unwrap() };
        if !long {
            there[at] ^= 1;
        }
        std::fs::write(&partial, there).unwrap();
        bench.upload(&MemorySource::new(bytes.clone()), PutMode::Replace).await.unwrap();
        assert!(bench.object() == bytes);
    }
}

#[tokio::test]
async fn an_unfinished_file_has_one_writer() {
    let bench = Bench::new();
    let source = MemorySource::new(vec![7; 1000]).breaks_at(500);
    bench.upload(&source, PutMode::IfAbsent).await.unwrap_err();
    let [partial] = bench.partials().try_into().unwrap();
    let other = std::fs::File::open(&partial).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = bench.upload(&MemorySource::new(vec![7; 1000]), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert!(error.why.contains("another process is writing it"), "{error}");
}

#[tokio::test]
async fn an_upload_that_lost_to_another_writer_leaves_nothing_unfinished() {
    let bench = Bench::new();
    let source = MemorySource::new(vec![7; 1000]).breaks_at(500);
    bench.upload(&source, PutMode::IfAbsent).await.unwrap_err();
    put(&bench.store, "a", "other").await;
    let error = bench.upload(&MemorySource::new(vec![7; 1000]), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(bench.object(), b"other");
    assert!(bench.partials().is_empty());
}

/// A source that never ends.
struct Endless;

#[async_trait::async_trait]
impl UploadSource for Endless {
    fn size_bytes(&self) -> u64 {
        u64::MAX
    }

    async fn read(&self, _: std::ops::Range<u64>) -> std::io::Result<Body> {
        let (sender, body) = Body::channel();
        tokio::spawn(async move { while sender.send(vec![7; 1000].into()).await.is_ok() {} });
        Ok(body)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cancelled_lets_go_of_its_file() {
    let bench = Bench::new();
    let resumption = Resumption::new(None, &bench.states);
    let name = key("a");
    let endless = bench.store.upload(&name, &Endless, PutMode::IfAbsent, resumption);
    tokio::time::timeout(Duration::from_millis(50), endless).await.unwrap_err();
    // The thread that writes notices with its next chunk.
    let begun = Instant::now();
    while let Err(error) = bench.upload(&MemorySource::new("whole"), PutMode::IfAbsent).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.object(), b"whole");
    assert!(bench.partials().is_empty());
}
