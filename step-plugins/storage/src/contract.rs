//! What every object store promises: the same facts are tested on each of them.
//!
//! A store's tests call [`store_contract!`] with an expression that makes an empty store and a guard that
//! removes it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode, StoreErrorKind};

pub(crate) use crate::bucket::parts::MIB;

mod uploads;

pub(crate) use uploads::{
    a_state_that_is_not_of_this_upload_is_passed_over, an_upload_goes_on_with_the_source_as_it_is_now,
    an_upload_if_absent_leaves_what_is_there, an_upload_is_an_object_when_it_is_whole,
};

pub(crate) type Store = Arc<dyn ObjectStore>;

/// Bytes that are different everywhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) async fn put(store: &Store, name: &str, bytes: &str) {
    store.put(&key(name), Body::from_bytes(bytes.to_owned()), PutMode::Replace).await.unwrap();
}

pub(crate) async fn text(store: &Store, name: &str) -> String {
    let body = store.get(&key(name), None).await.unwrap();
    String::from_utf8(body.collect(1 << 24).await.unwrap()).unwrap()
}

pub(crate) async fn names(store: &Store, prefix: &str) -> Vec<String> {
    store.list(prefix).await.unwrap().into_iter().map(|info| info.key.to_string()).collect()
}

async fn kind_of_get(store: &Store, name: &str, range: Option<std::ops::Range<u64>>) -> StoreErrorKind {
    match store.get(&key(name), range).await {
        Ok(_) => panic!("`{name}` was read"),
        Err(error) => error.kind,
    }
}

pub(crate) async fn an_object_reads_back_as_written(store: Store) {
    let info = store.put(&key("a/b"), Body::from_bytes("hello"), PutMode::IfAbsent).await.unwrap();
    assert_eq!((info.key.as_str(), info.size_bytes), ("a/b", 5));
    assert_eq!(text(&store, "a/b").await, "hello");
    let head = store.head(&key("a/b")).await.unwrap().unwrap();
    assert_eq!((head.key.as_str(), head.size_bytes), ("a/b", 5));
}

pub(crate) async fn an_empty_object_is_an_object(store: Store) {
    put(&store, "empty", "").await;
    assert_eq!(text(&store, "empty").await, "");
    assert_eq!(store.head(&key("empty")).await.unwrap().unwrap().size_bytes, 0);
    let body = store.get(&key("empty"), Some(0..0)).await.unwrap();
    assert!(body.collect(1).await.unwrap().is_empty());
}

pub(crate) async fn a_large_stream_arrives_whole_and_in_order(store: Store) {
    let (sender, body) = Body::channel();
    let feed = async move {
        for part in 0..48_u8 {
            sender.send(Bytes::from(vec![part; 100_003])).await.unwrap();
        }
        sender.finish().await.unwrap();
    };
    let large = key("large");
    let (info, ()) = tokio::join!(store.put(&large, body, PutMode::IfAbsent), feed);
    assert_eq!(info.unwrap().size_bytes, 48 * 100_003);
    let read = store.get(&key("large"), None).await.unwrap().collect(1 << 24).await.unwrap();
    assert!(read.chunks(100_003).zip(0..).all(|(chunk, part)| chunk.iter().all(|byte| *byte == part)));
    assert_eq!(read.len(), 48 * 100_003);
}

pub(crate) async fn a_range_gives_exactly_its_bytes(store: Store) {
    put(&store, "digits", "0123456789").await;
    for (range, wanted) in [(0..10, "0123456789"), (3..6, "345"), (9..10, "9"), (4..4, ""), (10..10, "")] {
        let body = store.get(&key("digits"), Some(range)).await.unwrap();
        assert_eq!(body.collect(10).await.unwrap(), wanted.as_bytes());
    }
}

pub(crate) async fn a_range_outside_the_object_is_invalid(store: Store) {
    put(&store, "digits", "0123456789").await;
    let backwards = std::ops::Range { start: 5, end: 3 };
    for range in [0..11, 10..11, 20..30, backwards] {
        assert_eq!(kind_of_get(&store, "digits", Some(range)).await, StoreErrorKind::Invalid);
    }
}

pub(crate) async fn a_stamped_read_is_of_that_state_alone(store: Store) {
    put(&store, "k", "first").await;
    let stamp = store.head(&key("k")).await.unwrap().unwrap().stamp.unwrap();
    let part = store.get_stamped(&key("k"), &stamp, 1..4).await.unwrap().collect(3).await.unwrap();
    assert_eq!(part, b"irs");
    put(&store, "k", "other").await;
    for gone in [false, true] {
        if gone {
            store.delete(&key("k")).await.unwrap();
        }
        let error = store.get_stamped(&key("k"), &stamp, 1..4).await.err().unwrap();
        assert!(matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound), "{error}");
    }
}

pub(crate) async fn what_is_not_there_is_not_found(store: Store) {
    put(&store, "there", "x").await;
    assert_eq!(kind_of_get(&store, "absent", None).await, StoreErrorKind::NotFound);
    assert_eq!(kind_of_get(&store, "absent/below", None).await, StoreErrorKind::NotFound);
    assert_eq!(store.head(&key("absent/below")).await.unwrap(), None);
    store.delete(&key("absent/below")).await.unwrap();
}

