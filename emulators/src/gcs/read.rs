//! An object's name in, its bytes or its resource out (`Objects: get`, RFC 9110 section 14 for ranges).

use std::ops::Range;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, LAST_MODIFIED, RANGE,
};
use hyper::{HeaderMap, Response, StatusCode};
use s3s::dto::{Timestamp, TimestampFormat};

use super::refusal::Refusal;
use super::resource;
use super::rest::Query;
use super::store::{Object, Store};
use crate::serving::Answer;

pub(super) fn read(
    store: &Store,
    bucket: &str,
    name: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let generation = query.number("generation")?.unwrap_or_default();
    let object = store.look(bucket, name, generation, query.preconditions()?)?;
    match query.get("alt") {
        Some("media") => media(&object, headers),
        None | Some("json") => Ok(json(&resource::json_of(&object.resource))),
        Some(other) => Err(Refusal::invalid(format!("Invalid value for parameter `alt`: {other}"))),
    }
}

/// Answers with a resource.
pub(super) fn json(fields: &serde_json::Value) -> Answer {
    let mut answer = Response::new(tonic::body::Body::new(s3s::Body::from(fields.to_string())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    answer
}

fn media(object: &Object, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if object.resource.content_encoding == "gzip" && !text(ACCEPT_ENCODING).contains("gzip") {
        return Err(Refusal::not_here("decompressive transcoding"));
    }
    let size = object.content.size;
    let range = range(text(RANGE), size)?;
    let (start, end) = range.as_ref().map_or((0, size), |range| (range.start, range.end));
    let blob = object.content.read(start..end);
    let body = s3s::Body::from(s3s::stream::DynByteStream::from(blob));
    let mut answer = Response::new(tonic::body::Body::new(body));
    let told = answer.headers_mut();
    tell(told, object);
    told.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    if range.is_some() {
        let range = format!("bytes {start}-{}/{size}", end - 1);
        HeaderValue::from_str(&range).map(|range| told.insert(CONTENT_RANGE, range)).ok();
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

/// Tells what is known of an object in headers ("HTTP headers and query string parameters").
fn tell(told: &mut HeaderMap, object: &Object) {
    let (resource, content) = (&object.resource, &object.content);
    let mut set = |name: &str, value: &str| {
        // A name or value that no header can have is not told, as custom metadata may be anything.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            told.insert(name, value);
        }
    };
    let mut hash = format!("crc32c={}", BASE64.encode(content.crc32c.to_be_bytes()));
    if let Some(md5) = content.md5 {
        hash.push_str(",md5=");
        hash.push_str(&BASE64.encode(md5));
    }
    let encoding = &resource.content_encoding;
    let stored = if encoding.is_empty() { "identity" } else { encoding };
    set("x-goog-generation", &resource.generation.to_string());
    set("x-goog-metageneration", &resource.metageneration.to_string());
    set("x-goog-hash", &hash);
    set("x-goog-storage-class", &resource.storage_class);
    set("x-goog-stored-content-encoding", stored);
    set("x-goog-stored-content-length", &content.size.to_string());
    if let Some(components) = content.components {
        set("x-goog-component-count", &components.to_string());
    }
    for (key, value) in &resource.metadata {
        set(&format!("x-goog-meta-{key}"), value);
    }
    let texts = [
        ("content-type", &resource.content_type),
        ("content-encoding", encoding),
        ("content-disposition", &resource.content_disposition),
        ("content-language", &resource.content_language),
        ("cache-control", &resource.cache_control),
    ];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        set(name, value);
    }
    set(ETAG.as_str(), &resource.etag);
    set(ACCEPT_RANGES.as_str(), "bytes");
    let updated = resource.update_time.and_then(|time| SystemTime::try_from(time).ok());
    let mut date = Vec::new();
    let format = TimestampFormat::HttpDate;
    if updated.is_some_and(|time| Timestamp::from(time).format(format, &mut date).is_ok()) {
        set(LAST_MODIFIED.as_str(), &String::from_utf8_lossy(&date));
    }
}

/// Reads a `Range` header. One that isn't understood, or asks for several, is as if it weren't there.
fn range(header: &str, size: u64) -> Result<Option<Range<u64>>, Refusal> {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let range = match (number(first), number(last)) {
        (None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        (Some(start), None) if last.is_empty() => start..size,
        (Some(start), Some(end)) if start <= end => start..size.min(end.saturating_add(1)),
        _ => return Ok(None),
    };
    if range.is_empty() { Err(Refusal::range(size)) } else { Ok(Some(range)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_object() {
        assert_eq!(range("bytes=2-5", 10).unwrap(), Some(2..6));
        assert_eq!(range("bytes=8-99", 10).unwrap(), Some(8..10));
        assert_eq!(range("bytes=8-", 10).unwrap(), Some(8..10));
        assert_eq!(range("bytes=-3", 10).unwrap(), Some(7..10));
        assert_eq!(range("bytes=-30", 10).unwrap(), Some(0..10));
    }

    #[test]
    fn a_range_with_nothing_in_it_is_refused() {
        for (header, size) in [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)] {
            assert_eq!(range(header, size).unwrap_err().status, 416, "{header}");
        }
    }

    #[test]
    fn a_range_that_is_not_understood_is_not_there() {
        for header in ["", "items=1-2", "bytes=5-2", "bytes=1-2,4-5", "bytes=a-b", "bytes=-", "bytes=+1-2"] {
            assert_eq!(range(header, 10).unwrap(), None, "{header}");
        }
    }
}
