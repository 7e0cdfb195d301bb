//! Chunks of one object in, the object out when the last is there ("Resumable uploads", "Perform resumable uploads").

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use googleapis_tonic_google_storage_v2::google::storage::v2;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, LOCATION};
use hyper::{HeaderMap, Request, Response, StatusCode};
use s3s::Body;

use super::content::Draft;
use super::preconditions::Preconditions;
use super::read::json;
use super::refusal::Refusal;
use super::resource;
use super::store::Store;
use crate::faults::KeepPart;
use crate::percent;
use crate::serving::Answer;

mod range;

use range::Chunk;

/// Chunks but the last are multiples of it, and so is what is kept of one that breaks off.
const QUANTUM: u64 = 256 * 1024;

/// An upload under way, or what became of it.
pub(super) struct Session {
    bucket: String,
    attributes: v2::Object,
    conditions: Preconditions,
    /// What the client said beforehand or in a chunk that the object's size is.
    total: Option<u64>,
    stage: Stage,
}

enum Stage {
    Open(Box<Draft>),
    Complete(Box<v2::Object>),
    Cancelled,
    /// The object was refused at the end.
    Failed,
}

pub(super) fn begin(
    store: &Store,
    address: SocketAddr,
    bucket: &str,
    attributes: v2::Object,
    conditions: Preconditions,
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let mut state = store.state();
    state.may_put(bucket, &attributes, conditions)?;
    let total = number(headers, "x-upload-content-length")?;
    let draft = Draft::begin(&store.folder).map_err(|error| Refusal::internal(&error))?;
    let id = state.next_token("upload");
    let name = percent::encode(&attributes.name);
    let bucket_name = bucket.to_owned();
    let session =
        Session { bucket: bucket_name, attributes, conditions, total, stage: Stage::Open(Box::new(draft)) };
    state.sessions.insert(id.clone(), Arc::new(tokio::sync::Mutex::new(session)));
    // With the port: what a client sends as `Host` may lack it.
    let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}&upload_id={id}");
    let url = format!("http://{address}{path}");
    let mut answer = empty(200);
    let told = |text: &str| HeaderValue::from_str(text).map_err(|_| Refusal::invalid("Invalid bucket name"));
    answer.headers_mut().insert(LOCATION, told(&url)?);
    answer.headers_mut().insert("x-guploader-uploadid", told(&id)?);
    Ok(answer)
}

/// Gives up an upload: 499, then and ever after.
pub(super) async fn cancel(store: &Store, bucket: &str, id: &str) -> Result<Answer, Refusal> {
    let session = find(store, bucket, id)?;
    let mut session = session.lock().await;
    if session.bucket != bucket {
        return Err(unknown());
    }
    match session.stage {
        Stage::Open(_) | Stage::Cancelled => session.stage = Stage::Cancelled,
        Stage::Complete(_) | Stage::Failed => return Err(over()),
    }
    Err(Refusal::cancelled())
}

/// Takes a chunk, or says how far the upload is. One at a time, however many ask.
pub(super) async fn go_on(
    store: &Store,
    bucket: &str,
    id: &str,
    request: Request<Body>,
) -> Result<Answer, Refusal> {
    let session = find(store, bucket, id)?;
    let mut session = session.lock().await;
    if session.bucket != bucket {
        return Err(unknown());
    }
    let length = number(request.headers(), CONTENT_LENGTH.as_str())?;
    let range = request.headers().get(CONTENT_RANGE).map(|value| value.to_str().unwrap_or("?").to_owned());
    let chunk = Chunk::read(range.as_deref(), length)?;
    let draft = match &session.stage {
        Stage::Complete(object) if chunk.is_query() => return Ok(json(&resource::json_of(object))),
        Stage::Complete(_) | Stage::Failed => return Err(over()),
        Stage::Cancelled => return Err(Refusal::cancelled()),
        Stage::Open(draft) => draft,
    };
    let total = chunk.check(draft.size, session.total)?;
    session.total = total;
    let keep = request.extensions().get::<KeepPart>().copied();
    let hashes = request.headers().get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let told = resource::header_sums(&hashes.collect::<Vec<_>>().join(","))?;
    let Stage::Open(draft) = &mut session.stage else { return Err(over()) };
    let end = take(draft, &chunk, total, request.into_body(), keep).await?;
    if let Some(keep) = keep {
        return match keep.status {
            308 => Ok(so_far(draft.size)),
            _ => Err(Refusal::unavailable("by the test")),
        };
    }
    if end.is_some_and(|end| total.is_none_or(|total| end == total)) || total == Some(draft.size) {
        return finish(store, &mut session, told);
    }
    Ok(so_far(draft.size))
}

