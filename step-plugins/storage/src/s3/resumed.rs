//! An upload that goes on after a crash: a source that can be read again in, an object out.
//!
//! What is kept is the multipart upload's id, the size of its parts and the mark of the write, before the first
//! part is sent. What has arrived is asked of the store itself, and compared with the source as it is now.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{KeepState, Key, ObjectInfo, PutMode, Resumption, StoreErrorKind, UploadSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use super::multipart::{Sent, Upload};
use super::parts::{self, Listed};
use super::upload::{self, MOST_PARTS};
use super::{S3Store, Sum, download, listing};
use crate::bucket::MARK;
use crate::bucket::parts::{MIB, most_under_way, take};
use crate::failure::Failure;
use crate::naming::new_mark;

/// What is kept of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Whose buckets these are.
    service: String,
    bucket: String,
    object: String,
    upload_id: String,
    /// What the object's metadata will hold: tells whether an object that is there now came of this upload.
    mark: String,
    size_bytes: u64,
    part_bytes: u64,
}

impl Kept {
    fn read(state: &Value, store: &S3Store, object: &str) -> Option<Self> {
        let kept: Self = serde_json::from_value(state.clone()).ok()?;
        let same = kept.service == store.service && kept.bucket == store.bucket && kept.object == object;
        (same && kept.part_bytes > 0).then_some(kept)
    }

    fn range(&self, number: i32) -> Range<u64> {
        let start = (u64::from(number.unsigned_abs()) - 1) * self.part_bytes;
        start..(start + self.part_bytes).min(self.size_bytes)
    }

    fn parts(&self) -> Result<i32, Failure> {
        let parts = i32::try_from(self.size_bytes.div_ceil(self.part_bytes)).unwrap_or(i32::MAX);
        if parts > MOST_PARTS {
            return Err(Failure::invalid("it is larger than what S3 takes in 10,000 parts"));
        }
        Ok(parts)
    }
}

/// Gives the size of the parts of so many bytes: as small as may be, or so many whole MiB that there are no more than
/// 10,000.
fn part_bytes(size_bytes: u64, least: u64) -> u64 {
    let mib = MIB as u64;
    let fitting = size_bytes.div_ceil(u64::from(MOST_PARTS.unsigned_abs()));
    if fitting <= least { least } else { fitting.div_ceil(mib) * mib }
}

/// Stores a source.
pub(super) async fn upload(
    store: &S3Store,
    key: &Key,
    source: &dyn UploadSource,
    mode: PutMode,
    Resumption { earlier, keep, parts_at_once }: Resumption<'_>,
) -> Result<ObjectInfo, Failure> {
    let object = store.object(key);
    let size_bytes = source.size_bytes();
    let kept = earlier.and_then(|state| Kept::read(state, store, &object));
    if let Some(kept) = kept {
        match parts::list(store, &object, &kept.upload_id).await {
            Ok(there) if kept.size_bytes == size_bytes => {
                tracing::info!(object, parts = there.len(), "an upload goes on");
                return send(store, key, source, mode, &kept, &there, parts_at_once).await;
            }
            // The source is another one now.
            Ok(_) => listing::abort(store, &object, &kept.upload_id).await?,
            Err(failure) if failure.is_not_found() => {
                if let Some(info) = finished(store, key, source, &kept).await? {
                    return Ok(info);
                }
                tracing::warn!(object, "the upload is not known there any more: it begins anew");
            }
            Err(failure) => return Err(failure),
        }
    }
    if size_bytes <= store.least_part_bytes {
        // One part: there is nothing to go on from.
        let body = source.read(0..size_bytes).await.map_err(Failure::of_source)?;
        return upload::put(store, key, body, mode).await;
    }
    if mode == PutMode::IfAbsent && download::look(store, &object).await?.is_some() {
        return Err(Failure::new(StoreErrorKind::AlreadyExists, "it is there already"));
    }
    let kept = begin(store, &object, size_bytes, keep).await?;
    send(store, key, source, mode, &kept, &BTreeMap::new(), parts_at_once).await
}

/// Begins an upload and keeps its state; one whose state can't be kept is aborted.
async fn begin(
    store: &S3Store,
    object: &str,
    size_bytes: u64,
    keep: &dyn KeepState,
) -> Result<Kept, Failure> {
    let mark = new_mark();
    let upload = Upload::begin(store, object, &mark).await?;
    let kept = Kept {
        service: store.service.clone(),
        bucket: store.bucket.clone(),
        object: object.to_owned(),
        upload_id: upload.id.clone(),
        mark,
        size_bytes,
        part_bytes: part_bytes(size_bytes, store.least_part_bytes),
    };
    let state = serde_json::to_value(&kept).map_err(|error| Failure::invalid(error.to_string()))?;
    keep.keep(state).await.map_err(Failure::of_source)?;
    upload.leave();
    Ok(kept)
}

/// Looks whether an upload that is known no more was completed, and its object is that of the source.
async fn finished(
    store: &S3Store,
    key: &Key,
    source: &dyn UploadSource,
    kept: &Kept,
) -> Result<Option<ObjectInfo>, Failure> {
    let found = download::look(store, &kept.object).await?;
    let mark = found.as_ref().and_then(|found| found.metadata()?.get(MARK));
    if mark != Some(&kept.mark) || kept.size_bytes != source.size_bytes() {
        return Ok(None);
    }
    let mut sum = Sum::default();
    for number in 1..=kept.parts()? {
        sum = sum.followed_by(Sum::of(&read(source, kept.range(number), BytesMut::new()).await?));
    }
    match upload::ours(store, key, &kept.mark, sum).await {
        // It came of an earlier state of the source.
        Err(failure) if failure.kind == StoreErrorKind::Corrupt => Ok(None),
        compared => compared,
    }
}

