//! Putting, finding, changing and deleting one object (`Objects: insert`, `get`, `patch`, `delete`).

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::content::Content;
use super::names;
use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::{Bucket, Object, State, Store, etag};

impl Store {
    /// Makes an object of what was sent, when its checksums and preconditions hold.
    pub(super) fn put(
        &self,
        bucket: &str,
        attributes: v2::Object,
        content: Content,
        conditions: Preconditions,
    ) -> Result<v2::Object, Refusal> {
        self.state().put(bucket, attributes, content, conditions)
    }

    /// Finds an object to read.
    pub(super) fn look(
        &self,
        bucket: &str,
        name: &str,
        generation: i64,
        conditions: Preconditions,
    ) -> Result<Arc<Object>, Refusal> {
        let object = self.state().find(bucket, name, generation)?;
        conditions.for_read(object.versions())?;
        Ok(object)
    }

    /// Deletes the live generation, or for good the one that is named.
    pub(super) fn delete(
        &self,
        bucket: &str,
        name: &str,
        generation: i64,
        conditions: Preconditions,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        let object = state.find(bucket, name, generation)?;
        conditions.for_change(Some(object.versions()))?;
        check_holds(&object.resource)?;
        let held = state.bucket_mut(bucket)?;
        if generation == 0 {
            held.retire(name);
        } else if held.noncurrent.remove(&(name.to_owned(), generation)).is_none() {
            held.live.remove(name);
        }
        Ok(())
    }

    /// Changes what is told about an object, field by field of a mask; `*` is all of them.
    pub(super) fn update(
        &self,
        wanted: &v2::Object,
        paths: &[String],
        conditions: Preconditions,
    ) -> Result<v2::Object, Refusal> {
        let bucket = names::bucket_of(&wanted.bucket)?;
        let mut state = self.state();
        let object = state.find(bucket, &wanted.name, wanted.generation)?;
        conditions.for_change(Some(object.versions()))?;
        let mut resource = object.resource.clone();
        for path in paths {
            update_field(&mut resource, wanted, path)?;
        }
        names::check_metadata(&resource.metadata)?;
        resource.metageneration += 1;
        resource.update_time = Some(SystemTime::now().into());
        resource.etag = etag(resource.generation, resource.metageneration);
        let changed = Arc::new(Object { resource: resource.clone(), content: object.content.clone() });
        let held = state.bucket_mut(bucket)?;
        let key = (wanted.name.clone(), resource.generation);
        if let Some(noncurrent) = held.noncurrent.get_mut(&key) {
            *noncurrent = changed;
        } else {
            held.live.insert(key.0, changed);
        }
        Ok(resource)
    }
}

impl State {
    /// As [`Store::put`], within a longer change.
    pub(super) fn put(
        &mut self,
        bucket: &str,
        attributes: v2::Object,
        content: Content,
        conditions: Preconditions,
    ) -> Result<v2::Object, Refusal> {
        self.may_put(bucket, &attributes, conditions)?;
        check_sums(attributes.checksums.as_ref(), &content)?;
        let generation = self.next_number();
        let held = self.bucket_mut(bucket)?;
        let resource = described(held, bucket, attributes, &content, generation)?;
        Ok(held.place(Object { resource, content }))
    }

    /// Says whether an object could be made now, as far as it is known before its bytes are.
    pub(super) fn may_put(
        &self,
        bucket: &str,
        attributes: &v2::Object,
        conditions: Preconditions,
    ) -> Result<(), Refusal> {
        let held = self.bucket(bucket)?;
        names::check_object(&attributes.name)?;
        self.access.admit_object(&attributes.name)?;
        names::check_metadata(&attributes.metadata)?;
        if !attributes.storage_class.is_empty() {
            names::check_class(&attributes.storage_class)?;
        }
        let live = held.live.get(&attributes.name);
        conditions.for_change(live.map(|live| live.versions()))?;
        live.map_or(Ok(()), |live| check_holds(&live.resource))
    }
}

