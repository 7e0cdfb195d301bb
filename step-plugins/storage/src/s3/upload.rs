//! A stream in, an object out: in one put when it is small, else in parts that travel side by side.
//!
//! Every part carries its CRC64NVME, which the server checks; that of the whole, made here while streaming, is
//! told when the parts are put together, and compared with what the store then has.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;
use rekindle_engine::host::{Body, Key, ObjectInfo, PutMode, Stamp, StoreErrorKind};
use tokio::task::JoinSet;

use super::multipart::Upload;
use super::{S3Store, Sum, condition, download, errors};
use crate::bucket::MARK;
use crate::bucket::parts::{self, MIB, Parts, most_under_way, take};
use crate::failure::Failure;
use crate::naming::new_mark;

/// The parts' sizes double up to this: 10,000 parts are allowed, so that a stream may have more than 1 TiB.
const LARGEST_PART_BYTES: usize = 256 * MIB;
/// What parts of a stream that are under way may hold in memory together.
const UNDER_WAY_BYTES: usize = 20 * MIB;
/// Where it is seen whether a store can be written: nothing is ever there.
pub(super) const CAN_WRITE: &str = ".rekindle-can-write";
pub(super) const MOST_PARTS: i32 = 10_000;
/// How often a conditional write that met another one at the same moment is tried.
const CONFLICT_TRIES: u32 = 5;

fn part_size(number: i32) -> usize {
    parts::part_size(number.unsigned_abs(), LARGEST_PART_BYTES)
}

/// Stores a stream.
pub(super) async fn put(
    store: &S3Store,
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
        let only_if = (condition(mode), None);
        (sum, put_whole(store, &object, first, only_if, &mark).await.map(|answer| answer.sum))
    } else {
        put_parts(store, &object, first, parts, mode, &mark).await?
    };
    conclude(store, key, &mark, sum, stored).await
}

/// Compares what the store says it has with what was sent. `stored` is how making the object went.
pub(super) async fn conclude(
    store: &S3Store,
    key: &Key,
    mark: &str,
    sum: Sum,
    stored: Result<Option<String>, Failure>,
) -> Result<ObjectInfo, Failure> {
    let stored = match stored {
        Err(failure) => {
            // An answer that got lost: the try after it is told that the object is there. It may be ours.
            return match ours(store, key, mark, sum).await {
                Ok(Some(info)) => Ok(info),
                Ok(None) | Err(_) => Err(failure),
            };
        }
        Ok(stored) => stored,
    };
    if let Err(failure) = sum.check(stored.as_deref()) {
        // Nobody must find it.
        super::delete(store, key).await?;
        return Err(failure);
    }
    match ours(store, key, mark, sum).await? {
        Some(info) => Ok(info),
        // Somebody has written it anew, or removed it, since.
        None => Ok(ObjectInfo::new(key.clone(), sum.size_bytes, jiff::Timestamp::now())),
    }
}

/// Looks at the object, if it is the one of this write, and compares size and checksum.
pub(super) async fn ours(
    store: &S3Store,
    key: &Key,
    mark: &str,
    sum: Sum,
) -> Result<Option<ObjectInfo>, Failure> {
    let Some(found) = download::look(store, &store.object(key)).await? else { return Ok(None) };
    if !download::is_of(&found, mark) {
        return Ok(None);
    }
    let info = download::info(key, &found);
    if info.size_bytes != sum.size_bytes {
        let why = format!("{} bytes were sent, but it has {}", sum.size_bytes, info.size_bytes);
        return Err(Failure::new(StoreErrorKind::Corrupt, why));
    }
    sum.check(found.checksum_crc64_nvme())?;
    Ok(Some(info))
}

/// Puts `bytes` in place of a state.
pub(super) async fn swap(
    store: &S3Store,
    key: &Key,
    expected: Option<&Stamp>,
    bytes: Bytes,
) -> Result<Stamp, Failure> {
    let object = store.object(key);
    let (mark, sum) = (new_mark(), Sum::of(&bytes));
    let only_if = match expected {
        None => (condition(PutMode::IfAbsent), None),
        Some(Stamp(etag)) => (None, Some(etag.clone())),
    };
    match put_whole(store, &object, bytes, only_if, &mark).await {
        Ok(answer) => {
            sum.check(answer.sum.as_deref())?;
            Ok(Stamp(answer.etag))
        }
        Err(failure) => {
            let changed = matches!(failure.kind, StoreErrorKind::AlreadyExists | StoreErrorKind::NotFound);
            // As with `put`: the first answer may have been lost, and this is our own.
            if let Ok(Some(found)) = download::look(store, &object).await
                && download::is_of(&found, &mark)
            {
                return Ok(Stamp(found.e_tag().unwrap_or_default().to_owned()));
            }
            match expected {
                Some(_) if changed => {
                    Err(Failure::new(StoreErrorKind::Changed, "somebody else has written it meanwhile"))
                }
                Some(_) | None => Err(failure),
            }
        }
    }
}

