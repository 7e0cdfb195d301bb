//! An object's resource as the JSON API words it, out and in ("Objects: Resource representations").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use googleapis_tonic_google_storage_v2::google::storage::v2;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;

pub(super) fn json_of(object: &v2::Object) -> Value {
    let bucket = object.bucket.strip_prefix("projects/_/buckets/").unwrap_or_default();
    let (name, generation) = (&object.name, object.generation);
    let sums = object.checksums.clone().unwrap_or_default();
    let mut fields = json!({
        "kind": "storage#object",
        "id": format!("{bucket}/{name}/{generation}"),
        "name": name,
        "bucket": bucket,
        "generation": generation.to_string(),
        "metageneration": object.metageneration.to_string(),
        "contentType": object.content_type,
        "storageClass": object.storage_class,
        "size": object.size.to_string(),
        "crc32c": BASE64.encode(sums.crc32c.unwrap_or_default().to_be_bytes()),
        "etag": object.etag,
    });
    let mut set = |field: &str, value: Value| {
        fields[field] = value;
    };
    let times = [
        ("timeCreated", object.create_time),
        ("updated", object.update_time),
        ("timeFinalized", object.finalize_time),
        ("timeStorageClassUpdated", object.update_storage_class_time),
        ("timeDeleted", object.delete_time),
        ("customTime", object.custom_time),
    ];
    for (field, time) in times {
        time.map(|time| set(field, json!(time.to_string()))).unwrap_or_default();
    }
    let texts = [
        ("contentEncoding", &object.content_encoding),
        ("contentDisposition", &object.content_disposition),
        ("contentLanguage", &object.content_language),
        ("cacheControl", &object.cache_control),
        ("kmsKeyName", &object.kms_key),
    ];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        set(field, json!(text));
    }
    if !sums.md5_hash.is_empty() {
        set("md5Hash", json!(BASE64.encode(sums.md5_hash)));
    }
    if object.component_count > 0 {
        set("componentCount", json!(object.component_count));
    }
    if !object.metadata.is_empty() {
        set("metadata", json!(object.metadata));
    }
    if object.temporary_hold {
        set("temporaryHold", json!(true));
    }
    if let Some(hold) = object.event_based_hold {
        set("eventBasedHold", json!(hold));
    }
    fields
}

/// Reads what a client may say of an object it makes.
pub(super) fn attributes(body: &[u8]) -> Result<v2::Object, Refusal> {
    let fields: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("Parse Error: {error}")))?
    };
    if let Some(field) =
        ["acl", "retention", "contexts"].into_iter().find(|field| fields.contains_key(*field))
    {
        return Err(Refusal::not_here(&format!("the field `{field}` of an object")));
    }
    let mut object = v2::Object {
        name: text(&fields, "name")?,
        content_type: text(&fields, "contentType")?,
        content_encoding: text(&fields, "contentEncoding")?,
        content_disposition: text(&fields, "contentDisposition")?,
        content_language: text(&fields, "contentLanguage")?,
        cache_control: text(&fields, "cacheControl")?,
        storage_class: text(&fields, "storageClass")?,
        temporary_hold: fields.get("temporaryHold") == Some(&json!(true)),
        event_based_hold: fields.get("eventBasedHold").and_then(Value::as_bool),
        checksums: Some(sums(&fields)?),
        ..Default::default()
    };
    let time = text(&fields, "customTime")?;
    if !time.is_empty() {
        object.custom_time =
            Some(time.parse().map_err(|_| Refusal::invalid(format!("Invalid time: {time}")))?);
    }
    match fields.get("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(metadata)) => {
            for key in metadata.keys() {
                object.metadata.insert(key.clone(), text(metadata, key)?);
            }
        }
        Some(_) => return Err(Refusal::invalid("Invalid value for field `metadata`")),
    }
    Ok(object)
}

/// Reads the checksums that a resource tells, both in base64.
pub(super) fn sums(fields: &Map<String, Value>) -> Result<v2::ObjectChecksums, Refusal> {
    told_sums(Some(text(fields, "crc32c")?), Some(text(fields, "md5Hash")?))
}

/// Reads the checksums of an `x-goog-hash` header.
pub(super) fn header_sums(header: &str) -> Result<v2::ObjectChecksums, Refusal> {
    let told =
        |name: &str| header.split(',').find_map(|part| part.trim().strip_prefix(name)).map(str::to_owned);
    told_sums(told("crc32c="), told("md5="))
}

fn told_sums(crc32c: Option<String>, md5: Option<String>) -> Result<v2::ObjectChecksums, Refusal> {
    let bytes = |told: Option<String>, length: usize| match told.filter(|told| !told.is_empty()) {
        None => Ok(None),
        Some(told) => match BASE64.decode(&told) {
            Ok(bytes) if bytes.len() == length => Ok(Some(bytes)),
            _ => Err(Refusal::invalid(format!("Invalid checksum: {told}"))),
        },
    };
    let crc32c = bytes(crc32c, 4)?.and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    Ok(v2::ObjectChecksums { crc32c, md5_hash: bytes(md5, 16)?.unwrap_or_default() })
}

/// Puts what is told later over what was told before; where both tell, they must agree.
pub(super) fn merge_sums(
    before: Option<&v2::ObjectChecksums>,
    later: v2::ObjectChecksums,
) -> Result<v2::ObjectChecksums, Refusal> {
    let before = before.cloned().unwrap_or_default();
    let differ = matches!((before.crc32c, later.crc32c), (Some(a), Some(b)) if a != b)
        || (!before.md5_hash.is_empty() && !later.md5_hash.is_empty() && before.md5_hash != later.md5_hash);
    if differ {
        return Err(Refusal::invalid("The checksums of the object are told twice, and differ"));
    }
    let md5_hash = if later.md5_hash.is_empty() { before.md5_hash } else { later.md5_hash };
    Ok(v2::ObjectChecksums { crc32c: later.crc32c.or(before.crc32c), md5_hash })
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Refusal::invalid(format!("Invalid value for field `{name}`"))),
    }
}
