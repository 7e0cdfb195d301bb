//! An upload that was interrupted goes on with what has arrived, and with nothing that has not.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rekindle_emulators::{Fault, GcsServer};
use rekindle_engine::host::{
    Body, ObjectInfo, ObjectStore as _, PutMode, Resumption, StoreError, StoreErrorKind,
};
use rekindle_engine::testing::{KeptStates, MemorySource};

use super::requests::{self, Write};
use super::tests::{BUCKET, everything, open};
use super::{GcsStore, Sum};
use crate::contract::{MIB, key, noise};
use crate::fault_bench::{asked, read};

struct Bench {
    server: GcsServer,
    store: GcsStore,
    states: KeptStates,
}

impl Bench {
    async fn new() -> Self {
        let server = GcsServer::start(BUCKET).await.unwrap();
        let store = open(&server, "gs://backups/mysql").await;
        Self { server, store, states: KeptStates::default() }
    }

    async fn upload(&self, bytes: &[u8], mode: PutMode) -> Result<ObjectInfo, StoreError> {
        let (source, earlier) = (MemorySource::new(bytes.to_vec()), self.states.last());
        self.store.upload(&key("a"), &source, mode, Resumption::new(earlier.as_ref(), &self.states)).await
    }

    /// Begins an upload and drops it, as a kill does, while a request is on its way.
    async fn killed_in(&self, request: &str, bytes: &[u8]) {
        self.server.faults().add("POST", request, 1, Fault::Stall);
        let before = self.sent(request);
        let arrives = async {
            while self.sent(request) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            done = self.upload(bytes, PutMode::IfAbsent) => panic!("{done:?}"),
            () = arrives => {}
        }
    }

    async fn killed_at(&self, part: usize, bytes: &[u8]) {
        self.killed_in(&write_of(part), bytes).await;
    }

    fn sent(&self, request: &str) -> usize {
        asked(self.server.faults(), &["POST", request])
    }

    /// Gives how often each part was sent.
    fn parts_sent(&self, parts: usize) -> Vec<usize> {
        (1..=parts).map(|part| self.sent(&write_of(part))).collect()
    }

    /// The name of a part that is there.
    async fn part(&self, number: usize) -> String {
        let end = format!("/{number}");
        everything(&self.store).await.into_iter().find(|name| name.ends_with(&end)).unwrap()
    }

    async fn holds(&self, bytes: &[u8]) {
        assert!(read(&self.store, "a").await.unwrap() == bytes);
    }
}

/// What the query of a part's write says of its number.
fn write_of(part: usize) -> String {
    format!("%2F{part}&")
}

fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(1)
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
    assert_eq!(info.checksum.unwrap().value, Sum::of(&bytes).text());
    bench.holds(&bytes).await;
    assert_eq!(bench.states.all().len(), 1);
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
}

#[tokio::test]
async fn an_upload_that_was_killed_while_its_parts_are_joined_sends_none_again() {
    for request in ["ComposeObject", "RewriteObject"] {
        let bench = Bench::new().await;
        let bytes = noise(17 * MIB);
        bench.killed_in(request, &bytes).await;
        assert_eq!(bench.store.list("").await.unwrap(), []);
        bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
        assert_eq!(bench.parts_sent(3), [1, 1, 1], "{request}");
        bench.holds(&bytes).await;
        assert_eq!(everything(&bench.store).await, ["mysql/a"]);
    }
}