struct Put {
    etag: String,
    sum: Option<String>,
}

/// Two conditional writes met: one of them is told to try again, and will then see the other's object
/// (Amazon S3 User Guide, "How to prevent object overwrites with conditional writes").
fn is_conflict<E: aws_sdk_s3::error::ProvideErrorMetadata>(error: &E) -> bool {
    matches!(error.code(), Some("ConditionalRequestConflict" | "OperationAborted"))
}

async fn put_whole(
    store: &S3Store,
    object: &str,
    bytes: Bytes,
    (if_none_match, if_match): (Option<String>, Option<String>),
    mark: &str,
) -> Result<Put, Failure> {
    let sum = Sum::of(&bytes).text();
    let mut tries = 0;
    loop {
        tries += 1;
        let sent = store
            .client
            .put_object()
            .bucket(&store.bucket)
            .key(object)
            .metadata(MARK, mark)
            .set_if_none_match(if_none_match.clone())
            .set_if_match(if_match.clone())
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_crc64_nvme(&sum)
            .set_server_side_encryption(store.how.encryption.clone())
            .set_ssekms_key_id(store.how.kms_key.clone())
            .set_storage_class(store.how.class.clone())
            .set_request_payer(store.how.payer.clone())
            .body(ByteStream::from(bytes.clone()))
            .send()
            .await;
        match sent {
            Ok(stored) => {
                let etag = stored.e_tag().unwrap_or_default().to_owned();
                return Ok(Put { etag, sum: stored.checksum_crc64_nvme().map(str::to_owned) });
            }
            Err(error) if tries < CONFLICT_TRIES && is_conflict(&error) => {}
            Err(error) => return Err(errors::failure(error)),
        }
    }
}

/// Sends the parts. What the second value tells is how putting them together went: its answer may get lost.
async fn put_parts(
    store: &S3Store,
    object: &str,
    first: Bytes,
    mut parts: Parts<'_>,
    mode: PutMode,
    mark: &str,
) -> Result<(Sum, Result<Option<String>, Failure>), Failure> {
    let upload = Arc::new(Upload::begin(store, object, mark).await?);
    let mut under_way = JoinSet::new();
    let (mut sent, mut number) = (BTreeMap::new(), 1);
    let mut next = Some(first);
    while let Some(bytes) = next {
        if number > MOST_PARTS {
            return Err(Failure::invalid("it is larger than what S3 takes in 10,000 parts"));
        }
        while under_way.len() >= most_under_way(part_size(number), UNDER_WAY_BYTES) {
            if let Some((part, bytes)) = take(&mut under_way).await? {
                sent.extend([part]);
                parts.give_back(bytes);
            }
        }
        let sending = Arc::clone(&upload).send(number, bytes.clone());
        under_way.spawn(async move { Ok((sending.await?, bytes)) });
        number += 1;
        next = parts.next(part_size(number)).await?;
    }
    while let Some((part, _)) = take(&mut under_way).await? {
        sent.extend([part]);
    }
    let mut upload = Arc::into_inner(upload)
        .ok_or_else(|| Failure::new(StoreErrorKind::Unavailable, "a part is still under way"))?;
    let sum = sent.values().filter_map(|part| part.sum).fold(Sum::default(), Sum::followed_by);
    let completed = upload.complete(&sent, Some(sum), mode).await;
    Ok((sum, completed))
}

/// Begins an upload and gives it up: proves the permission to write and leaves no object.
pub(super) async fn check_writable(store: &S3Store) -> Result<(), Failure> {
    let object = format!("{}{CAN_WRITE}", store.prefix);
    Upload::begin(store, &object, &new_mark()).await?.abort().await
}

#[cfg(test)]
mod tests {
    use super::{LARGEST_PART_BYTES, MOST_PARTS, part_size};

    #[test]
    fn parts_grow_so_that_ten_thousand_hold_more_than_a_tebibyte() {
        assert_eq!(part_size(MOST_PARTS), LARGEST_PART_BYTES);
        let total: u64 = (1..=MOST_PARTS).map(|number| part_size(number) as u64).sum();
        assert!(total > 1 << 40, "{total}");
    }
}
