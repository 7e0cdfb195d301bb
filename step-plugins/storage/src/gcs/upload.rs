//! A stream in, an object out: in one write when it is small, else in parts that travel side by side.
//!
//! Every write carries its CRC32C, which the service checks; that of the whole, made here while streaming, is
//! told when the parts are put together, and compared with what the store then has, before and after the object
//! appears under its key.

use std::sync::Arc;

use bytes::Bytes;
use google_cloud_storage::model::Object;
use rekindle_engine::host::{Body, Key, ObjectInfo, PutMode, Stamp, StoreErrorKind};
use tokio::task::JoinSet;

use super::joining::{Pieces, Row};
use super::requests::Write;
use super::{GcsStore, Sum, condition, copying, download, requests};
use crate::bucket::parts::{self, MIB, Parts, most_under_way, take};
use crate::bucket::{MARK, size};
use crate::failure::Failure;
use crate::naming::new_mark;

/// The parts' sizes double up to this. Their number has no limit, and those that were joined are removed.
const LARGEST_PART_BYTES: usize = 16 * MIB;
/// What parts of a stream that are under way may hold in memory together: its clients need more room than those of S3.
const UNDER_WAY_BYTES: usize = 15 * MIB;
/// The most that an object has (Cloud Storage documentation, "Quotas and limits").
pub(super) const LARGEST_OBJECT_BYTES: u64 = 5 << 40;

fn part_size(number: u32) -> usize {
    parts::part_size(number, LARGEST_PART_BYTES)
}

pub(super) fn too_large() -> Failure {
    Failure::invalid("it is larger than 5 TiB, the most that an object has")
}

/// What the store must have in the end.
pub(super) struct Expected {
    pub(super) size_bytes: u64,
    /// As the service writes it; none when it is not known.
    pub(super) sum: Option<String>,
}

impl Expected {
    pub(super) fn of(sum: Sum) -> Self {
        Self { size_bytes: sum.size_bytes, sum: Some(sum.text()) }
    }

    pub(super) fn compare(&self, found: &Object) -> Result<(), Failure> {
        let found_bytes = size(Some(found.size));
        if found_bytes != self.size_bytes {
            let why = format!("{} bytes were sent, but it has {found_bytes}", self.size_bytes);
            return Err(Failure::new(StoreErrorKind::Corrupt, why));
        }
        Sum::compare(download::stored_sum(found).as_deref(), self.sum.as_deref())
    }
}

/// Stores a stream.
pub(super) async fn put(
    store: &GcsStore,
    key: &Key,
    mut body: Body,
    mode: PutMode,
) -> Result<ObjectInfo, Failure> {
    let object = store.object(key);
    let mark = new_mark();
    let mut parts = Parts::of(&mut body);
    let first = parts.next(part_size(1)).await?.unwrap_or_default();
    let (sum, stored) = if parts.are_all() {
        let sum = Sum::of(&first);
        let write = Write { object: &object, only_if: condition(mode), class: &store.how.class, mark: &mark };
        (sum, requests::write(store, &write, first, sum).await.map(|_| ()))
    } else {
        put_parts(store, &object, first, parts, mode, &mark).await?
    };
    settle(store, key, &mark, &Expected::of(sum), stored).await
}

/// Looks at what became of a write: its answer may have been lost, and what it left must be what was sent.
pub(super) async fn settle(
    store: &GcsStore,
    key: &Key,
    mark: &str,
    expected: &Expected,
    stored: Result<(), Failure>,
) -> Result<ObjectInfo, Failure> {
    let object = store.object(key);
    let found = match (ours(store, &object, mark).await, stored) {
        (Ok(Some(found)), Err(failure)) if failure.kind == StoreErrorKind::Corrupt => {
            // Nobody must find it.
            requests::delete(store, &object, Some(found.generation)).await?;
            return Err(failure);
        }
        // An answer that got lost: the try after it is told that the object is there. It is ours.
        (Ok(Some(found)), _) => found,
        (_, Err(failure)) | (Err(failure), Ok(())) => return Err(failure),
        // Somebody has written it anew, or removed it, since.
        (Ok(None), Ok(())) => {
            let (size_bytes, modified) = (expected.size_bytes, jiff::Timestamp::now());
            return Ok(ObjectInfo::new(key.clone(), size_bytes, modified));
        }
    };
    if let Err(failure) = expected.compare(&found) {
        requests::delete(store, &object, Some(found.generation)).await?;
        return Err(failure);
    }
    Ok(download::info(key.clone(), &found))
}

