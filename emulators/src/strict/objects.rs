//! Reads and copies: their conditions, and the checksums of objects that came in parts.

use s3s::dto as d;
use s3s::{S3 as _, S3Request, S3Response, S3Result, s3_error};

use super::Strict;

impl Strict {
    pub(super) async fn get(
        &self,
        request: S3Request<d::GetObjectInput>,
    ) -> S3Result<S3Response<d::GetObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        if let Some(wanted) = request.input.if_match.as_ref().and_then(d::ETagCondition::as_etag) {
            let found = self.look(&request, &bucket, &key).await.ok_or_else(|| s3_error!(NoSuchKey))?;
            if found.e_tag.as_ref() != Some(wanted) {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        let mut answer = self.inner.get_object(request).await?;
        let found = &mut answer.output;
        if found.content_range.is_none() && found.checksum_crc64nvme.is_none() {
            found.checksum_crc64nvme = self.sum_of(&bucket, &key, found.e_tag.as_ref());
        }
        Ok(answer)
    }

    pub(super) async fn head(
        &self,
        request: S3Request<d::HeadObjectInput>,
    ) -> S3Result<S3Response<d::HeadObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let mut answer = self.inner.head_object(request).await?;
        let found = &mut answer.output;
        if let Some(sum) = self.sum_of(&bucket, &key, found.e_tag.as_ref()) {
            found.checksum_crc64nvme = Some(sum);
        }
        Ok(answer)
    }

    pub(super) async fn copy(
        &self,
        request: S3Request<d::CopyObjectInput>,
    ) -> S3Result<S3Response<d::CopyObjectOutput>> {
        let _alone = self.writes.write().await;
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        // The generated types of the server do not know this header yet.
        let only_if_absent = request.headers.contains_key("if-none-match") && self.heeds_if_none_match();
        if only_if_absent && self.look(&request, &bucket, &key).await.is_some() {
            return Err(s3_error!(PreconditionFailed));
        }
        self.state().tags.forget(&bucket, &key);
        self.inner.copy_object(request).await
    }
}
