//! The single requests that change objects: each is tried patiently, and can be asked twice without harm.

use bytes::Bytes;
use google_cloud_storage::model::compose_object_request::SourceObject;
use google_cloud_storage::model::{Object, ObjectChecksums};

use super::retry::patiently;
use super::{GcsStore, Sum, errors};
use crate::bucket::MARK;
use crate::failure::Failure;

/// A write of one request.
pub(super) struct Write<'a> {
    pub(super) object: &'a str,
    /// The generation that must be there, 0 for none.
    pub(super) only_if: Option<i64>,
    /// Empty: the bucket's own.
    pub(super) class: &'a str,
    pub(super) mark: &'a str,
}

/// Looks at an object of a bucket by its whole name.
pub(super) async fn look(store: &GcsStore, bucket: &str, object: &str) -> Result<Option<Object>, Failure> {
    let found = patiently(store, 0, || {
        let request = store.control.get_object().set_bucket(bucket).set_object(object);
        store.billed(request).send()
    });
    match found.await {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Writes an object of bytes that are all there. The service refuses them when they do not have the checksum that
/// goes along, so that no damaged object appears.
///
/// Never `send_buffered`, never a list of chunks: both can send wrong bytes after a request that failed halfway
/// (googleapis/google-cloud-rust, issues 6683 to 6685).
pub(super) async fn write(
    store: &GcsStore,
    write: &Write<'_>,
    bytes: Bytes,
    sum: Sum,
) -> Result<Object, Failure> {
    let written = patiently(store, bytes.len(), || {
        let mut request = store
            .contents
            .write_object(store.bucket(), write.object, bytes.clone())
            .set_metadata([(MARK, write.mark)])
            .set_storage_class(write.class)
            .set_kms_key(&store.how.kms_key)
            .with_known_crc32c(sum.crc32c());
        if let Some(generation) = write.only_if {
            request = request.set_if_generation_match(generation);
        }
        if let Some(project) = &store.how.payer {
            request = request.with_quota_project(project);
        }
        request.send_unbuffered()
    });
    written.await.map_err(errors::of_the_bucket)
}

/// Makes one object of up to 32, where nothing is yet; the sources stay.
pub(super) async fn compose(
    store: &GcsStore,
    write: &Write<'_>,
    sources: &[(String, i64)],
    sum: Sum,
) -> Result<Object, Failure> {
    let sources: Vec<SourceObject> = sources
        .iter()
        .map(|(name, generation)| SourceObject::new().set_name(name).set_generation(*generation))
        .collect();
    let composed = patiently(store, 0, || {
        let destination = Object::new()
            .set_bucket(store.bucket())
            .set_name(write.object)
            .set_storage_class(write.class)
            .set_metadata([(MARK, write.mark)]);
        let request = store
            .control
            .compose_object()
            .set_destination(destination)
            .set_source_objects(sources.clone())
            .set_kms_key(&store.how.kms_key)
            .set_object_checksums(ObjectChecksums::new().set_crc32c(sum.crc32c()))
            .set_or_clear_if_generation_match(write.only_if);
        store.billed(request).send()
    });
    composed.await
}

/// Removes an object, or one generation of it for good; one that is gone already is no error.
pub(super) async fn delete(store: &GcsStore, object: &str, generation: Option<i64>) -> Result<(), Failure> {
    let deleted = patiently(store, 0, || {
        let request = store.control.delete_object().set_bucket(store.bucket()).set_object(object);
        let request = request.set_generation(generation.unwrap_or_default());
        store.billed(request).send()
    });
    match deleted.await {
        Err(failure) if !failure.is_not_found() => Err(failure),
        Ok(()) | Err(_) => Ok(()),
    }
}
