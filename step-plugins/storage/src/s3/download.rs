//! Looking at objects and reading them.

use std::io;

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use bytes::Bytes;
use rekindle_engine::host::{Checksum, ChecksumAlgorithm, Key, ObjectInfo, Stamp, StoreErrorKind};

use super::{S3Store, errors, timestamp};
use crate::bucket::checksum::Crc64Nvme;
use crate::bucket::errors::chain;
use crate::bucket::reading::{Source, Told, Wanted};
use crate::bucket::{MARK, size};
use crate::failure::Failure;

/// Looks at an object.
pub(super) async fn head(store: &S3Store, key: &Key) -> Result<Option<ObjectInfo>, Failure> {
    Ok(look(store, &store.object(key)).await?.map(|found| info(key, &found)))
}

/// Looks at an object by its whole name.
pub(super) async fn look(store: &S3Store, object: &str) -> Result<Option<HeadObjectOutput>, Failure> {
    let request = store.client.head_object().bucket(&store.bucket).key(object);
    let request = request.checksum_mode(ChecksumMode::Enabled).set_request_payer(store.how.payer.clone());
    match request.send().await.map_err(errors::failure) {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(super) fn info(key: &Key, found: &HeadObjectOutput) -> ObjectInfo {
    let modified = timestamp(found.last_modified());
    ObjectInfo {
        checksum: found
            .checksum_crc64_nvme()
            .filter(|_| is_of_the_whole(found))
            .map(|value| Checksum { algorithm: ChecksumAlgorithm::Crc64Nvme, value: value.to_owned() }),
        stamp: found.e_tag().map(|etag| Stamp(etag.to_owned())),
        ..ObjectInfo::new(key.clone(), size(found.content_length()), modified)
    }
}

/// Tells whether an object is of the write with this mark.
pub(super) fn is_of(found: &HeadObjectOutput, mark: &str) -> bool {
    found.metadata().and_then(|metadata| metadata.get(MARK)).is_some_and(|theirs| theirs == mark)
}

/// Tells whether the checksum is of all bytes, and not of the checksums of the parts.
fn is_of_the_whole(found: &HeadObjectOutput) -> bool {
    found.checksum_type() != Some(&ChecksumType::Composite)
}

/// Gives the size of the whole object: after the `/` of `Content-Range`, or the length of a whole answer.
fn whole_size(answer: &GetObjectOutput) -> Option<u64> {
    match answer.content_range() {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => answer.content_length().and_then(|length| u64::try_from(length).ok()),
    }
}

/// An object that is read.
pub(super) struct Stored {
    store: S3Store,
    object: String,
}

impl Stored {
    pub(super) fn of(store: &S3Store, key: &Key) -> Self {
        Self { store: store.clone(), object: store.object(key) }
    }
}

#[async_trait]
impl Source for Stored {
    type Kept = Crc64Nvme;
    type Answer = GetObjectOutput;

    fn object(&self) -> &str {
        &self.object
    }

    async fn size(&self) -> Result<Option<u64>, Failure> {
        Ok(look(&self.store, &self.object).await?.map(|found| size(found.content_length())))
    }

    async fn ask(&self, wanted: Wanted<'_>) -> Result<(GetObjectOutput, Told), Failure> {
        let range = match (wanted.from, wanted.end) {
            (0, None) => None,
            (at, None) => Some(format!("bytes={at}-")),
            (at, Some(end)) => Some(format!("bytes={at}-{}", end - 1)),
        };
        let begins = range.is_some().then(|| format!("bytes {}-", wanted.from));
        let answer = self
            .store
            .client
            .get_object()
            .bucket(&self.store.bucket)
            .key(&self.object)
            .set_range(range)
            .set_if_match(wanted.state.map(str::to_owned))
            .checksum_mode(ChecksumMode::Enabled)
            .set_request_payer(self.store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        // A server that does not do ranges sends everything (RFC 9110, section 14.2): other bytes than asked for.
        if let Some(begins) = begins
            && !answer.content_range().is_some_and(|range| range.starts_with(&begins))
        {
            return Err(Failure::new(StoreErrorKind::Corrupt, "other bytes came than were asked for"));
        }
        let told = Told {
            whole_size: whole_size(&answer),
            state: answer.e_tag().map(str::to_owned),
            sum: answer.checksum_crc64_nvme().map(str::to_owned),
        };
        Ok((answer, told))
    }

    async fn next(&self, answer: &mut GetObjectOutput) -> Option<io::Result<Bytes>> {
        let chunk = answer.body.next().await?;
        Some(chunk.map_err(|error| {
            let mismatch = format!("{error:?}").contains("ChecksumMismatch");
            let kind = if mismatch { io::ErrorKind::InvalidData } else { io::ErrorKind::ConnectionReset };
            io::Error::new(kind, chain(&error))
        }))
    }
}
