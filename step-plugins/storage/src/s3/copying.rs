//! Copies that the provider makes by itself: an object's place in, the object at another key out.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::types::{ChecksumMode, MetadataDirective};
use rekindle_engine::host::{Key, ObjectInfo, ProviderPlace, PutMode, StoreErrorKind};

use super::multipart::{Sent, Upload};
use super::{S3Store, condition, download, errors};
use crate::bucket::{MARK, is_beyond_the_provider, size};
use crate::failure::Failure;
use crate::naming::new_mark;

/// The most that one request copies (Amazon S3 API Reference, `CopyObject`).
const MOST_AT_ONCE_BYTES: u64 = 5 << 30;
const PART_BYTES: u64 = 512 << 20;

/// The object that is copied, in the state in which it was seen.
struct Origin {
    /// Bucket and object, as a header takes them.
    path: String,
    found: HeadObjectOutput,
    size_bytes: u64,
}

/// Copies, if both ends are of one service, this end's credentials may read the other one, and the service can do it.
/// Whatever does not work this way has to be read and put.
pub(super) async fn copy(
    store: &S3Store,
    from: &ProviderPlace,
    key: &Key,
    mode: PutMode,
) -> Result<Option<ObjectInfo>, Failure> {
    if from.service != store.service {
        return Ok(None);
    }
    let origin = match look(store, from).await {
        Ok(origin) => origin,
        // Buckets of another partition (AWS China) are of another service, which can't be told by their names: that
        // there is no such object is to be heard from its own store.
        Err(failure) if failure.is_not_found() || is_beyond_the_provider(&failure) => {
            return Ok(left_to_us(&failure));
        }
        Err(failure) => return Err(failure),
    };
    let mark = new_mark();
    let copied = if origin.size_bytes > store.most_copied_at_once_bytes {
        in_parts(store, &origin, key, mode, &mark).await
    } else {
        at_once(store, &origin, key, mode, &mark).await
    };
    if let Err(failure) = copied
        // An answer that got lost: the try after it is told that the object is there, or the upload gone. It may be ours.
        && !is_ours(store, key, &mark).await
    {
        return match failure.kind {
            // The only condition there was is that of the source.
            StoreErrorKind::AlreadyExists if matches!(mode, PutMode::Replace) => {
                Err(Failure::new(StoreErrorKind::Changed, "the object to copy was replaced meanwhile"))
            }
            StoreErrorKind::NotFound => Ok(left_to_us(&failure)),
            _ if is_beyond_the_provider(&failure) => Ok(left_to_us(&failure)),
            _ => Err(failure),
        };
    }
    conclude(store, &origin, key, &mark).await.map(Some)
}

async fn is_ours(store: &S3Store, key: &Key, mark: &str) -> bool {
    let found = download::look(store, &store.object(key)).await;
    matches!(found, Ok(Some(found)) if download::is_of(&found, mark))
}

/// Says why the provider does not copy; the bytes pass through us then.
fn left_to_us<T>(failure: &Failure) -> Option<T> {
    tracing::info!(
        why = failure.why,
        "the provider does not copy by itself: the bytes pass through this machine"
    );
    None
}

/// Looks at the object to be copied, in whatever region its bucket lies. A copy over regions is asked for in that of the
/// destination, and a look in that of the source (Amazon S3 API Reference, `CopyObject`, `HeadBucket`).
async fn look(store: &S3Store, from: &ProviderPlace) -> Result<Origin, Failure> {
    let mut asked = head(store, &store.client, from).await;
    if let Err(error) = &asked
        && let Some(region) = other_region(&store.client, error)
    {
        let settings = store.client.config().to_builder().region(Region::new(region));
        asked = head(store, &Client::from_conf(settings.build()), from).await;
    }
    let found = asked.map_err(|error| errors::failure(*error))?;
    let size_bytes = size(found.content_length());
    Ok(Origin { path: format!("{}/{}", from.bucket, encode(&from.object)), found, size_bytes })
}

type Looked = Result<HeadObjectOutput, Box<SdkError<HeadObjectError, HttpResponse>>>;

async fn head(store: &S3Store, client: &Client, from: &ProviderPlace) -> Looked {
    let request = client.head_object().bucket(&from.bucket).key(&from.object);
    let request = request.checksum_mode(ChecksumMode::Enabled).set_request_payer(store.how.payer.clone());
    request.send().await.map_err(Box::new)
}

/// Gives the region that a bucket lies in, if a client of another one was told so.
fn other_region<E>(client: &Client, error: &SdkError<E, HttpResponse>) -> Option<String> {
    let answer = error.raw_response().filter(|answer| matches!(answer.status().as_u16(), 301 | 307 | 400))?;
    let region = answer.headers().get("x-amz-bucket-region")?;
    (client.config().region().map(AsRef::as_ref) != Some(region)).then(|| region.to_owned())
}

/// Looks at what is at the key now: it must be what was copied.
async fn conclude(store: &S3Store, origin: &Origin, key: &Key, mark: &str) -> Result<ObjectInfo, Failure> {
    let Some(found) = download::look(store, &store.object(key)).await? else {
        return Err(Failure::new(StoreErrorKind::Corrupt, "it was copied, but is not there"));
    };
    let sums = (origin.found.checksum_crc64_nvme(), found.checksum_crc64_nvme());
    let differs = size(found.content_length()) != origin.size_bytes
        || matches!(sums, (Some(one), Some(other)) if one != other);
    if !differs {
        return Ok(download::info(key, &found));
    }
    if !download::is_of(&found, mark) {
        return Err(Failure::new(
            StoreErrorKind::Changed,
            "somebody has written it anew since it was copied",
        ));
    }
    super::delete(store, key).await?;
    Err(Failure::new(StoreErrorKind::Corrupt, "the copy has another size or checksum"))
}

/// The limit above which a copy is made in parts.
pub(super) const fn most_at_once_bytes() -> u64 {
    MOST_AT_ONCE_BYTES
}

async fn at_once(
    store: &S3Store,
    origin: &Origin,
    key: &Key,
    mode: PutMode,
    mark: &str,
) -> Result<(), Failure> {
    let request = store.client.copy_object().bucket(&store.bucket).key(store.object(key));
    let request = request
        .copy_source(&origin.path)
        .set_copy_source_if_match(origin.found.e_tag().map(str::to_owned))
        .set_if_none_match(condition(mode))
        .metadata_directive(MetadataDirective::Replace)
        .metadata(MARK, mark)
        .set_server_side_encryption(store.how.encryption.clone())
        .set_ssekms_key_id(store.how.kms_key.clone())
        .set_storage_class(store.how.class.clone())
        .set_request_payer(store.how.payer.clone());
    request.send().await.map(|_| ()).map_err(errors::failure)
}

async fn in_parts(
    store: &S3Store,
    origin: &Origin,
    key: &Key,
    mode: PutMode,
    mark: &str,
) -> Result<(), Failure> {
    let mut upload = Upload::begin(store, &store.object(key), mark).await?;
    let part_bytes = PART_BYTES.min(store.most_copied_at_once_bytes);
    let (mut parts, mut number, mut at) = (BTreeMap::new(), 1, 0);
    while at < origin.size_bytes {
        let end = (at + part_bytes).min(origin.size_bytes);
        let copied = store
            .client
            .upload_part_copy()
            .bucket(&store.bucket)
            .key(&upload.object)
            .upload_id(&upload.id)
            .part_number(number)
            .copy_source(&origin.path)
            .set_copy_source_if_match(origin.found.e_tag().map(str::to_owned))
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
