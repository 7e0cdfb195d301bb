//! Multipart uploads: kept in mind, compared, listed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crc_fast::CrcAlgorithm::Crc64Nvme;
use futures_util::StreamExt as _;
use s3s::dto as d;
use s3s::{S3 as _, S3Request, S3Response, S3Result, s3_error};

use super::{Arrived, Begun, Strict, text};

/// The most in one answer (Amazon S3 API Reference, `ListMultipartUploads`).
const PAGE: usize = 1000;

impl Strict {
    pub(super) async fn begin(
        &self,
        request: S3Request<d::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<d::CreateMultipartUploadOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let look = d::HeadBucketInput { bucket: bucket.clone(), ..Default::default() };
        self.inner.head_bucket(super::instead(&request, look)).await?;
        let answer = self.inner.create_multipart_upload(request).await?;
        let id = answer.output.upload_id.clone().unwrap_or_default();
        let begun = Begun { bucket, key, initiated: SystemTime::now(), parts: BTreeMap::new() };
        self.state().uploads.insert(id, begun);
        Ok(answer)
    }

    pub(super) async fn part(
        &self,
        mut request: S3Request<d::UploadPartInput>,
    ) -> S3Result<S3Response<d::UploadPartOutput>> {
        let body = request.input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let bytes = collected(body).await?;
        let (crc, size) = (crc_fast::checksum(Crc64Nvme, &bytes), bytes.len() as u64);
        if request.input.checksum_crc64nvme.as_ref().is_some_and(|told| *told != text(crc)) {
            return Err(s3_error!(BadDigest, "the part has another CRC64NVME"));
        }
        let (id, number) = (request.input.upload_id.clone(), request.input.part_number);
        let known = self.state().uploads.contains_key(&id);
        if !known {
            return Err(s3_error!(NoSuchUpload));
        }
        request.input.body = Some(s3s::Body::from(bytes).into());
        let mut answer = self.inner.upload_part(request).await?;
        answer.output.checksum_crc64nvme = self.told(text(crc));
        let arrived = Arrived { crc, size, etag: answer.output.e_tag.clone(), at: SystemTime::now() };
        if let Some(upload) = self.state().uploads.get_mut(&id) {
            upload.parts.insert(number, arrived);
        }
        Ok(answer)
    }

    pub(super) async fn complete(
        &self,
        request: S3Request<d::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<d::CompleteMultipartUploadOutput>> {
        let input = &request.input;
        let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
        let whole = self.whole(input)?;
        if let Some((crc, size)) = whole {
            if input.checksum_crc64nvme.as_ref().is_some_and(|told| *told != text(crc)) {
                return Err(s3_error!(BadDigest, "the object has another CRC64NVME"));
            }
            if input.mpu_object_size.is_some_and(|told| u64::try_from(told) != Ok(size)) {
                return Err(s3_error!(InvalidRequest, "the object has another size"));
            }
        }
        let answer = self.inner.complete_multipart_upload(request).await?;
        let mut output = match answer.output.future {
            Some(completed) => completed.await?,
            None => answer.output,
        };
        let mut state = self.state();
        state.uploads.remove(&id);
        state.tags.forget(&bucket, &key);
        if let (Some((crc, _)), Some(etag)) = (whole, output.e_tag.clone()) {
            output.checksum_crc64nvme = self.told(text(crc));
            output.checksum_type = Some(d::ChecksumType::from_static(d::ChecksumType::FULL_OBJECT));
            state.sums.insert((bucket, key), (etag, text(crc)));
        }
        Ok(S3Response::new(output))
    }

    /// Gives checksum and size of the parts together; nothing when one was copied, which tells neither.
    fn whole(&self, input: &d::CompleteMultipartUploadInput) -> S3Result<Option<(u64, u64)>> {
        let state = self.state();
        let upload = state.uploads.get(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        if upload.bucket != input.bucket || upload.key != input.key {
            return Err(s3_error!(NoSuchUpload));
        }
        let mut whole = None;
        for part in input.multipart_upload.iter().flat_map(|parts| parts.parts.iter().flatten()) {
            let Some(&Arrived { crc, size, .. }) = upload.parts.get(&part.part_number.unwrap_or_default())
            else {
                return Ok(None);
            };
            whole = Some(match whole {
                None => (crc, size),
                Some((before, length)) => {
                    (crc_fast::checksum_combine(Crc64Nvme, before, crc, size), length + size)
                }
            });
        }
        Ok(whole)
    }

    pub(super) fn parts(&self, input: &d::ListPartsInput) -> S3Result<S3Response<d::ListPartsOutput>> {
        let state = self.state();
        let upload = state.uploads.get(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let after = input.part_number_marker.unwrap_or_default();
        let most = input.max_parts.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
        let mut parts: Vec<d::Part> =
            upload.parts.range(after + 1..).take(most + 1).map(|part| self.listed_part(part)).collect();
        let truncated = parts.len() > most;
        parts.truncate(most);
        let last = parts.last().and_then(|part| part.part_number).filter(|_| truncated);
        Ok(S3Response::new(d::ListPartsOutput {
            is_truncated: Some(truncated),
            next_part_number_marker: last,
            parts: Some(parts),
            ..Default::default()
        }))
    }

    fn listed_part(&self, (number, part): (&i32, &Arrived)) -> d::Part {
        d::Part {
            part_number: Some(*number),
            size: i64::try_from(part.size).ok(),
            e_tag: part.etag.clone(),
            last_modified: Some(part.at.into()),
            checksum_crc64nvme: self.told(text(part.crc)),
            ..Default::default()
        }
    }

    pub(super) fn uploads(&self, input: &d::ListMultipartUploadsInput) -> d::ListMultipartUploadsOutput {
        let state = self.state();
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let after = input.key_marker.as_deref().map(|key| (key, input.upload_id_marker.as_deref()));
        let mut found: Vec<(&String, &String, &Begun)> = state
            .uploads
            .iter()
            .map(|(id, upload)| (&upload.key, id, upload))
            .filter(|(key, _, upload)| upload.bucket == input.bucket && key.starts_with(prefix))
            .filter(|(key, id, _)| {
                after.is_none_or(|(key_marker, id_marker)| {
                    key.as_str() > key_marker
                        || (key.as_str() == key_marker
                            && id_marker.is_some_and(|marker| id.as_str() > marker))
                })
            })
            .collect();
        found.sort_by_key(|(key, id, _)| (*key, *id));
        let most = input.max_uploads.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
        let truncated = found.len() > most;
        found.truncate(most);
        let last = found.last().filter(|_| truncated);
        d::ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            is_truncated: Some(truncated),
            next_key_marker: last.map(|(key, _, _)| (*key).clone()),
            next_upload_id_marker: last.map(|(_, id, _)| (*id).clone()),
            uploads: Some(found.iter().map(|(_, id, upload)| listed(id, upload)).collect()),
            ..Default::default()
        }
    }
}

/// Reads a body to its end.
pub(super) async fn collected(mut body: d::StreamingBlob) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| s3_error!(IncompleteBody, "{error}"))?);
    }
    Ok(bytes)
}

fn listed(id: &str, upload: &Begun) -> d::MultipartUpload {
    d::MultipartUpload {
        initiated: Some(upload.initiated.into()),
        key: Some(upload.key.clone()),
        upload_id: Some(id.to_owned()),
        ..Default::default()
    }
}