/// Sends the parts that are not there, or are others now, and makes the object of all of them.
async fn send(
    store: &S3Store,
    key: &Key,
    source: &dyn UploadSource,
    mode: PutMode,
    kept: &Kept,
    there: &BTreeMap<i32, Listed>,
    parts_at_once: NonZeroUsize,
) -> Result<ObjectInfo, Failure> {
    // A run will go on with it whatever happens here.
    let upload = Arc::new(Upload::kept(store, &kept.object, &kept.upload_id));
    let part_bytes = usize::try_from(kept.part_bytes).unwrap_or(usize::MAX);
    let most = parts_at_once.get().min(most_under_way(part_bytes));
    let mut under_way: JoinSet<Result<(i32, Sent, Bytes), Failure>> = JoinSet::new();
    let (mut sent, mut buffers) = (BTreeMap::new(), Buffers::default());
    for number in 1..=kept.parts()? {
        // Before the next part is read: so many are in memory, and no more.
        while under_way.len() >= most {
            arrived(&mut under_way, &mut sent, &mut buffers).await?;
        }
        let bytes = read(source, kept.range(number), buffers.take()).await?;
        let sum = Sum::of(&bytes);
        if let Some(part) = there.get(&number).filter(|part| part.is(&bytes, sum)) {
            sent.insert(number, Sent { etag: part.etag.clone(), sum: Some(sum) });
            buffers.give_back(bytes);
            continue;
        }
        let upload = Arc::clone(&upload);
        under_way.spawn(async move {
            let (number, part) = upload.send(number, bytes.clone()).await?;
            Ok((number, part, bytes))
        });
    }
    while !under_way.is_empty() {
        arrived(&mut under_way, &mut sent, &mut buffers).await?;
    }
    let sum = sent.values().filter_map(|part| part.sum).fold(Sum::default(), Sum::followed_by);
    let mut upload = Arc::into_inner(upload)
        .ok_or_else(|| Failure::new(StoreErrorKind::Unavailable, "a part is still under way"))?;
    let stored = upload.complete(&sent, Some(sum), mode).await;
    let concluded = upload::conclude(store, key, &kept.mark, sum, stored).await.map_err(taken_away);
    if let Err(failure) = &concluded
        && is_final(failure.kind)
    {
        // Nobody can go on with it. What can't be aborted now is found by `remove_abandoned`.
        let _ = upload.abort().await;
    }
    concluded
}

/// Waits for a part that is under way.
async fn arrived(
    under_way: &mut JoinSet<Result<(i32, Sent, Bytes), Failure>>,
    sent: &mut BTreeMap<i32, Sent>,
    buffers: &mut Buffers,
) -> Result<(), Failure> {
    if let Some((number, part, bytes)) = take(under_way).await.map_err(taken_away)? {
        sent.insert(number, part);
        buffers.give_back(bytes);
    }
    Ok(())
}

/// Buffers that parts were read into, for those to come: made anew for each, they pile up in the allocator.
#[derive(Default)]
struct Buffers(Vec<BytesMut>);

impl Buffers {
    fn take(&mut self) -> BytesMut {
        self.0.pop().unwrap_or_default()
    }

    fn give_back(&mut self, bytes: Bytes) {
        // Not while the client still holds it.
        if let Ok(mut buffer) = bytes.try_into_mut() {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// Tells whether going on with the same parts would fail the same way.
fn is_final(kind: StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::AlreadyExists | StoreErrorKind::Corrupt | StoreErrorKind::Invalid => true,
        StoreErrorKind::NotFound
        | StoreErrorKind::Changed
        | StoreErrorKind::Denied
        | StoreErrorKind::Full
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Source => false,
    }
}

/// The upload went away under our hands. The next try begins anew.
fn taken_away(failure: Failure) -> Failure {
    if failure.is_not_found() {
        let why = "the upload was aborted by somebody else meanwhile; the next try begins anew";
        return Failure::new(StoreErrorKind::Unavailable, why);
    }
    failure
}

/// Reads a part of the source, all of it.
async fn read(source: &dyn UploadSource, range: Range<u64>, mut bytes: BytesMut) -> Result<Bytes, Failure> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut body = source.read(range).await.map_err(Failure::of_source)?;
    bytes.reserve(length);
    while let Some(chunk) = body.next().await.map_err(Failure::of_source)? {
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() != length {
        return Err(Failure::new(StoreErrorKind::Source, "the source has another length than it had"));
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::{MOST_PARTS, part_bytes};

    #[test]
    fn parts_are_as_small_as_ten_thousand_allow() {
        const MIB: u64 = 1 << 20;
        for (size, wanted) in [(1, 8), (80_000 * MIB, 8), (80_001 * MIB, 9), (5 << 40, 525)] {
            let part = part_bytes(size, 8 * MIB);
            assert_eq!(part, wanted * MIB, "{size}");
            assert!(size.div_ceil(part) <= u64::from(MOST_PARTS.unsigned_abs()));
        }
    }
}
