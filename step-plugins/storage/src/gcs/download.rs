//! Looking at objects and reading them.

use std::error::Error as _;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_storage::Error;
use google_cloud_storage::error::ReadError;
use google_cloud_storage::model::Object;
use google_cloud_storage::model_ext::ReadRange;
use google_cloud_storage::read_object::ReadObjectResponse;
use rekindle_engine::host::{Checksum, ChecksumAlgorithm, Key, ObjectInfo, Stamp};

use super::retry::patiently;
use super::{GcsStore, requests};
use crate::bucket::checksum::{Crc32c, crc32c_text};
use crate::bucket::errors::chain;
use crate::bucket::reading::{Source, Told, Wanted};
use crate::bucket::{size, timestamp};
use crate::failure::Failure;

/// Looks at an object.
pub(super) async fn head(store: &GcsStore, key: &Key) -> Result<Option<ObjectInfo>, Failure> {
    let found = requests::look(store, &store.bucket(), &store.object(key)).await?;
    Ok(found.map(|found| info(key.clone(), &found)))
}

pub(super) fn info(key: Key, found: &Object) -> ObjectInfo {
    let time = found.create_time.as_ref().map(|time| (time.seconds(), time.nanos()));
    let (seconds, nanoseconds) = time.unwrap_or_default();
    let crc32c = |value| Checksum { algorithm: ChecksumAlgorithm::Crc32c, value };
    ObjectInfo {
        checksum: stored_sum(found).map(crc32c),
        stamp: Some(Stamp(found.generation.to_string())),
        ..ObjectInfo::new(key, size(Some(found.size)), timestamp(seconds, nanoseconds))
    }
}

/// Gives the checksum that the service has of an object, as it writes it.
pub(super) fn stored_sum(found: &Object) -> Option<String> {
    found.checksums.as_ref().and_then(|sums| sums.crc32c).map(crc32c_text)
}

/// An object that is read.
pub(super) struct Stored {
    store: GcsStore,
    object: String,
}

impl Stored {
    pub(super) fn of(store: &GcsStore, key: &Key) -> Self {
        Self { store: store.clone(), object: store.object(key) }
    }
}

#[async_trait]
impl Source for Stored {
    type Kept = Crc32c;
    type Answer = ReadObjectResponse;

    fn object(&self) -> &str {
        &self.object
    }

    async fn size(&self) -> Result<Option<u64>, Failure> {
        let found = requests::look(&self.store, &self.store.bucket(), &self.object).await?;
        Ok(found.map(|found| size(Some(found.size))))
    }

    async fn ask(&self, wanted: Wanted<'_>) -> Result<(ReadObjectResponse, Told), Failure> {
        let store = &self.store;
        // A segment of no bytes would be the whole object: it is never asked for.
        let range = match (wanted.from, wanted.end) {
            (0, None) => None,
            (from, None) => Some(ReadRange::offset(from)),
            (from, Some(end)) => Some(ReadRange::segment(from, end.saturating_sub(from).max(1))),
        };
        let generation = wanted.state.and_then(|state| state.parse::<i64>().ok());
        let answer = patiently(store, 0, || {
            // What comes is compared over all answers together, not by the client over one of them.
            let mut request = store.contents.read_object(store.bucket(), &self.object).compute_crc32c(false);
            if let Some(range) = &range {
                request = request.set_read_range(range.clone());
            }
            if let Some(generation) = generation {
                request = request.set_if_generation_match(generation);
            }
            if let Some(project) = &store.how.payer {
                request = request.with_quota_project(project);
            }
            request.send()
        })
        .await?;
        let object = answer.object();
        let told = Told {
            whole_size: Some(size(Some(object.size))),
            state: Some(object.generation.to_string()),
            sum: object.checksums.and_then(|sums| sums.crc32c).map(crc32c_text),
        };
        Ok((answer, told))
    }

    async fn next(&self, answer: &mut ReadObjectResponse) -> Option<io::Result<Bytes>> {
        let stall = self.store.patience.stall;
        match tokio::time::timeout(stall, answer.next()).await {
            Ok(chunk) => Some(chunk?.map_err(|error| cut(&error))),
            Err(_) => Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no byte came for {} s", stall.as_secs()),
            ))),
        }
    }
}

/// Says how an answer broke off: wrong for good, or so that it can be gone on with.
fn cut(error: &Error) -> io::Error {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<ReadError>());
    let kind = match cause {
        Some(ReadError::ShortRead(_)) => io::ErrorKind::UnexpectedEof,
        Some(_) => io::ErrorKind::InvalidData,
        None => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, chain(error))
}
