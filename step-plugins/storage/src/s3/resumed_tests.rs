//! An upload that was interrupted goes on with what has arrived, and with nothing that has not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rekindle_emulators::{Fault, S3Server};
use rekindle_engine::host::{
    Body, ObjectInfo, ObjectStore as _, PutMode, Resumption, StoreError, StoreErrorKind,
};
use rekindle_engine::testing::{KeptStates, MemorySource};

use super::S3Store;
use super::tests::{BUCKET, open};
use crate::contract::{MIB, key, noise};

struct Bench {
    server: S3Server,
    store: S3Store,
    states: KeptStates,
}

impl Bench {
    async fn new() -> Self {
        let server = S3Server::start(BUCKET).await.unwrap();
        let store = open(&server, "s3://backups/mysql").await;
        Self { server, store, states: KeptStates::default() }
    }

    async fn upload(&self, bytes: &[u8], mode: PutMode) -> Result<ObjectInfo, StoreError> {
        let (source, earlier) = (MemorySource::new(bytes.to_vec()), self.states.last());
        self.store.upload(&key("a"), &source, mode, Resumption::new(earlier.as_ref(), &self.states)).await
    }

    /// Begins an upload and drops it, as a kill does, while a part is on its way.
    async fn killed_at(&self, part: usize, bytes: &[u8]) {
        let part = format!("partNumber={part}&");
        self.server.faults().add("PUT", &part, 1, Fault::Stall);
        let arrives = async {
            while self.sent(&part) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            done = self.upload(bytes, PutMode::IfAbsent) => panic!("{done:?}"),
            () = arrives => {}
        }
    }

    fn sent(&self, part: &str) -> usize {
        self.server
            .faults()
            .seen()
            .iter()
            .filter(|seen| seen.starts_with("PUT") && seen.contains(part))
            .count()
    }

    /// Gives how often each part was sent.
    fn parts_sent(&self, parts: usize) -> Vec<usize> {
        (1..=parts).map(|part| self.sent(&format!("partNumber={part}&"))).collect()
    }

    async fn holds(&self, bytes: &[u8]) {
        let read = self.store.get(&key("a"), None).await.unwrap().collect(64 * MIB).await.unwrap();
        assert!(read == bytes);
    }
}

#[tokio::test]
async fn an_upload_that_was_killed_sends_again_the_part_that_was_on_its_way_and_no_other() {
    let bench = Bench::new().await;
    let bytes = noise(33 * MIB);
    bench.killed_at(4, &bytes).await;
    assert_eq!(bench.states.all().len(), 1);
    assert_eq!(bench.store.head(&key("a")).await.unwrap(), None);

    let info = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();

    assert_eq!(bench.parts_sent(5), [1, 1, 1, 2, 1]);
    assert_eq!(info.size_bytes, bytes.len() as u64);
    assert!(info.checksum.is_some());
    bench.holds(&bytes).await;
    assert_eq!(bench.states.all().len(), 1);
}

#[tokio::test]
async fn a_server_that_tells_no_checksums_is_compared_by_md5() {
    let bench = Bench::new().await;
    bench.server.tell_no_checksums();
    let bytes = noise(25 * MIB);
    bench.killed_at(3, &bytes).await;
    let info = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(4), [1, 1, 2, 1]);
    assert_eq!(info.checksum, None);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn parts_of_what_the_source_was_are_sent_again() {
    let bench = Bench::new().await;
    let mut bytes = noise(25 * MIB);
    bench.killed_at(4, &bytes).await;
    bytes[9 * MIB] ^= 1;
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(4), [1, 2, 1, 2]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn a_source_of_another_size_begins_anew_and_leaves_no_upload() {
    let bench = Bench::new().await;
    bench.killed_at(3, &noise(25 * MIB)).await;
    let bytes = noise(17 * MIB);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    bench.holds(&bytes).await;
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(bench.store.remove_abandoned(later).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_upload_that_is_known_no_more_begins_anew() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(2, &bytes).await;
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(bench.store.remove_abandoned(later).await.unwrap().len(), 1);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.states.all().len(), 2);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn an_upload_that_was_completed_before_the_kill_is_known_by_its_mark() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(3), [1, 1, 1]);
    // Somebody else's object is not ours, whatever its bytes are.
    bench.store.put(&key("a"), Body::from_bytes(bytes.clone()), PutMode::Replace).await.unwrap();
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
}

#[tokio::test]
async fn an_upload_that_lost_to_another_writer_is_aborted() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(2, &bytes).await;
    bench.store.put(&key("a"), Body::from_bytes("other"), PutMode::IfAbsent).await.unwrap();
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    bench.holds(b"other").await;
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(bench.store.remove_abandoned(later).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_upload_that_failed_is_left_to_go_on() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.server.faults().add("PUT", "partNumber=3&", 3, Fault::Refuse(503, "SlowDown", None));
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(2), [1, 1]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn an_upload_that_still_gets_parts_is_not_abandoned() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(1, &bytes).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let since_it_began = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    bench.killed_at(3, &bytes).await;
    assert_eq!(bench.store.remove_abandoned(since_it_began).await.unwrap().len(), 0);
    let since_its_last_part = Timestamp::now();
    assert_eq!(bench.store.remove_abandoned(since_its_last_part).await.unwrap().len(), 1);
}