pub(crate) async fn if_absent_leaves_what_is_there(store: Store) {
    put(&store, "k", "first").await;
    let second = store.put(&key("k"), Body::from_bytes("second"), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(second.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(text(&store, "k").await, "first");
}

pub(crate) async fn replace_takes_the_place_of_what_is_there(store: Store) {
    put(&store, "k", "first").await;
    put(&store, "k", "second").await;
    assert_eq!(text(&store, "k").await, "second");
    assert_eq!(names(&store, "").await, ["k"]);
}

pub(crate) async fn of_many_writers_if_absent_exactly_one_wins(store: Store) {
    for round in 0..20 {
        let name = key(&format!("race/{round}"));
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8_u8 {
            let (store, name) = (Arc::clone(&store), name.clone());
            writers.spawn(async move {
                let put = store.put(&name, Body::from_bytes(vec![writer; 1000]), PutMode::IfAbsent).await;
                (writer, put)
            });
        }
        let mut winners = Vec::new();
        for (writer, put) in writers.join_all().await {
            match put {
                Ok(_) => winners.push(writer),
                Err(error) => assert_eq!(error.kind, StoreErrorKind::AlreadyExists, "{error}"),
            }
        }
        let stored = store.get(&name, None).await.unwrap().collect(1000).await.unwrap();
        assert_eq!(winners, [stored[0]]);
        assert_eq!(stored, vec![stored[0]; 1000]);
    }
}

pub(crate) async fn a_stream_that_fails_leaves_nothing(store: Store) {
    put(&store, "other", "x").await;
    let (sender, body) = Body::channel();
    let feed = async move {
        sender.send(Bytes::from_static(b"half")).await.unwrap();
        sender.fail(io::Error::other("the dump died")).await;
    };
    let half = key("half");
    let (failed, ()) = tokio::join!(store.put(&half, body, PutMode::Replace), feed);
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind, StoreErrorKind::Source);
    assert!(failed.to_string().contains("the dump died"), "{failed}");
    assert_eq!(names(&store, "").await, ["other"]);
}

pub(crate) async fn a_stream_that_ends_without_a_word_leaves_what_was_there(store: Store) {
    put(&store, "k", "whole").await;
    let (sender, body) = Body::channel();
    sender.send(Bytes::from_static(b"half")).await.unwrap();
    drop(sender);
    let failed = store.put(&key("k"), body, PutMode::Replace).await.unwrap_err();
    assert_eq!(failed.kind, StoreErrorKind::Source);
    assert_eq!(text(&store, "k").await, "whole");
}

pub(crate) async fn nothing_is_seen_of_an_object_before_its_end(store: Store) {
    put(&store, "other", "x").await;
    let (sender, body) = Body::channel();
    let writer = Arc::clone(&store);
    let put = tokio::spawn(async move { writer.put(&key("slow"), body, PutMode::IfAbsent).await });
    for _ in 0..16 {
        sender.send(Bytes::from(vec![7; 100_000])).await.unwrap();
    }
    assert_eq!(store.head(&key("slow")).await.unwrap(), None);
    assert_eq!(names(&store, "").await, ["other"]);
    sender.finish().await.unwrap();
    assert_eq!(put.await.unwrap().unwrap().size_bytes, 1_600_000);
    assert_eq!(names(&store, "").await, ["other", "slow"]);
}

pub(crate) async fn a_list_is_by_prefix_and_in_key_order(store: Store) {
    // `-` and `.` sort before `/`, `0` after it: order of keys is not order of folders.
    let all = ["a-b", "a.b", "a/b", "a/b.c", "a/c/d", "a0", "b", "é/ü"];
    for name in all.iter().rev() {
        put(&store, name, name).await;
    }
    assert_eq!(names(&store, "").await, all);
    assert_eq!(names(&store, "a").await, ["a-b", "a.b", "a/b", "a/b.c", "a/c/d", "a0"]);
    assert_eq!(names(&store, "a/").await, ["a/b", "a/b.c", "a/c/d"]);
    assert_eq!(names(&store, "a/b").await, ["a/b", "a/b.c"]);
    assert_eq!(names(&store, "a/c").await, ["a/c/d"]);
    assert_eq!(names(&store, "é/").await, ["é/ü"]);
    for none in ["c", "a/b/", "a//b", "/a", "../", "a/../"] {
        assert!(names(&store, none).await.is_empty(), "{none}");
    }
}

pub(crate) async fn a_list_gives_the_size_of_each(store: Store) {
    for name in ["a/b", "a/b.c", "a/c/d", "b"] {
        put(&store, name, name).await;
    }
    let sizes: Vec<u64> = store.list("a/").await.unwrap().iter().map(|info| info.size_bytes).collect();
    assert_eq!(sizes, [3, 5, 5]);
}

pub(crate) async fn a_deleted_object_is_gone_and_its_neighbours_stay(store: Store) {
    put(&store, "a/b/c", "1").await;
    put(&store, "a/d", "2").await;
    store.delete(&key("a/b/c")).await.unwrap();
    store.delete(&key("a/b/c")).await.unwrap();
    assert_eq!(names(&store, "").await, ["a/d"]);
    assert_eq!(store.head(&key("a/b/c")).await.unwrap(), None);
    put(&store, "a/b/c", "3").await;
    assert_eq!(text(&store, "a/b/c").await, "3");
}

pub(crate) async fn checking_that_it_is_writable_leaves_no_object(store: Store) {
    store.check_writable().await.unwrap();
    put(&store, "a", "1").await;
    store.check_writable().await.unwrap();
    assert_eq!(names(&store, "").await, ["a"]);
}

pub(crate) async fn a_swap_changes_only_the_state_that_was_read(store: Store) {
    let name = key("lease");
    assert_eq!(store.read_stamped(&name, 100).await.unwrap(), None);
    let first = store.swap(&name, None, Bytes::from_static(b"one")).await.unwrap();
    let again = store.swap(&name, None, Bytes::from_static(b"other")).await.unwrap_err();
    assert_eq!(again.kind, StoreErrorKind::AlreadyExists);
    let (bytes, read) = store.read_stamped(&name, 100).await.unwrap().unwrap();
    assert_eq!((&bytes[..], &read), (&b"one"[..], &first));
    let second = store.swap(&name, Some(&first), Bytes::from_static(b"two")).await.unwrap();
    let late = store.swap(&name, Some(&first), Bytes::from_static(b"late")).await.unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Changed);
    assert_eq!(text(&store, "lease").await, "two");
    store.delete(&name).await.unwrap();
    let gone = store.swap(&name, Some(&second), Bytes::from_static(b"three")).await.unwrap_err();
    assert_eq!(gone.kind, StoreErrorKind::Changed);
    assert_eq!(names(&store, "").await, Vec::<String>::new());
}

