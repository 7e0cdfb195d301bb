//! Changed and missing bytes are errors, never other bytes and never an end.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rekindle_engine::host::{Body, PutMode, StoreErrorKind};
use rekindle_engine::testing::{MemoryStore, Operation};

use super::{Pair, encrypted, noise, put_bytes};
use crate::contract::{Store, key};

/// What came of a read: `None` when it was whole.
async fn trouble(store: &Store, range: Option<Range<u64>>) -> Option<StoreErrorKind> {
    let body = match store.get(&key("k"), range).await {
        Ok(body) => body,
        Err(error) => return Some(error.kind),
    };
    match body.collect(1 << 24).await {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(StoreErrorKind::Corrupt),
        Err(error) => panic!("{error}"),
    }
}

fn store() -> (Arc<MemoryStore>, Store) {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let store = encrypted(memory.clone(), &Pair::new());
    (memory, store)
}

#[tokio::test]
async fn every_flipped_byte_of_an_object_is_found() {
    let (memory, store) = store();
    put_bytes(&store, "k", "a small object").await;
    let length = memory.object(&key("k")).unwrap().len();
    for at in 0..length {
        memory.flip_byte(&key("k"), at);
        assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Corrupt), "byte {at} of {length}");
        assert_eq!(
            trouble(&store, Some(0..14)).await,
            Some(StoreErrorKind::Corrupt),
            "byte {at} of {length}"
        );
        let stamped = store.read_stamped(&key("k"), 100).await.unwrap_err();
        assert_eq!(stamped.kind, StoreErrorKind::Corrupt, "byte {at} of {length}");
        memory.flip_byte(&key("k"), at);
    }
    assert_eq!(trouble(&store, None).await, None);
}

#[tokio::test]
async fn every_cut_of_a_small_object_is_found() {
    let (memory, store) = store();
    put_bytes(&store, "k", "a small object").await;
    let object = memory.object(&key("k")).unwrap();
    for length in 0..object.len() {
        memory.insert(&key("k"), object.slice(..length));
        assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Corrupt), "{length} bytes");
    }
}

#[tokio::test]
async fn a_cut_at_every_border_of_chunks_is_found() {
    for length in [3 * 65_536, 3 * 65_536 + 100] {
        let (memory, store) = store();
        put_bytes(&store, "k", noise(length)).await;
        let object = memory.object(&key("k")).unwrap();
        let start = object.len() - length - 16 * length.div_ceil(65_536);
        for chunks in 0..length.div_ceil(65_536) {
            for cut in [start + chunks * 65_552 - 1, start + chunks * 65_552, start + chunks * 65_552 + 1] {
                memory.insert(&key("k"), object.slice(..cut));
                assert_eq!(
                    trouble(&store, None).await,
                    Some(StoreErrorKind::Corrupt),
                    "{chunks} chunks, {cut}"
                );
            }
        }
        // What is left is as it was, but its end is none.
        memory.insert(&key("k"), object.slice(..start + 2 * 65_552));
        assert_eq!(trouble(&store, Some(0..65_536)).await, None);
        assert_eq!(trouble(&store, Some(0..131_072)).await, Some(StoreErrorKind::Corrupt));
        assert_eq!(trouble(&store, Some(131_071..131_072)).await, Some(StoreErrorKind::Corrupt));
        assert_eq!(trouble(&store, Some(0..length as u64)).await, Some(StoreErrorKind::Invalid));
    }
}

#[tokio::test]
async fn chunks_in_another_order_and_bytes_behind_the_end_are_found() {
    let (memory, store) = store();
    put_bytes(&store, "k", noise(2 * 65_536)).await;
    let object = memory.object(&key("k")).unwrap();
    let start = object.len() - 2 * 65_552;
    let (first, second) = (&object[start..start + 65_552], &object[start + 65_552..]);
    for parts in [[&object[..start], second, first], [&object[..start], first, first]] {
        memory.insert(&key("k"), parts.concat());
        assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Corrupt));
        assert_eq!(trouble(&store, Some(65_540..65_550)).await, Some(StoreErrorKind::Corrupt));
    }
    memory.insert(&key("k"), [&object[..], b"more"].concat());
    assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Corrupt));
}

#[tokio::test]
async fn a_cut_connection_is_no_damage() {
    let (memory, store) = store();
    put_bytes(&store, "k", noise(300_000)).await;
    for (range, call, bytes) in [(None, 1, 200_000), (Some(0..300_000), 2, 200_000)] {
        memory.cut_get(call, bytes);
        let error = store.get(&key("k"), range).await.unwrap().collect(1 << 20).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (io::ErrorKind::UnexpectedEof, "the source went away before its end")
        );
    }
    memory.cut_get(1, 10);
    assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Unavailable));
    memory.fail(Operation::Get, 1, StoreErrorKind::Unavailable);
    assert_eq!(trouble(&store, None).await, Some(StoreErrorKind::Unavailable));
}

#[tokio::test]
async fn what_the_store_refuses_is_told_while_the_source_still_writes() {
    let (memory, store) = store();
    memory.limit_bytes(Some(300_000));
    let (sender, body) = Body::channel();
    let feed = async move { while sender.send(noise(100_000).into()).await.is_ok() {} };
    let name = key("k");
    let (error, ()) = tokio::join!(store.put(&name, body, PutMode::Replace), feed);
    assert_eq!(error.unwrap_err().kind, StoreErrorKind::Full);
    assert!(memory.keys().is_empty());
}
