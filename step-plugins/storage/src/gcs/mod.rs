//! A store in a bucket of Google Cloud Storage: `gs://BUCKET/PREFIX` URLs in, objects out.
//!
//! An object appears when its single write is done, or when the parts of a long stream, put together and proven
//! beside it, are rewritten onto its key; never before. The parts lie under names that no key can have: they are
//! not listed. An upload goes on with those that a kill left; the rest are removed by
//! [`ObjectStore::remove_abandoned`].

mod bucket;
mod copying;
mod download;
mod errors;
mod joining;
mod listing;
mod open;
mod proxy;
mod requests;
mod resumed;
mod retry;
mod rules;
mod upload;

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_storage::client::{Storage, StorageControl};
use jiff::Timestamp;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{
    Body, Bucket, Key, ObjectInfo, ObjectStore, ProviderPlace, PutMode, Resumption, Stamp, StoreError,
    Unfinished, UploadSource,
};

use crate::bucket::checksum::Crc32c;
use crate::bucket::patience::Patience;
use crate::bucket::reading;
use crate::failure::{Failure, Operation};
pub(crate) use open::open;

/// The checksum that the service keeps for whole objects, composed ones as well.
type Sum = crate::bucket::checksum::Sum<Crc32c>;

/// Where parts lie, below the prefix. The empty part between the slashes is what no [`Key`] has.
const PARTS: &str = ".rekindle-parts//";

/// Objects below one prefix of a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GcsStore {
    /// The client for contents: JSON over HTTP.
    contents: Storage,
    /// The client for everything else: gRPC.
    control: StorageControl,
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
    url: String,
    /// Whose buckets these are: `google`, or the endpoint.
    service: String,
    patience: Patience,
    how: How,
}

/// What goes along with every request or every write.
#[derive(Debug, Clone, Default)]
struct How {
    kms_key: String,
    /// Empty: the bucket's own.
    class: String,
    /// The project that pays for requests to a bucket of somebody else.
    payer: Option<String>,
    /// The project that a new bucket is made in.
    project: Option<String>,
    /// Where a new bucket is made; the service's own choice when absent.
    location: Option<String>,
}

/// Gives the generation that must be there: 0 is none at all
/// (Cloud Storage documentation, "Request preconditions").
fn condition(mode: PutMode) -> Option<i64> {
    match mode {
        PutMode::IfAbsent => Some(0),
        PutMode::Replace => None,
    }
}

/// Names a bucket as the API's messages do.
fn resource(bucket: &str) -> String {
    format!("projects/_/buckets/{bucket}")
}

impl GcsStore {
    fn new(
        (contents, control): (Storage, StorageControl),
        (bucket, prefix): (String, String),
        config: &StoreConfig,
        patience: Patience,
    ) -> Self {
        let how = How {
            kms_key: config.kms_key.clone().unwrap_or_default(),
            class: config.storage_class.clone().unwrap_or_default(),
            payer: config.billing_project.clone(),
            project: config.project.clone(),
            location: config.location.clone(),
        };
        let service = config.endpoint.as_deref().unwrap_or("google");
        let service = format!("gs {service}");
        Self { contents, control, bucket, prefix, url: config.url.clone(), service, patience, how }
    }

    fn object(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn at(&self, key: &Key) -> ProviderPlace {
        let (service, bucket) = (self.service.clone(), self.bucket.clone());
        ProviderPlace { service, bucket, object: self.object(key) }
    }

    /// Names the bucket as the API's messages do.
    fn bucket(&self) -> String {
        resource(&self.bucket)
    }

    /// Gives what the names of all parts begin with.
    fn parts(&self) -> String {
        format!("{}{PARTS}", self.prefix)
    }

    /// Says who pays.
    fn billed<R: RequestOptionsBuilder>(&self, request: R) -> R {
        match &self.how.payer {
            Some(project) => request.with_quota_project(project),
            None => request,
        }
    }

    fn error<'a>(&'a self, operation: Operation, key: &'a str) -> impl Fn(Failure) -> StoreError + 'a {
        move |failure| failure.into_error(&self.url, operation, key)
    }
}

#[async_trait]
impl ObjectStore for GcsStore {
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
        resumed::upload(self, key, source, mode, resumption)
            .await
            .map_err(self.error(Operation::Write, key.as_str()))
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
        requests::delete(self, &self.object(key), None)
            .await
            .map_err(self.error(Operation::Delete, key.as_str()))
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
        let found = listing::unfinished(self).await.map_err(self.error(Operation::List, ""))?;
        Ok(found.into_iter().map(|(unfinished, _)| unfinished).collect())
    }

    async fn remove_abandoned(&self, before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        listing::remove_abandoned(self, before).await.map_err(self.error(Operation::Delete, ""))
    }

    fn bucket(&self) -> Option<&dyn Bucket> {
        Some(self)
    }
}

#[cfg(test)]
mod bucket_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod resumed_tests;
#[cfg(test)]
pub(crate) mod tests;