/// Makes the object; when it is refused, the upload is over all the same.
fn finish(store: &Store, session: &mut Session, told: v2::ObjectChecksums) -> Result<Answer, Refusal> {
    let Stage::Open(draft) = std::mem::replace(&mut session.stage, Stage::Failed) else { return Err(over()) };
    let mut attributes = session.attributes.clone();
    attributes.checksums = Some(resource::merge_sums(attributes.checksums.as_ref(), told)?);
    let object = store.put(&session.bucket, attributes, draft.finish(), session.conditions)?;
    let answer = json(&resource::json_of(&object));
    session.stage = Stage::Complete(Box::new(object));
    Ok(answer)
}

/// Writes a chunk's bytes from where the upload is. Gives the object's end when the chunk's end is it.
///
/// Of a chunk that breaks off, whole quanta are kept.
async fn take(
    draft: &mut Draft,
    chunk: &Chunk,
    total: Option<u64>,
    mut body: Body,
    keep: Option<KeepPart>,
) -> Result<Option<u64>, Refusal> {
    let disk = |error: std::io::Error| Refusal::internal(&error);
    let Some(start) = chunk.start else { return Ok(None) };
    let most = keep.map_or(u64::MAX, |keep| keep.bytes as u64);
    // What is there already is not taken again.
    let mut skip = draft.size - start;
    let (mut came, mut held) = (0, Vec::new());
    while let Some(bytes) = body.next().await {
        let mut bytes = bytes.map_err(|_| super::upload::broken())?;
        came += bytes.len() as u64;
        if chunk.end.or(total).is_some_and(|end| start + came > end) {
            return Err(Refusal::invalid("The body is longer than its Content-Range says"));
        }
        let skipped = skip.min(bytes.len() as u64);
        skip -= skipped;
        held.extend_from_slice(&bytes.split_off(usize::try_from(skipped).unwrap_or(usize::MAX)));
        let room = most.saturating_sub(draft.size - start);
        let fits = room.min(held.len() as u64) / QUANTUM * QUANTUM;
        let fits = usize::try_from(fits).unwrap_or_default();
        draft.write(&held[..fits]).map_err(disk)?;
        held.drain(..fits);
        if room < QUANTUM {
            held.clear();
        }
    }
    if chunk.end.is_some_and(|end| start + came != end) {
        return Err(Refusal::invalid("The body is shorter than its Content-Range says"));
    }
    if keep.is_none() && chunk.is_last(start + came) {
        draft.write(&held).map_err(disk)?;
        return Ok(Some(start + came));
    }
    Ok(None)
}

fn find(store: &Store, bucket: &str, id: &str) -> Result<Arc<tokio::sync::Mutex<Session>>, Refusal> {
    let state = store.state();
    state.bucket(bucket)?;
    state.sessions.get(id).cloned().ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::not_found("The upload session was not found")
}

fn over() -> Refusal {
    Refusal::gone("The upload session is over")
}

/// 308 with how much is there; without a `Range` when nothing is.
fn so_far(persisted: u64) -> Answer {
    let mut answer = empty(308);
    if persisted > 0 {
        let range = HeaderValue::from_str(&format!("bytes=0-{}", persisted - 1));
        range.map(|range| answer.headers_mut().insert("range", range)).ok();
    }
    answer
}

fn empty(status: u16) -> Answer {
    let mut answer = Response::new(tonic::body::Body::empty());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    answer
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| Refusal::invalid(format!("Invalid value for header `{name}`")))
}
