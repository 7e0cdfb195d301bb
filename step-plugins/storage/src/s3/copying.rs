//! Copies that the provider makes by itself: an object's place in, the object at another key out.

use std::collections::BTreeMap;

use aws_sdk_s3::types::MetadataDirective;
use rekindle_engine::host::{Key, ObjectInfo, ProviderPlace, PutMode, StoreErrorKind};

use super::multipart::{Sent, Upload};
use super::{S3Store, condition, download, errors};
use crate::bucket::{MARK, size};
use crate::failure::Failure;
use crate::naming::new_mark;

/// The most that one request copies (Amazon S3 API Reference, `CopyObject`).
const MOST_AT_ONCE_BYTES: u64 = 5 << 30;
const PART_BYTES: u64 = 512 << 20;

/// Copies, if both ends are of one service and we may read the other one.
pub(super) async fn copy(
    store: &S3Store,
    from: &ProviderPlace,
    key: &Key,
    mode: PutMode,
) -> Result<Option<ObjectInfo>, Failure> {
    if from.service != store.service {
        return Ok(None);
    }
    let there = S3Store { bucket: from.bucket.clone(), prefix: String::new(), ..store.clone() };
    let source = match download::look(&there, &from.object).await {
        Ok(Some(source)) => source,
        Ok(None) => return Err(Failure::not_found()),
        // Each store has its own credentials; with those of the source it can still be read and put.
        Err(failure) if failure.kind == StoreErrorKind::Denied => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let size_bytes = size(source.content_length());
    let path = format!("{}/{}", from.bucket, encode(&from.object));
    let copied = if size_bytes > store.most_copied_at_once_bytes {
        in_parts(store, &path, source.e_tag(), size_bytes, key, mode).await
    } else {
        at_once(store, &path, source.e_tag(), key, mode).await
    };
    match copied {
        Err(failure) if failure.kind == StoreErrorKind::Denied => return Ok(None),
        copied => copied?,
    }
    let Some(found) = download::look(store, &store.object(key)).await? else {
        return Err(Failure::new(StoreErrorKind::Corrupt, "it was copied, but is not there"));
    };
    let sums = (source.checksum_crc64_nvme(), found.checksum_crc64_nvme());
    if size(found.content_length()) != size_bytes || matches!(sums, (Some(one), Some(other)) if one != other)
    {
        super::delete(store, key).await?;
        return Err(Failure::new(StoreErrorKind::Corrupt, "the copy has another size or checksum"));
    }
    Ok(Some(download::info(key, &found)))
}

/// The limit above which a copy is made in parts.
pub(super) const fn most_at_once_bytes() -> u64 {
    MOST_AT_ONCE_BYTES
}

async fn at_once(
    store: &S3Store,
    path: &str,
    etag: Option<&str>,
    key: &Key,
    mode: PutMode,
) -> Result<(), Failure> {
    let request = store.client.copy_object().bucket(&store.bucket).key(store.object(key));
    let request = request
        .copy_source(path)
        .set_copy_source_if_match(etag.map(str::to_owned))
        .set_if_none_match(condition(mode))
        .metadata_directive(MetadataDirective::Replace)
        .metadata(MARK, new_mark())
        .set_server_side_encryption(store.how.encryption.clone())
        .set_ssekms_key_id(store.how.kms_key.clone())
        .set_storage_class(store.how.class.clone())
        .set_request_payer(store.how.payer.clone());
    request.send().await.map(|_| ()).map_err(errors::failure)
}

async fn in_parts(
    store: &S3Store,
    path: &str,
    etag: Option<&str>,
    size_bytes: u64,
    key: &Key,
    mode: PutMode,
) -> Result<(), Failure> {
    let mut upload = Upload::begin(store, &store.object(key), &new_mark()).await?;
    let part_bytes = PART_BYTES.min(store.most_copied_at_once_bytes);
    let (mut parts, mut number, mut at) = (BTreeMap::new(), 1, 0);
    while at < size_bytes {
        let end = (at + part_bytes).min(size_bytes);
        let copied = store
            .client
            .upload_part_copy()
            .bucket(&store.bucket)
            .key(&upload.object)
            .upload_id(&upload.id)
            .part_number(number)
            .copy_source(path)
            .set_copy_source_if_match(etag.map(str::to_owned))
            .copy_source_range(format!("bytes={at}-{}", end - 1))
            .set_request_payer(store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        let part = copied.copy_part_result().and_then(|part| part.e_tag()).unwrap_or_default();
        parts.insert(number, Sent { etag: part.to_owned(), sum: None });
        (number, at) = (number + 1, end);
    }
    upload.complete(&parts, None, mode).await.map(|_| ())
}

/// Percent-encodes an object's name for a header (RFC 3986, section 2.1), slashes left as they are.
fn encode(object: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    object.bytes().fold(String::new(), |text, byte| {
        if plain(byte) {
            text + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{text}%{byte:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_encoded_for_a_header() {
        assert_eq!(super::encode("a/b c+é%"), "a/b%20c%2B%C3%A9%25");
    }
}
