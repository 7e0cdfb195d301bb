//! A range fetches the chunks that hold it, and no others.

use std::ops::Range;

use rekindle_engine::host::StoreErrorKind;

use super::watched::Watched;
use super::{Pair, encrypt_to, encrypted, noise, put_bytes, sealed};
use crate::contract::{Store, key};

const CHUNK: u64 = 65_536;
const STORED_CHUNK: u64 = CHUNK + 16;

/// Reads a range of an object of so many bytes and gives the numbers of the chunks that were fetched for it.
async fn chunks_fetched(length: usize, range: Range<u64>) -> Range<u64> {
    let inner = Watched::new();
    let store: Store = encrypted(inner.clone(), &Pair::new());
    let plain = noise(length);
    put_bytes(&store, "k", plain.clone()).await;
    let stored = inner.memory.object(&key("k")).unwrap().len() as u64;
    let start = stored - length as u64 - 16 * (length as u64).div_ceil(CHUNK);

    let body = store.get(&key("k"), Some(range.clone())).await.unwrap();
    let read = body.collect(length).await.unwrap();
    let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
    assert!(read == plain[from..to], "{range:?}");

    let asked = inner.take_asked();
    assert_eq!(asked[0], Some(0..1024.min(stored)), "the header");
    assert_eq!(asked.len(), 2, "{asked:?}");
    let fetched = asked[1].clone().unwrap();
    assert_eq!((fetched.start - start) % STORED_CHUNK, 0, "{fetched:?}");
    assert!((fetched.end - start).is_multiple_of(STORED_CHUNK) || fetched.end == stored, "{fetched:?}");
    (fetched.start - start) / STORED_CHUNK..(fetched.end - start).div_ceil(STORED_CHUNK)
}

#[tokio::test]
async fn a_range_fetches_only_the_chunks_that_hold_it() {
    let whole = 4 * CHUNK + 1000;
    for (range, wanted) in [
        (0..1, 0..1),
        (0..CHUNK - 1, 0..1),
        (0..CHUNK, 0..1),
        (0..CHUNK + 1, 0..2),
        (CHUNK - 1..CHUNK, 0..1),
        (CHUNK..CHUNK + 1, 1..2),
        (CHUNK - 1..CHUNK + 1, 0..2),
        (CHUNK + 1..2 * CHUNK, 1..2),
        (CHUNK + 5..3 * CHUNK + 5, 1..4),
        (4 * CHUNK..4 * CHUNK + 1, 4..5),
        (whole - 1..whole, 4..5),
        (0..whole, 0..5),
    ] {
        let fetched = chunks_fetched(usize::try_from(whole).unwrap(), range.clone()).await;
        assert_eq!(fetched, wanted, "{range:?}");
    }
}

#[tokio::test]
async fn the_last_byte_is_read_also_when_its_chunk_is_full_or_has_no_other() {
    for (whole, wanted) in [(CHUNK, 0..1), (2 * CHUNK, 1..2), (2 * CHUNK + 1, 2..3), (1, 0..1)] {
        let fetched = chunks_fetched(usize::try_from(whole).unwrap(), whole - 1..whole).await;
        assert_eq!(fetched, wanted, "{whole}");
    }
}

#[tokio::test]
async fn a_range_of_nothing_and_one_outside_fetch_no_chunk() {
    let inner = Watched::new();
    let store: Store = encrypted(inner.clone(), &Pair::new());
    put_bytes(&store, "k", noise(100_000)).await;
    let nothing = store.get(&key("k"), Some(70_000..70_000)).await.unwrap();
    assert!(nothing.collect(1).await.unwrap().is_empty());
    let outside = store.get(&key("k"), Some(99_999..100_001)).await.err().unwrap();
    assert_eq!(outside.kind, StoreErrorKind::Invalid);
    assert!(outside.to_string().contains("but it has 100000"), "{outside}");
    assert_eq!(inner.take_asked(), [Some(0..1024), Some(0..1024)]);
    let absent = store.get(&key("absent"), Some(0..1)).await.err().unwrap();
    assert_eq!(absent.kind, StoreErrorKind::NotFound);
}

#[tokio::test]
async fn a_header_of_many_recipients_is_read_however_long_it_is() {
    let pairs: Vec<Pair> = (0..32).map(|_| Pair::new()).collect();
    let inner = Watched::new();
    let config = super::encrypt_to(&pairs);
    let store = super::try_around(inner.clone(), config, Some(&pairs[31].secret())).unwrap();
    put_bytes(&store, "k", noise(100_000)).await;
    assert_eq!(store.head(&key("k")).await.unwrap().unwrap().size_bytes, 100_000);
    let body = store.get(&key("k"), Some(70_000..70_003)).await.unwrap();
    assert_eq!(body.collect(3).await.unwrap(), noise(100_000)[70_000..70_003]);
    assert_eq!(super::read(&store, "k").await, noise(100_000));
}

#[tokio::test]
async fn a_stamped_range_is_never_put_together_of_two_objects() {
    let (inner, pair) = (Watched::new(), Pair::new());
    let store: Store = encrypted(inner.clone(), &pair);
    put_bytes(&store, "k", noise(200_000)).await;
    let stamp = store.head(&key("k")).await.unwrap().unwrap().stamp.unwrap();
    // Between the header and the chunks, by another of the same size.
    inner.replace_after_a_read(sealed(&encrypt_to([&pair]), &noise(200_000)));
    let told = store.get_stamped(&key("k"), &stamp, 100_000..100_010).await.err().unwrap();
    assert_eq!(told.kind, StoreErrorKind::Changed);

    let stamp = store.head(&key("k")).await.unwrap().unwrap().stamp.unwrap();
    let part = store.get_stamped(&key("k"), &stamp, 100_000..100_010).await.unwrap();
    assert!(part.collect(10).await.unwrap() == noise(200_000)[100_000..100_010]);
}
