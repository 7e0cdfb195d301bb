//! A `POST` to the upload path in, an object or a resumable session out (`Objects: insert`).

use std::net::SocketAddr;

use futures_util::StreamExt as _;
use googleapis_tonic_google_storage_v2::google::storage::v2;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use s3s::Body;

use super::content::Draft;
use super::multipart::Parts;
use super::preconditions::Preconditions;
use super::read::json;
use super::refusal::Refusal;
use super::rest::Query;
use super::store::Store;
use super::{names, resource, sessions};
use crate::serving::Answer;

/// The most that a resource or another part in JSON may take.
const MOST_JSON_BYTES: usize = 1024 * 1024;

pub(super) async fn begin(
    store: &Store,
    address: SocketAddr,
    bucket: &str,
    query: &Query,
    request: Request<Body>,
) -> Result<Answer, Refusal> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    match query.get("uploadType") {
        Some("media") => {
            let attributes = asked(v2::Object { content_type: kind, ..Default::default() }, query)?;
            media(store, bucket, attributes, query.preconditions()?, request.into_body()).await
        }
        Some("multipart") => {
            let parts = Parts::of(request.into_body(), &kind)?;
            multipart(store, bucket, query, parts).await
        }
        Some("resumable") => {
            let headers = request.headers().clone();
            let mut attributes = resource::attributes(&whole(request.into_body()).await?)?;
            if attributes.content_type.is_empty() {
                let told = headers.get("x-upload-content-type").and_then(|value| value.to_str().ok());
                told.unwrap_or_default().clone_into(&mut attributes.content_type);
            }
            let attributes = asked(attributes, query)?;
            sessions::begin(store, address, bucket, attributes, query.preconditions()?, &headers)
        }
        other => Err(Refusal::invalid(format!("Invalid uploadType: {}", other.unwrap_or_default()))),
    }
}

/// Puts what the query says over what the resource says.
fn asked(mut attributes: v2::Object, query: &Query) -> Result<v2::Object, Refusal> {
    names::check_object_acl(query.get("predefinedAcl").unwrap_or_default())?;
    let named = [("name", &mut attributes.name), ("contentEncoding", &mut attributes.content_encoding)];
    for (parameter, field) in named {
        if let Some(value) = query.get(parameter) {
            value.clone_into(field);
        }
    }
    query.get("kmsKeyName").unwrap_or_default().clone_into(&mut attributes.kms_key);
    if attributes.name.is_empty() {
        return Err(Refusal::required("Required object name"));
    }
    Ok(attributes)
}

async fn media(
    store: &Store,
    bucket: &str,
    attributes: v2::Object,
    conditions: Preconditions,
    mut body: Body,
) -> Result<Answer, Refusal> {
    store.state().may_put(bucket, &attributes, conditions)?;
    let mut draft = Draft::begin(&store.folder).map_err(|error| Refusal::internal(&error))?;
    while let Some(chunk) = body.next().await {
        draft.write(&chunk.map_err(|_| broken())?).map_err(|error| Refusal::internal(&error))?;
    }
    Ok(json(&resource::json_of(&store.put(bucket, attributes, draft.finish(), conditions)?)))
}

/// Metadata and media, and perhaps the media's checksums behind them.
async fn multipart(store: &Store, bucket: &str, query: &Query, mut parts: Parts) -> Result<Answer, Refusal> {
    let few = || Refusal::invalid("A multipart upload has a part for the metadata and one for the media");
    parts.next().await?.ok_or_else(few)?;
    let metadata = parts.whole(MOST_JSON_BYTES).await?;
    let mut attributes = asked(resource::attributes(&metadata)?, query)?;
    let conditions = query.preconditions()?;
    store.state().may_put(bucket, &attributes, conditions)?;

    let kind = parts.next().await?.ok_or_else(few)?;
    if attributes.content_type.is_empty() {
        attributes.content_type = kind;
    }
    let mut draft = Draft::begin(&store.folder).map_err(|error| Refusal::internal(&error))?;
    while let Some(chunk) = parts.chunk().await? {
        draft.write(&chunk).map_err(|error| Refusal::internal(&error))?;
    }
    if parts.next().await?.is_some() {
        let trailer = parts.whole(MOST_JSON_BYTES).await?;
        let fields = serde_json::from_slice(&trailer);
        let fields = fields.map_err(|error| Refusal::invalid(format!("Parse Error: {error}")))?;
        let sums = resource::merge_sums(attributes.checksums.as_ref(), resource::sums(&fields)?)?;
        attributes.checksums = Some(sums);
        if parts.next().await?.is_some() {
            return Err(few());
        }
    }
    Ok(json(&resource::json_of(&store.put(bucket, attributes, draft.finish(), conditions)?)))
}

async fn whole(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| broken())?);
        if bytes.len() > MOST_JSON_BYTES {
            return Err(Refusal::invalid("The metadata is too large"));
        }
    }
    Ok(bytes)
}

/// For a body that ends before it should: nobody is left to read it.
pub(super) fn broken() -> Refusal {
    Refusal::invalid("The body of the request broke off")
}
