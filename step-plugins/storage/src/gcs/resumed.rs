//! An upload that goes on after a crash: a source that can be read again in, an object out.
//!
//! What is kept is the mark of the write and the size of its parts, before the first part is sent. What has arrived
//! is asked of the service, and compared with the source as it is now. Parts are joined when all are there, and stay
//! until the object is under its key.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use google_cloud_storage::model::Object;
use rekindle_engine::host::{Key, ObjectInfo, PutMode, Resumption, StoreErrorKind, UploadSource};

use super::joining::{Piece, Pieces, Row};
use super::upload::{self, Expected, LARGEST_OBJECT_BYTES};
use super::{GcsStore, Sum, download, requests};
use crate::bucket::parts::{LEAST_PART_BYTES, MIB};
use crate::bucket::resumed::{self, Kept};
use crate::bucket::size;
use crate::failure::Failure;

/// More parts than this make them larger, up to [`LARGEST_PART_BYTES`]: a list has 1,000 on a page.
const MANY_PARTS: u32 = 10_000;
const LARGEST_PART_BYTES: u64 = 32 * MIB as u64;

/// Gives the size of the parts of so many bytes.
fn part_bytes(size_bytes: u64) -> u64 {
    resumed::part_bytes(size_bytes, LEAST_PART_BYTES as u64, MANY_PARTS).min(LARGEST_PART_BYTES)
}

/// Stores a source.
pub(super) async fn upload(
    store: &GcsStore,
    key: &Key,
    source: &dyn UploadSource,
    mode: PutMode,
    Resumption { earlier, keep, parts_at_once }: Resumption<'_>,
) -> Result<ObjectInfo, Failure> {
    let (place, size_bytes) = (store.at(key), source.size_bytes());
    let kept = earlier.and_then(|state| serde_json::from_value::<Kept>(state.clone()).ok());
    if let Some(kept) = kept.filter(|kept| kept.is_of(&place)) {
        match standing(store, source, mode, &kept, &place.object).await? {
            Standing::Done(found) => {
                Pieces::kept(store, &kept.mark).clear().await;
                return Ok(download::info(key.clone(), &found));
            }
            Standing::GoesOn => return send(store, key, source, mode, &kept, parts_at_once).await,
            Standing::Over => Pieces::kept(store, &kept.mark).clear().await,
        }
    }
    if size_bytes <= LEAST_PART_BYTES as u64 {
        // One part: there is nothing to go on from.
        let body = source.read(0..size_bytes).await.map_err(Failure::of_source)?;
        return upload::put(store, key, body, mode).await;
    }
    if size_bytes > LARGEST_OBJECT_BYTES {
        return Err(upload::too_large());
    }
    if mode == PutMode::IfAbsent && requests::look(store, &store.bucket(), &place.object).await?.is_some() {
        return Err(Failure::new(StoreErrorKind::AlreadyExists, "it is there already"));
    }
    let kept = Kept::begin(place, size_bytes, part_bytes(size_bytes));
    resumed::keep(&kept, keep).await?;
    send(store, key, source, mode, &kept, parts_at_once).await
}

/// How it stands with an upload whose state was kept.
enum Standing {
    /// Its object is there, and is that of the source.
    Done(Box<Object>),
    GoesOn,
    /// The source is another one now, or somebody else has the name: nobody can use its parts.
    Over,
}

async fn standing(
    store: &GcsStore,
    source: &dyn UploadSource,
    mode: PutMode,
    kept: &Kept,
    object: &str,
) -> Result<Standing, Failure> {
    if kept.size_bytes != source.size_bytes() {
        return Ok(Standing::Over);
    }
    match requests::look(store, &store.bucket(), object).await? {
        Some(found) if upload::is_of(&found, &kept.mark) => {
            let is_same = Expected::of(kept.sum(source).await?).compare(&found).is_ok();
            // Else it came of an earlier state of the source.
            Ok(if is_same { Standing::Done(Box::new(found)) } else { Standing::Over })
        }
        Some(_) if mode == PutMode::IfAbsent => Ok(Standing::Over),
        Some(_) | None => Ok(Standing::GoesOn),
    }
}

/// Sends the parts that are not there, or are others now, and makes the object of all of them.
async fn send(
    store: &GcsStore,
    key: &Key,
    source: &dyn UploadSource,
    mode: PutMode,
    kept: &Kept,
    parts_at_once: NonZeroUsize,
) -> Result<ObjectInfo, Failure> {
    // A run will go on with them whatever happens here.
    let pieces = Arc::new(Pieces::kept(store, &kept.mark));
    let there = pieces.there().await?;
    if !there.is_empty() {
        tracing::info!(object = store.object(key), parts = there.len(), "an upload goes on");
    }
    let listed = |number: u32, bytes: &Bytes| {
        let part = there.get(&number)?;
        Some((number, same(part, Sum::of(bytes))?))
    };
    let missing = |number: u32, bytes| {
        let stale = there.get(&number).map(|part| part.generation);
        Arc::clone(&pieces).replace(stale, number, bytes)
    };
    let parts = kept.send_missing(source, parts_at_once, listed, missing).await?;
    let concluded = conclude(store, key, mode, kept, &pieces, parts).await;
    match &concluded {
        Err(failure) if !resumed::is_final(failure.kind) => {}
        Ok(_) | Err(_) => pieces.clear().await,
    }
    concluded
}

/// Joins the parts, and proves the object that was made of them before and after it appears.
async fn conclude(
    store: &GcsStore,
    key: &Key,
    mode: PutMode,
    kept: &Kept,
    pieces: &Arc<Pieces>,
    parts: Vec<(u32, Piece)>,
) -> Result<ObjectInfo, Failure> {
    let mut row = Row::new(pieces);
    for part in parts {
        row.arrived(part).await?;
    }
    let (sum, placed) =
        upload::place(store, row, kept.size_bytes, &store.object(key), mode, &kept.mark).await?;
    let placed = placed.map_err(taken_away);
    upload::settle(store, key, &kept.mark, &Expected::of(sum), placed).await
}

/// Gives the part if it has these bytes, as far as the service tells; one without a checksum is sent again.
fn same(part: &Object, sum: Sum) -> Option<Piece> {
    let is_same = size(Some(part.size)) == sum.size_bytes && download::stored_sum(part)? == sum.text();
    is_same.then(|| Piece { name: part.name.clone(), generation: part.generation, sum })
}

/// The parts went away under our hands. The next try sends those that are missing.
fn taken_away(failure: Failure) -> Failure {
    if failure.is_not_found() {
        let why = "somebody has removed its parts meanwhile; the next try sends what is missing";
        return Failure::new(StoreErrorKind::Unavailable, why);
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::part_bytes;

    #[test]
    fn parts_grow_with_the_object_up_to_what_is_sent_again_at_once() {
        const MIB: u64 = 1 << 20;
        let parts = [9 * MIB, 80_001 * MIB, 5 << 40].map(|size| part_bytes(size) / MIB);
        assert_eq!(parts, [8, 9, 32]);
    }
}
