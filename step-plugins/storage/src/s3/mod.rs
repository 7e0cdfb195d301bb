//! A store in an S3 bucket: `s3://BUCKET/PREFIX` URLs in, objects out.
//!
//! An object appears when its single put or its multipart upload is completed, never before. What a killed
//! upload leaves is not listed; a run whose journal knows of it goes on with it, and what nobody goes on with is
//! removed by [`ObjectStore::remove_abandoned`].

mod bucket;
mod copying;
mod download;
mod errors;
mod listing;
mod multipart;
mod open;
mod parts;
mod resumed;
mod retry;
mod rules;
mod upload;

use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{RequestPayer, ServerSideEncryption, StorageClass};
use bytes::Bytes;
use jiff::Timestamp;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{
    Body, Bucket, Key, ObjectInfo, ObjectStore, ProviderPlace, PutMode, Resumption, Stamp, StoreError,
    Unfinished, UploadSource,
};

use crate::bucket::checksum::Crc64Nvme;
use crate::bucket::reading;
use crate::failure::{Failure, Operation};
pub(crate) use open::open;

/// Objects below one prefix of a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
    url: String,
    /// Whose buckets these are: `aws`, or the endpoint.
    service: String,
    /// Larger objects are copied in parts.
    most_copied_at_once_bytes: u64,
    /// An upload that can go on has no smaller parts, but for the last.
    pub(crate) least_part_bytes: u64,
    how: How,
}

/// The checksum that S3 keeps for whole objects, also when they arrive in parts.
type Sum = crate::bucket::checksum::Sum<Crc64Nvme>;

fn condition(mode: PutMode) -> Option<String> {
    match mode {
        PutMode::IfAbsent => Some("*".to_owned()),
        PutMode::Replace => None,
    }
}

/// What goes along with every request or every write.
#[derive(Debug, Clone)]
struct How {
    encryption: Option<ServerSideEncryption>,
    kms_key: Option<String>,
    class: Option<StorageClass>,
    payer: Option<RequestPayer>,
}

impl S3Store {
    fn new(client: Client, bucket: String, prefix: String, config: &StoreConfig) -> Self {
        let how = How {
            encryption: config.server_side_encryption.as_deref().map(ServerSideEncryption::from),
            kms_key: config.kms_key.clone(),
            class: config.storage_class.as_deref().map(StorageClass::from),
            payer: config.requester_pays.unwrap_or_default().then_some(RequestPayer::Requester),
        };
        let service = config.endpoint.clone().unwrap_or_else(|| "aws".to_owned());
        Self {
            client,
            bucket,
            prefix,
            url: config.url.clone(),
            service: format!("s3 {service}"),
            most_copied_at_once_bytes: copying::most_at_once_bytes(),
            least_part_bytes: crate::bucket::parts::LEAST_PART_BYTES as u64,
            how,
        }
    }

    fn object(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn at(&self, key: &Key) -> ProviderPlace {
        let (service, bucket) = (self.service.clone(), self.bucket.clone());
        ProviderPlace { service, bucket, object: self.object(key) }
    }

    fn error<'a>(&'a self, operation: Operation, key: &'a str) -> impl Fn(Failure) -> StoreError + 'a {
        move |failure| failure.into_error(&self.url, operation, key)
    }
}

/// Times come with nanoseconds out of the SDK.
fn timestamp(time: Option<&aws_sdk_s3::primitives::DateTime>) -> Timestamp {
    let parts = time.map(|time| (time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()));
    let (seconds, nanoseconds) = parts.unwrap_or_default();
    crate::bucket::timestamp(seconds, nanoseconds)
}

async fn delete(store: &S3Store, key: &Key) -> Result<(), Failure> {
    let request = store.client.delete_object().bucket(&store.bucket).key(store.object(key));
    let request = request.set_request_payer(store.how.payer.clone());
    request.send().await.map(|_| ()).map_err(errors::failure)
}

#[async_trait]
impl ObjectStore for S3Store {
    fn url(&self) -> &str {
        &self.url
    }

    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        upload::put(self, key, body, mode).await.map_err(self.error(Operation::Write, key.as_str()))
    }

    async fn upload(
        &self,
        key: &Key,
        source: &dyn UploadSource,
        mode: PutMode,
        resumption: Resumption<'_>,
    ) -> Result<ObjectInfo, StoreError> {
        let uploaded = resumed::upload(self, key, source, mode, resumption).await;
        uploaded.map_err(self.error(Operation::Write, key.as_str()))
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        reading::open(download::Stored::of(self, key), range)
            .await
            .map_err(self.error(Operation::Read, key.as_str()))
    }

    async fn get_stamped(&self, key: &Key, stamp: &Stamp, range: Range<u64>) -> Result<Body, StoreError> {
        let got = reading::open_in_state(download::Stored::of(self, key), stamp, range).await;
        got.map_err(self.error(Operation::Read, key.as_str()))
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError> {
        download::head(self, key).await.map_err(self.error(Operation::LookAt, key.as_str()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        listing::list(self, prefix).await.map_err(self.error(Operation::List, prefix))
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        delete(self, key).await.map_err(self.error(Operation::Delete, key.as_str()))
    }

    async fn read_stamped(
        &self,
        key: &Key,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, Stamp)>, StoreError> {
        reading::stamped(download::Stored::of(self, key), limit_bytes)
            .await
            .map_err(self.error(Operation::Read, key.as_str()))
    }

    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError> {
        upload::swap(self, key, expected, bytes).await.map_err(self.error(Operation::Write, key.as_str()))
    }

    fn place(&self, key: &Key) -> Option<ProviderPlace> {
        Some(self.at(key))
    }

    async fn copy_from(
        &self,
        from: &ProviderPlace,
        key: &Key,
        mode: PutMode,
    ) -> Result<Option<ObjectInfo>, StoreError> {
        copying::copy(self, from, key, mode).await.map_err(self.error(Operation::Write, key.as_str()))
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        upload::check_writable(self).await.map_err(self.error(Operation::WriteTo, ""))
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        listing::unfinished(self).await.map_err(self.error(Operation::List, ""))
    }

    async fn remove_abandoned(&self, before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        listing::remove_abandoned(self, before).await.map_err(self.error(Operation::Delete, ""))
    }

    fn bucket(&self) -> Option<&dyn Bucket> {
        Some(self)
    }
}

#[cfg(test)]
mod copying_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod option_tests;
#[cfg(test)]
mod resumed_tests;
#[cfg(test)]
pub(crate) mod tests;