/// Fills in what the service says of an object itself.
fn described(
    held: &Bucket,
    bucket: &str,
    attributes: v2::Object,
    content: &Content,
    generation: i64,
) -> Result<v2::Object, Refusal> {
    let now = SystemTime::now();
    let size = i64::try_from(content.size).map_err(|_| Refusal::invalid("The object is too large"))?;
    let or = |given: String, else_: &str| if given.is_empty() { else_.to_owned() } else { given };
    let checksums = v2::ObjectChecksums {
        crc32c: Some(content.crc32c),
        md5_hash: content.md5.map(Vec::from).unwrap_or_default(),
    };
    Ok(v2::Object {
        bucket: format!("projects/_/buckets/{bucket}"),
        etag: etag(generation, 1),
        generation,
        metageneration: 1,
        storage_class: or(attributes.storage_class, &held.resource.storage_class),
        size,
        content_type: or(attributes.content_type, "application/octet-stream"),
        create_time: Some(now.into()),
        finalize_time: Some(now.into()),
        update_time: Some(now.into()),
        update_storage_class_time: Some(now.into()),
        component_count: content.components.unwrap_or_default(),
        checksums: Some(checksums),
        name: attributes.name,
        content_encoding: attributes.content_encoding,
        content_disposition: attributes.content_disposition,
        content_language: attributes.content_language,
        cache_control: attributes.cache_control,
        kms_key: attributes.kms_key,
        temporary_hold: attributes.temporary_hold,
        event_based_hold: attributes.event_based_hold,
        metadata: attributes.metadata,
        custom_time: attributes.custom_time,
        ..Default::default()
    })
}

/// Compares the checksums that a client told with those of what came.
pub(super) fn check_sums(told: Option<&v2::ObjectChecksums>, content: &Content) -> Result<(), Refusal> {
    let Some(told) = told else { return Ok(()) };
    let differs = |what: &str, told: &[u8], is: &[u8]| {
        let (told, is) = (BASE64.encode(told), BASE64.encode(is));
        Err(Refusal::invalid(format!("Provided {what} \"{told}\" doesn't match calculated {what} \"{is}\".")))
    };
    if let Some(crc32c) = told.crc32c
        && crc32c != content.crc32c
    {
        return differs("CRC32C", &crc32c.to_be_bytes(), &content.crc32c.to_be_bytes());
    }
    let md5 = content.md5.unwrap_or_default();
    if !told.md5_hash.is_empty() && told.md5_hash != md5 {
        return differs("MD5 hash", &told.md5_hash, &md5);
    }
    Ok(())
}

fn check_holds(object: &v2::Object) -> Result<(), Refusal> {
    if object.temporary_hold || object.event_based_hold == Some(true) {
        let message =
            format!("Object '{}' is under active hold and cannot be deleted or overwritten.", object.name);
        return Err(Refusal::forbidden(message));
    }
    Ok(())
}

fn update_field(object: &mut v2::Object, wanted: &v2::Object, path: &str) -> Result<(), Refusal> {
    const ALL: [&str; 9] = [
        "metadata",
        "content_type",
        "content_encoding",
        "content_disposition",
        "content_language",
        "cache_control",
        "custom_time",
        "temporary_hold",
        "event_based_hold",
    ];
    if let Some(key) = path.strip_prefix("metadata.") {
        match wanted.metadata.get(key) {
            Some(value) => object.metadata.insert(key.to_owned(), value.clone()),
            None => object.metadata.remove(key),
        };
        return Ok(());
    }
    match path {
        "*" => ALL.iter().try_for_each(|path| update_field(object, wanted, path))?,
        "metadata" => object.metadata.clone_from(&wanted.metadata),
        "content_type" => object.content_type.clone_from(&wanted.content_type),
        "content_encoding" => object.content_encoding.clone_from(&wanted.content_encoding),
        "content_disposition" => object.content_disposition.clone_from(&wanted.content_disposition),
        "content_language" => object.content_language.clone_from(&wanted.content_language),
        "cache_control" => object.cache_control.clone_from(&wanted.cache_control),
        "custom_time" => object.custom_time = wanted.custom_time,
        "temporary_hold" => object.temporary_hold = wanted.temporary_hold,
        "event_based_hold" => object.event_based_hold = wanted.event_based_hold,
        other => return Err(Refusal::invalid(format!("The field `{other}` of an object can't be updated"))),
    }
    Ok(())
}
