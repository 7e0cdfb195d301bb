//! An upload that goes on after a crash: a source that can be read again in, an object out.
//!
//! What is kept is the multipart upload's id, the size of its parts and the mark of the write, before the first
//! part is sent. What has arrived is asked of the store itself, and compared with the source as it is now.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use rekindle_engine::host::{
    KeepState, Key, ObjectInfo, ProviderPlace, PutMode, Resumption, StoreErrorKind, UploadSource,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::multipart::{Sent, Upload};
use super::parts::{self, Listed};
use super::upload::{self, MOST_PARTS};
use super::{S3Store, Sum, download, listing};
use crate::bucket::resumed;
use crate::failure::Failure;

/// What is kept of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    upload_id: String,
    #[serde(flatten)]
    upload: resumed::Kept,
}

impl Kept {
    fn read(state: &Value, place: &ProviderPlace) -> Option<Self> {
        let kept: Self = serde_json::from_value(state.clone()).ok()?;
        kept.upload.is_of(place).then_some(kept)
    }
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
    let place = store.at(key);
    let kept = earlier.and_then(|state| Kept::read(state, &place));
    if let Some(kept) = kept {
        match parts::list(store, &object, &kept.upload_id).await {
            Ok(there) if kept.upload.size_bytes == size_bytes => {
                tracing::info!(object, parts = there.len(), "an upload goes on");
                return send(store, key, source, mode, &kept, &there, parts_at_once).await;
            }
            // The source is another one now.
            Ok(_) => listing::abort(store, &object, &kept.upload_id).await?,
            Err(failure) if failure.is_not_found() => {
                if let Some(info) = finished(store, key, source, &kept.upload).await? {
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
    let kept = begin(store, place, size_bytes, keep).await?;
    send(store, key, source, mode, &kept, &BTreeMap::new(), parts_at_once).await
}

/// Begins an upload and keeps its state; one whose state can't be kept is aborted.
async fn begin(
    store: &S3Store,
    place: ProviderPlace,
    size_bytes: u64,
    keep: &dyn KeepState,
) -> Result<Kept, Failure> {
    let most = MOST_PARTS.unsigned_abs();
    let part_bytes = resumed::part_bytes(size_bytes, store.least_part_bytes, most);
    let object = place.object.clone();
    let kept = resumed::Kept::begin(place, size_bytes, part_bytes);
    let upload = Upload::begin(store, &object, &kept.mark).await?;
    let kept = Kept { upload_id: upload.id.clone(), upload: kept };
    resumed::keep(&kept, keep).await?;
    upload.leave();
    Ok(kept)
}

/// Looks whether an upload that is known no more was completed, and its object is that of the source.
async fn finished(
    store: &S3Store,
    key: &Key,
    source: &dyn UploadSource,
    kept: &resumed::Kept,
) -> Result<Option<ObjectInfo>, Failure> {
    let found = download::look(store, &store.object(key)).await?;
    let is_ours = found.is_some_and(|found| download::is_of(&found, &kept.mark));
    if !is_ours || kept.size_bytes != source.size_bytes() {
        return Ok(None);
    }
    match upload::ours(store, key, &kept.mark, kept.sum(source).await?).await {
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
    if kept.upload.parts() > MOST_PARTS.unsigned_abs() {
        return Err(Failure::invalid("it is larger than what S3 takes in 10,000 parts"));
    }
    // A run will go on with it whatever happens here.
    let upload = Arc::new(Upload::kept(store, &store.object(key), &kept.upload_id));
    let listed = |number: u32, bytes: &Bytes| {
        let number = number.cast_signed();
        let (part, sum) = (there.get(&number)?, Sum::of(bytes));
        part.is(bytes, sum).then(|| (number, Sent { etag: part.etag.clone(), sum: Some(sum) }))
    };
    let missing = |number: u32, bytes| Arc::clone(&upload).send(number.cast_signed(), bytes);
    let parts = kept.upload.send_missing(source, parts_at_once, listed, missing).await.map_err(taken_away)?;
    let sent: BTreeMap<i32, Sent> = parts.into_iter().collect();
    let sum = sent.values().filter_map(|part| part.sum).fold(Sum::default(), Sum::followed_by);
    let mut upload = Arc::into_inner(upload)
        .ok_or_else(|| Failure::new(StoreErrorKind::Unavailable, "a part is still under way"))?;
    let stored = upload.complete(&sent, Some(sum), mode).await;
    let concluded = upload::conclude(store, key, &kept.upload.mark, sum, stored).await.map_err(taken_away);
    if let Err(failure) = &concluded
        && resumed::is_final(failure.kind)
    {
        // Nobody can go on with it. What can't be aborted now is found by `remove_abandoned`.
        let _ = upload.abort().await;
    }
    concluded
}

/// The upload went away under our hands. The next try begins anew.
fn taken_away(failure: Failure) -> Failure {
    if failure.is_not_found() {
        let why = "the upload was aborted by somebody else meanwhile; the next try begins anew";
        return Failure::new(StoreErrorKind::Unavailable, why);
    }
    failure
}
