//! One multipart upload: begun, fed, and completed or aborted.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use rekindle_engine::host::PutMode;

use super::{S3Store, Sum, condition, errors, listing};
use crate::failure::Failure;

/// An upload in parts that is aborted when it is dropped before it is done, unless its id is kept by a run.
pub(super) struct Upload {
    pub(super) store: S3Store,
    pub(super) object: String,
    pub(super) id: String,
    /// Completed, aborted, or to go on later.
    settled: bool,
}

/// A part that the store has.
pub(super) struct Sent {
    pub(super) etag: String,
    pub(super) sum: Option<Sum>,
}

impl Upload {
    /// Begins one; `mark` is what it leaves in the object's metadata.
    pub(super) async fn begin(store: &S3Store, object: &str, mark: &str) -> Result<Self, Failure> {
        let begun = store
            .client
            .create_multipart_upload()
            .bucket(&store.bucket)
            .key(object)
            .metadata(crate::bucket::MARK, mark)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_server_side_encryption(store.how.encryption.clone())
            .set_ssekms_key_id(store.how.kms_key.clone())
            .set_storage_class(store.how.class.clone())
            .set_request_payer(store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        let id = begun.upload_id().ok_or_else(|| Failure::invalid("the server began no upload"))?;
        Ok(Self { store: store.clone(), object: object.to_owned(), id: id.to_owned(), settled: false })
    }

    /// Leaves it to whoever has kept its id: a drop aborts it no more.
    pub(super) fn leave(mut self) {
        self.settled = true;
    }

    /// Goes on with one whose id was kept.
    pub(super) fn kept(store: &S3Store, object: &str, id: &str) -> Self {
        Self { store: store.clone(), object: object.to_owned(), id: id.to_owned(), settled: true }
    }

    /// Sends a part with its checksum, which the server compares.
    pub(super) async fn send(self: Arc<Self>, number: i32, bytes: Bytes) -> Result<(i32, Sent), Failure> {
        let sum = Sum::of(&bytes);
        let answer = self
            .store
            .client
            .upload_part()
            .bucket(&self.store.bucket)
            .key(&self.object)
            .upload_id(&self.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_crc64_nvme(sum.text())
            .set_request_payer(self.store.how.payer.clone())
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(errors::failure)?;
        sum.check(answer.checksum_crc64_nvme())?;
        Ok((number, Sent { etag: answer.e_tag().unwrap_or_default().to_owned(), sum: Some(sum) }))
    }

    /// Makes the object of the parts. The store refuses when the whole has not the checksum that is told here,
    /// so that no damaged object appears. `whole` is not known when the provider copied the parts itself.
    pub(super) async fn complete(
        &mut self,
        parts: &BTreeMap<i32, Sent>,
        whole: Option<Sum>,
        mode: PutMode,
    ) -> Result<Option<String>, Failure> {
        let parts = parts.iter().map(|(number, part)| {
            CompletedPart::builder()
                .part_number(*number)
                .e_tag(&part.etag)
                .set_checksum_crc64_nvme(part.sum.map(Sum::text))
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let completed = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(&self.store.bucket)
            .key(&self.object)
            .upload_id(&self.id)
            .set_if_none_match(condition(mode))
            .checksum_type(ChecksumType::FullObject)
            .set_checksum_crc64_nvme(whole.map(Sum::text))
            .set_mpu_object_size(whole.and_then(|whole| i64::try_from(whole.size_bytes).ok()))
            .multipart_upload(parts)
            .set_request_payer(self.store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        self.settled = true;
        Ok(completed.checksum_crc64_nvme().map(str::to_owned))
    }

    /// Ends it without an object.
    pub(super) async fn abort(mut self) -> Result<(), Failure> {
        self.settled = true;
        listing::abort(&self.store, &self.object, &self.id).await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (store, object, id) = (self.store.clone(), self.object.clone(), self.id.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // What can't be aborted now is not listed, and found by `remove_abandoned`.
            runtime.spawn(async move {
                if let Err(failure) = listing::abort(&store, &object, &id).await {
                    tracing::debug!(object, why = failure.why, "an upload was left behind");
                }
            });
        }
    }
}