#[tokio::test]
async fn parts_that_were_joined_are_joined_anew_of_the_source_as_it_is_now() {
    let bench = Bench::new().await;
    let mut bytes = noise(17 * MIB);
    bench.killed_in("RewriteObject", &bytes).await;
    bytes[9 * MIB] ^= 1;
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(3), [1, 2, 1]);
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
async fn a_part_that_is_damaged_or_gone_is_sent_again() {
    let bench = Bench::new().await;
    let bytes = noise(25 * MIB);
    bench.killed_at(4, &bytes).await;
    let (damaged, gone) = (bench.part(1).await, bench.part(2).await);
    let other = Bytes::from(noise(8 * MIB).into_iter().map(|byte| !byte).collect::<Vec<_>>());
    let (sum, write) = (Sum::of(&other), Write { object: &damaged, only_if: None, class: "", mark: "m" });
    requests::write(&bench.store, &write, other, sum).await.unwrap();
    requests::delete(&bench.store, &gone, None).await.unwrap();

    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();

    assert_eq!(bench.parts_sent(4), [2, 2, 1, 2]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn a_part_whose_answer_got_lost_in_the_kill_is_not_sent_again() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.server.faults().add("POST", &write_of(2), 1, Fault::LoseAnswer);
    bench.killed_at(3, &bytes).await;
    // The part arrived, and so did the news that it is there: of the try after the answer that got lost.
    assert_eq!(bench.parts_sent(3), [1, 2, 1]);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(3), [1, 2, 2]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn a_source_of_another_size_begins_anew_and_leaves_no_parts() {
    for length in [17 * MIB, 5] {
        let bench = Bench::new().await;
        bench.killed_at(3, &noise(25 * MIB)).await;
        let bytes = noise(length);
        bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
        bench.holds(&bytes).await;
        assert_eq!(everything(&bench.store).await, ["mysql/a"]);
    }
}

#[tokio::test]
async fn an_upload_whose_parts_are_all_gone_sends_them_all() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(3, &bytes).await;
    assert_eq!(bench.store.remove_abandoned(later()).await.unwrap().len(), 1);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(3), [2, 2, 2]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn an_upload_that_was_finished_before_the_kill_is_known_by_its_mark() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    // One look finds nothing there; the one at the object that was made is where it is killed.
    bench.server.faults().add_after(1, "POST", "GetObject mysql/a", 1, Fault::Stall);
    let finished = async {
        while bench.sent("GetObject mysql/a") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = bench.upload(&bytes, PutMode::IfAbsent) => panic!("{done:?}"),
        () = finished => {}
    }
    assert!(everything(&bench.store).await.len() > 1, "the parts are there as well");
    let rewrites = bench.sent("RewriteObject");

    let info = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();

    assert_eq!(info.size_bytes, bytes.len() as u64);
    assert_eq!(bench.parts_sent(3), [1, 1, 1]);
    assert_eq!(bench.sent("RewriteObject"), rewrites);
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
    // What the source was then is not what it is now.
    let mut other = bytes.clone();
    other[0] ^= 1;
    let error = bench.upload(&other, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    // Somebody else's object is not ours, whatever its bytes are.
    bench.store.put(&key("a"), Body::from_bytes(bytes.clone()), PutMode::Replace).await.unwrap();
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
}

#[tokio::test]
async fn an_upload_that_lost_to_another_writer_leaves_no_parts() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(2, &bytes).await;
    bench.store.put(&key("a"), Body::from_bytes("other"), PutMode::IfAbsent).await.unwrap();
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    bench.holds(b"other").await;
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
}

#[tokio::test]
async fn an_upload_that_loses_at_its_last_step_leaves_no_parts() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_in("RewriteObject", &bytes).await;
    // Between the look and the last step of the next try: that step is asked once more.
    bench.server.faults().add("POST", "GetObject mysql/a", 1, Fault::LoseAnswer);
    bench.server.faults().add("POST", "ListObjects", 1, Fault::StallAnswer(0));
    let other = async {
        let looked = bench.sent("GetObject mysql/a");
        while bench.sent("GetObject mysql/a") < looked + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.store.put(&key("a"), Body::from_bytes("other"), PutMode::IfAbsent).await.unwrap();
    };
    let (done, ()) = tokio::join!(bench.upload(&bytes, PutMode::IfAbsent), other);
    assert_eq!(done.unwrap_err().kind, StoreErrorKind::AlreadyExists);
    bench.holds(b"other").await;
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
}

#[tokio::test]
async fn an_upload_that_failed_is_left_to_go_on() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.server.faults().add("POST", &write_of(3), 3, Fault::Refuse(503, "backendError", None));
    let error = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert_eq!(everything(&bench.store).await.len(), 2);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(2), [1, 1]);
    bench.holds(&bytes).await;
}

#[tokio::test]
async fn an_upload_whose_source_breaks_is_left_to_go_on() {
    let bench = Bench::new().await;
    let bytes = noise(25 * MIB);
    let broken = MemorySource::new(bytes.clone()).breaks_at(17 << 20);
    let four = NonZeroUsize::new(4).unwrap();
    let resumption = Resumption { parts_at_once: four, ..Resumption::new(None, &bench.states) };
    let failed = bench.store.upload(&key("a"), &broken, PutMode::IfAbsent, resumption).await;
    let error = failed.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Source);
    bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    bench.holds(&bytes).await;
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
}

#[tokio::test]
async fn more_parts_than_one_request_joins_are_one_object() {
    let bench = Bench::new().await;
    let bytes = noise(34 * 8 * MIB);
    bench.killed_at(34, &bytes).await;
    let info = bench.upload(&bytes, PutMode::IfAbsent).await.unwrap();
    assert_eq!(bench.parts_sent(34), [vec![1; 33], vec![2]].concat());
    assert_eq!(info.checksum.unwrap().value, Sum::of(&bytes).text());
    assert_eq!(everything(&bench.store).await, ["mysql/a"]);
}

#[tokio::test]
async fn an_upload_that_still_gets_parts_is_not_abandoned() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    bench.killed_at(2, &bytes).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let since_it_began = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    bench.killed_at(3, &bytes).await;
    assert_eq!(bench.store.remove_abandoned(since_it_began).await.unwrap().len(), 0);
    assert_eq!(bench.store.remove_abandoned(later()).await.unwrap().len(), 1);
    assert_eq!(everything(&bench.store).await, Vec::<String>::new());
}
