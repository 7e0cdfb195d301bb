//! What the real service does and `s3s-fs` does not, laid over it.
//!
//! Written from the Amazon S3 API Reference: conditional writes are atomic; every part's CRC64NVME is compared
//! and kept; a multipart upload is completed only when the checksum and size that are told for the whole object
//! are right; uploads under way and their parts are listed; `If-Match` on reads; `If-None-Match` on copies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::dto as d;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

mod listing;
mod objects;
mod uploads;

/// The server behind one lock for writes: this is a test's server, not a fast one.
pub(crate) struct Strict {
    inner: FileSystem,
    /// The folder that holds the buckets.
    root: PathBuf,
    /// Taken by readers as well: an object and what is kept beside it are written one after the other.
    writes: tokio::sync::RwLock<()>,
    state: Mutex<State>,
    lax: Arc<Laxity>,
}

/// In what it is less than the real service, as many servers are that speak the protocol.
#[derive(Default)]
pub(crate) struct Laxity {
    pub(crate) tells_no_checksums: AtomicBool,
    /// Of a put, of the completion of an upload, and of a copy.
    pub(crate) ignores_if_none_match: AtomicBool,
    pub(crate) ignores_if_match: AtomicBool,
}

#[derive(Default)]
struct State {
    lists: listing::Lists,
    tags: listing::Tags,
    uploads: BTreeMap<String, Begun>,
    /// Checksums of objects that came in parts, by bucket and key, with the `ETag` they go with.
    sums: BTreeMap<(String, String), (d::ETag, String)>,
}

/// An upload under way.
struct Begun {
    bucket: String,
    key: String,
    initiated: SystemTime,
    parts: BTreeMap<i32, Arrived>,
}

/// A part of an upload.
struct Arrived {
    crc: u64,
    size: u64,
    etag: Option<d::ETag>,
    at: SystemTime,
}

impl Strict {
    pub(crate) fn new(inner: FileSystem, root: &Path, lax: Arc<Laxity>) -> Self {
        let root = root.to_owned();
        Self { inner, root, writes: tokio::sync::RwLock::new(()), state: Mutex::new(State::default()), lax }
    }

    /// Gives a checksum for an answer, where the server tells them.
    fn told(&self, sum: String) -> Option<String> {
        (!self.lax.tells_no_checksums.load(Ordering::Relaxed)).then_some(sum)
    }

    fn heeds_if_none_match(&self) -> bool {
        !self.lax.ignores_if_none_match.load(Ordering::Relaxed)
    }

    fn heeds_if_match(&self) -> bool {
        !self.lax.ignores_if_match.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum_of(&self, bucket: &str, key: &str, etag: Option<&d::ETag>) -> Option<String> {
        let state = self.state();
        let (of, sum) = state.sums.get(&(bucket.to_owned(), key.to_owned()))?;
        (Some(of) == etag).then(|| sum.clone()).and_then(|sum| self.told(sum))
    }

    /// Looks at an object, on behalf of a request that is about something else.
    async fn look<T>(&self, of: &S3Request<T>, bucket: &str, key: &str) -> Option<d::HeadObjectOutput> {
        let look =
            d::HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..Default::default() };
        Some(self.inner.head_object(instead(of, look)).await.ok()?.output)
    }
}

/// Makes a request of another kind, by the same caller.
fn instead<T, U>(request: &S3Request<T>, input: U) -> S3Request<U> {
    S3Request {
        input,
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: request.extensions.clone(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

fn text(crc: u64) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, crc.to_be_bytes())
}

#[async_trait::async_trait]
impl S3 for Strict {
    async fn put_object(
        &self,
        mut r: S3Request<d::PutObjectInput>,
    ) -> S3Result<S3Response<d::PutObjectOutput>> {
        let bucket = d::HeadBucketInput { bucket: r.input.bucket.clone(), ..Default::default() };
        self.inner.head_bucket(instead(&r, bucket)).await?;
        // Before the lock: a client that stands still in the middle of it must not stop all others.
        if let Some(body) = r.input.body.take() {
            r.input.body = Some(s3s::Body::from(uploads::collected(body).await?).into());
        }
        r.input.if_none_match = r.input.if_none_match.filter(|_| self.heeds_if_none_match());
        r.input.if_match = r.input.if_match.filter(|_| self.heeds_if_match());
        let _alone = self.writes.write().await;
        self.state().tags.forget(&r.input.bucket, &r.input.key);
        self.inner.put_object(r).await
    }

    async fn get_object(&self, r: S3Request<d::GetObjectInput>) -> S3Result<S3Response<d::GetObjectOutput>> {
        let _still = self.writes.read().await;
        self.get(r).await
    }

    async fn head_object(
        &self,
        r: S3Request<d::HeadObjectInput>,
    ) -> S3Result<S3Response<d::HeadObjectOutput>> {
        let _still = self.writes.read().await;
        self.head(r).await
    }

    async fn copy_object(
        &self,
        r: S3Request<d::CopyObjectInput>,
    ) -> S3Result<S3Response<d::CopyObjectOutput>> {
        self.copy(r).await
    }

    async fn delete_object(
        &self,
        r: S3Request<d::DeleteObjectInput>,
    ) -> S3Result<S3Response<d::DeleteObjectOutput>> {
        let _alone = self.writes.write().await;
        self.inner.delete_object(r).await
    }

    async fn list_objects_v2(
        &self,
        r: S3Request<d::ListObjectsV2Input>,
    ) -> S3Result<S3Response<d::ListObjectsV2Output>> {
        let _still = self.writes.read().await;
        self.list(r).await
    }

    async fn head_bucket(
        &self,
        r: S3Request<d::HeadBucketInput>,
    ) -> S3Result<S3Response<d::HeadBucketOutput>> {
        self.inner.head_bucket(r).await
    }

    async fn create_multipart_upload(
        &self,
        r: S3Request<d::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<d::CreateMultipartUploadOutput>> {
        self.begin(r).await
    }

    async fn upload_part(
        &self,
        r: S3Request<d::UploadPartInput>,
    ) -> S3Result<S3Response<d::UploadPartOutput>> {
        self.part(r).await
    }

    async fn upload_part_copy(
        &self,
        r: S3Request<d::UploadPartCopyInput>,
    ) -> S3Result<S3Response<d::UploadPartCopyOutput>> {
        self.inner.upload_part_copy(r).await
    }

    async fn list_parts(&self, r: S3Request<d::ListPartsInput>) -> S3Result<S3Response<d::ListPartsOutput>> {
        self.parts(&r.input)
    }

    async fn complete_multipart_upload(
        &self,
        mut r: S3Request<d::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<d::CompleteMultipartUploadOutput>> {
        r.input.if_none_match = r.input.if_none_match.filter(|_| self.heeds_if_none_match());
        r.input.if_match = r.input.if_match.filter(|_| self.heeds_if_match());
        let _alone = self.writes.write().await;
        self.complete(r).await
    }

    async fn abort_multipart_upload(
        &self,
        r: S3Request<d::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<d::AbortMultipartUploadOutput>> {
        let known = self.state().uploads.remove(&r.input.upload_id);
        if known.is_none() {
            return Err(s3_error!(NoSuchUpload));
        }
        self.inner.abort_multipart_upload(r).await
    }

    async fn list_multipart_uploads(
        &self,
        r: S3Request<d::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<d::ListMultipartUploadsOutput>> {
        Ok(S3Response::new(self.uploads(&r.input)))
    }
}