/// Looks at the object, if it is the one of this write.
async fn ours(store: &GcsStore, object: &str, mark: &str) -> Result<Option<Object>, Failure> {
    let found = requests::look(store, &store.bucket(), object).await?;
    Ok(found.filter(|found| is_of(found, mark)))
}

/// Tells whether an object is of the write with this mark.
pub(super) fn is_of(found: &Object, mark: &str) -> bool {
    found.metadata.get(MARK).is_some_and(|theirs| theirs == mark)
}

/// Puts `bytes` in place of a state.
pub(super) async fn swap(
    store: &GcsStore,
    key: &Key,
    expected: Option<&Stamp>,
    bytes: Bytes,
) -> Result<Stamp, Failure> {
    let only_if = match expected {
        None => 0,
        Some(Stamp(generation)) => generation
            .parse()
            .map_err(|_| Failure::invalid(format!("`{generation}` is no generation of an object")))?,
    };
    let object = store.object(key);
    let (mark, sum) = (new_mark(), Sum::of(&bytes));
    let write = Write { object: &object, only_if: Some(only_if), class: &store.how.class, mark: &mark };
    let failure = match requests::write(store, &write, bytes, sum).await {
        Ok(stored) => return Ok(Stamp(stored.generation.to_string())),
        Err(failure) => failure,
    };
    if let Ok(Some(found)) = ours(store, &object, &mark).await {
        // As with `put`: the first answer was lost, and this is our own.
        Expected::of(sum).compare(&found)?;
        return Ok(Stamp(found.generation.to_string()));
    }
    match expected {
        Some(_) if failure.kind == StoreErrorKind::AlreadyExists => {
            Err(Failure::new(StoreErrorKind::Changed, "somebody else has written it meanwhile"))
        }
        Some(_) | None => Err(failure),
    }
}

/// Sends the parts and puts them together. What the second value tells is how the last step went, which makes the
/// object appear: its answer may get lost.
async fn put_parts(
    store: &GcsStore,
    object: &str,
    first: Bytes,
    mut parts: Parts<'_>,
    mode: PutMode,
    mark: &str,
) -> Result<(Sum, Result<(), Failure>), Failure> {
    let pieces = Arc::new(Pieces::of_write(store, mark));
    let mut row = Row::new(&pieces);
    let mut under_way = JoinSet::new();
    let (mut number, mut size_bytes) = (1, 0);
    let mut next = Some(first);
    while let Some(bytes) = next {
        size_bytes += bytes.len() as u64;
        if size_bytes > LARGEST_OBJECT_BYTES {
            return Err(too_large());
        }
        while under_way.len() >= most_under_way(part_size(number), UNDER_WAY_BYTES) {
            if let Some((part, bytes)) = take(&mut under_way).await? {
                row.arrived(part).await?;
                parts.give_back(bytes);
            }
        }
        let sending = Arc::clone(&pieces).send(number, bytes.clone());
        under_way.spawn(async move { Ok((sending.await?, bytes)) });
        number += 1;
        next = parts.next(part_size(number)).await?;
    }
    while let Some((part, _)) = take(&mut under_way).await? {
        row.arrived(part).await?;
    }
    let placed = place(store, row, size_bytes, object, mode, mark).await?;
    pieces.clear().await;
    Ok(placed)
}

/// Makes one object of all parts, proves that it has so many bytes, and lets it appear. As with [`put_parts`], the
/// second value tells how that last step went.
pub(super) async fn place(
    store: &GcsStore,
    row: Row,
    size_bytes: u64,
    object: &str,
    mode: PutMode,
    mark: &str,
) -> Result<(Sum, Result<(), Failure>), Failure> {
    let whole = row.whole().await?;
    let Some(whole) = whole.filter(|whole| whole.sum.size_bytes == size_bytes) else {
        return Err(Failure::new(StoreErrorKind::Corrupt, "the parts are not all of the stream"));
    };
    // In the store's own class and under its key: the parts were of the standard class.
    let from = (store.bucket(), whole.name.as_str(), whole.generation);
    let placed = copying::rewrite(store, from, object, condition(mode), mark).await;
    Ok((whole.sum, placed))
}

/// Writes a part and removes it: proves both permissions, and leaves no object.
pub(super) async fn check_writable(store: &GcsStore) -> Result<(), Failure> {
    let mark = new_mark();
    let pieces = Arc::new(Pieces::of_write(store, &mark));
    let (_, part) = Arc::clone(&pieces).send(1, Bytes::new()).await?;
    requests::delete(store, &part.name, Some(part.generation)).await?;
    pieces.forget();
    Ok(())
}