pub(crate) async fn of_many_swaps_none_is_lost(store: Store) {
    let name = key("counter");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, name) = (Arc::clone(&store), name.clone());
        writers.spawn(async move {
            let mut done = 0;
            while done < 5 {
                let read = store.read_stamped(&name, 100).await.unwrap();
                let count = read.as_ref().map_or(0, |(bytes, _)| bytes.len());
                let swapped =
                    store.swap(&name, read.as_ref().map(|(_, stamp)| stamp), vec![b'x'; count + 1].into());
                match swapped.await {
                    Ok(_) => done += 1,
                    Err(error) => assert!(
                        matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::AlreadyExists),
                        "{error}"
                    ),
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(text(&store, "counter").await.len(), 20);
}

pub(crate) async fn what_is_too_large_to_be_swapped_is_not_read(store: Store) {
    put(&store, "large", "0123456789").await;
    assert!(store.read_stamped(&key("large"), 10).await.unwrap().is_some());
    assert_eq!(store.read_stamped(&key("large"), 9).await.unwrap_err().kind, StoreErrorKind::Invalid);
}

/// Tests every fact above on stores that `$make` makes: an expression of `(Arc<dyn ObjectStore>, guard)`. Stores that
/// keep other bytes than they are given, which is told by `, encrypted`, list other sizes.
macro_rules! store_contract {
    ($make:expr; $($fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                let (store, _guard) = $make;
                crate::contract::$fact(store).await;
            }
        )*
    };
    ($make:expr) => {
        crate::contract::store_contract! { $make, encrypted }
        crate::contract::store_contract! { $make; a_list_gives_the_size_of_each }
    };
    ($make:expr, encrypted) => {
        crate::contract::store_contract! { $make;
            an_object_reads_back_as_written
            an_empty_object_is_an_object
            a_large_stream_arrives_whole_and_in_order
            a_range_gives_exactly_its_bytes
            a_range_outside_the_object_is_invalid
            a_stamped_read_is_of_that_state_alone
            what_is_not_there_is_not_found
            if_absent_leaves_what_is_there
            replace_takes_the_place_of_what_is_there
            of_many_writers_if_absent_exactly_one_wins
            a_stream_that_fails_leaves_nothing
            a_stream_that_ends_without_a_word_leaves_what_was_there
            nothing_is_seen_of_an_object_before_its_end
            a_list_is_by_prefix_and_in_key_order
            a_deleted_object_is_gone_and_its_neighbours_stay
            checking_that_it_is_writable_leaves_no_object
            a_swap_changes_only_the_state_that_was_read
            of_many_swaps_none_is_lost
            what_is_too_large_to_be_swapped_is_not_read
            an_upload_is_an_object_when_it_is_whole
            an_upload_goes_on_with_the_source_as_it_is_now
            an_upload_if_absent_leaves_what_is_there
            a_state_that_is_not_of_this_upload_is_passed_over
        }
    };
}
pub(crate) use store_contract;

/// The fake keeps the promises too, or tests on it would prove nothing.
mod memory {
    use std::sync::Arc;

    use rekindle_engine::testing::MemoryStore;

    use super::Store;

    fn store() -> (Store, ()) {
        (Arc::new(MemoryStore::new("memory:contract")), ())
    }

    store_contract!(store());
}
