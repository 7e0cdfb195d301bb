//! Encrypted objects of a store in, plain bytes out: whole, or a range of them from the chunks that hold it.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use age::stream::StreamReader;
use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{
    Body, BodySender, Key, ObjectInfo, ObjectStore, Stamp, StoreError, StoreErrorKind,
};

use super::keys::Keys;
use super::layout::{self, Beginning, CHUNK_BYTES, Chunks, MAX_HEADER_BYTES};
use super::window::{Window, told};
use crate::failure::{Failure, Operation};

/// The header of an object with a few recipients, and some noise, is shorter.
const FIRST_LOOK_BYTES: u64 = 1 << 10;

/// Tells errors of an object.
fn failed<'a>(
    store: &'a dyn ObjectStore,
    operation: Operation,
    key: &'a Key,
) -> impl Fn(Failure) -> StoreError + 'a {
    move |failure| failure.into_error(store.url(), operation, key.as_str())
}

/// Opens an object as a whole.
pub(super) async fn whole(store: &dyn ObjectStore, keys: &Keys, key: &Key) -> Result<Body, StoreError> {
    let failed = failed(store, Operation::Read, key);
    let mut body = store.get(key, None).await?;
    let mut first = BytesMut::new();
    let beginning = loop {
        // Each piece is small, so that this stays small too.
        let next = body.next().await.map_err(|error| failed(stream_error(&error)))?;
        let is_all = next.is_none();
        first.extend_from_slice(&next.unwrap_or_default());
        match layout::beginning(&first, is_all).map_err(&failed)? {
            Beginning::Unknown => {}
            known => break known,
        }
    };
    let first = first.freeze();
    if beginning == Beginning::Plain {
        return Ok(followed_by(first, body));
    }
    let rest_at = first.len() as u64;
    let reader = keys.open(Window::new(first, body, rest_at)).map_err(&failed)?;
    Ok(blocking(|sender| hand_over(reader, sender)))
}

/// Opens a range of an object; with a stamp, of one that is in that state: its header and its chunks alike.
pub(super) async fn range(
    store: &dyn ObjectStore,
    keys: &Keys,
    key: &Key,
    stamp: Option<&Stamp>,
    range: Range<u64>,
) -> Result<Body, StoreError> {
    let failed = failed(store, Operation::Read, key);
    let info = match (store.head(key).await?, stamp) {
        (Some(info), None) => info,
        (Some(info), Some(stamp)) if info.stamp.as_ref() == Some(stamp) => info,
        (None, None) => return Err(failed(Failure::not_found())),
        (Some(_) | None, Some(_)) => {
            return Err(failed(Failure::new(
                StoreErrorKind::Changed,
                "it was replaced or removed meanwhile",
            )));
        }
    };
    let Some((header, chunks)) = look(store, &info, stamp, Operation::Read).await? else {
        return stored(store, key, stamp, range).await;
    };
    let plain_bytes = chunks.plain_bytes();
    if range.start > range.end || range.end > plain_bytes {
        let why = format!("bytes {} to {} were asked for, but it has {plain_bytes}", range.start, range.end);
        return Err(failed(Failure::invalid(why)));
    }
    keys.check_readable().map_err(&failed)?;
    if range.is_empty() {
        return Ok(Body::from_bytes(""));
    }
    let in_store = chunks.stored(&range);
    let rest_at = in_store.start;
    let body = stored(store, key, stamp, in_store).await?;
    let reader = keys.open(Window::new(header, body, rest_at)).map_err(&failed)?;
    let to_the_end = range.end == plain_bytes;
    Ok(blocking(move |sender| hand_over_range(reader, &range, to_the_end, sender)))
}

/// Looks at an object as it lies in the store and gives its size as it was before it was encrypted.
pub(super) async fn plain_size(store: &dyn ObjectStore, info: &ObjectInfo) -> Result<u64, StoreError> {
    let looked = look(store, info, None, Operation::LookAt).await?;
    Ok(looked.map_or(info.size_bytes, |(_, chunks)| chunks.plain_bytes()))
}

/// Looks whether an object lies encrypted.
pub(super) async fn is_encrypted(store: &dyn ObjectStore, key: &Key) -> Result<bool, StoreError> {
    let Some(info) = store.head(key).await? else {
        return Err(failed(store, Operation::LookAt, key)(Failure::not_found()));
    };
    Ok(look(store, &info, None, Operation::LookAt).await?.is_some())
}

/// Decrypts an object that is in memory, of at most so many plain bytes.
pub(super) fn bytes(keys: &Keys, object: Bytes, limit_bytes: usize) -> Result<Bytes, Failure> {
    let mut plain = Vec::new();
    if layout::beginning(&object, true)? == Beginning::Plain {
        plain.extend_from_slice(&object);
    } else {
        let reader = keys.open(Window::whole(object))?;
        let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
        reader
            .take(limit)
            .read_to_end(&mut plain)
            .map_err(|error| Failure::new(StoreErrorKind::Corrupt, told(error).to_string()))?;
    }
    if plain.len() > limit_bytes {
        return Err(Failure::invalid(format!("it has more than {limit_bytes} bytes")));
    }
    Ok(plain.into())
}

/// Reads the header of an object, and finds its chunks; nothing when it is not encrypted.
async fn look(
    store: &dyn ObjectStore,
    info: &ObjectInfo,
    stamp: Option<&Stamp>,
    operation: Operation,
) -> Result<Option<(Bytes, Chunks)>, StoreError> {
    let failed = |failure: Failure| failure.into_error(store.url(), operation, info.key.as_str());
    let (most, mut wanted) = (MAX_HEADER_BYTES as u64, FIRST_LOOK_BYTES);
    loop {
        let end = wanted.min(info.size_bytes);
        let body = stored(store, &info.key, stamp, 0..end).await?;
        let first = body.collect(MAX_HEADER_BYTES).await.map_err(|error| failed(stream_error(&error)))?;
        match layout::beginning(&first, end == info.size_bytes).map_err(failed)? {
            Beginning::Plain => return Ok(None),
            Beginning::Encrypted(start) => {
                let chunks = Chunks::new(start as u64, info.size_bytes).map_err(failed)?;
                return Ok(Some((Bytes::from(first).slice(..start), chunks)));
            }
            Beginning::Unknown => wanted = (wanted * 4).min(most),
        }
    }
}

/// Reads bytes as they lie in the store.
async fn stored(
    store: &dyn ObjectStore,
    key: &Key,
    stamp: Option<&Stamp>,
    range: Range<u64>,
) -> Result<Body, StoreError> {
    match stamp {
        Some(stamp) => store.get_stamped(key, stamp, range).await,
        None => store.get(key, Some(range)).await,
    }
}

/// Judges a stream that broke off before anything was known of the object.
fn stream_error(error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    Failure::new(kind, error.to_string())
}

/// Gives a stream that begins with what was read of it already.
fn followed_by(first: Bytes, mut rest: Body) -> Body {
    let (sender, body) = Body::channel();
    tokio::spawn(async move {
        let mut next = Ok(Some(first));
        loop {
            match next {
                Ok(Some(chunk)) => {
                    if sender.send(chunk).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {
                    // The reader may have gone after the last byte it wanted.
                    let _ = sender.finish().await;
                    return;
                }
                Err(error) => return sender.fail(error).await,
            }
            next = rest.next().await;
        }
    });
    body
}

/// Runs work that blocks, and ends its stream as the work ended.
fn blocking(work: impl FnOnce(&BodySender) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, body) = Body::channel();
    tokio::task::spawn_blocking(move || match work(&sender) {
        // The reader may have gone after the last byte it wanted.
        Ok(()) => drop(sender.blocking_finish()),
        Err(error) => sender.blocking_fail(told(error)),
    });
    body
}

fn hand_over(mut reader: StreamReader<Window>, sender: &BodySender) -> io::Result<()> {
    while let Some(chunk) = next(&mut reader, CHUNK_BYTES)? {
        sender.blocking_send(chunk)?;
    }
    Ok(())
}

/// Hands over a range, not empty. At the end of the object, its end must be one: nothing may be cut off there.
fn hand_over_range(
    mut reader: StreamReader<Window>,
    range: &Range<u64>,
    to_the_end: bool,
    sender: &BodySender,
) -> io::Result<()> {
    let first = Chunks::of_byte(range.start);
    if first > 0 {
        // Asked for the first byte of a chunk, the reader would look at the object's end: a byte more, and one back.
        reader.seek(SeekFrom::Start(first * CHUNK_BYTES + 1))?;
    }
    reader.seek(SeekFrom::Start(range.start))?;
    let mut left = range.end - range.start;
    while left > 0 {
        let chunk = next(&mut reader, left)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        left -= chunk.len() as u64;
        sender.blocking_send(chunk)?;
    }
    if to_the_end && next(&mut reader, 1)?.is_some() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(())
}

fn next(reader: &mut StreamReader<Window>, most_bytes: u64) -> io::Result<Option<Bytes>> {
    let most = usize::try_from(most_bytes.min(CHUNK_BYTES)).unwrap_or_default();
    let mut chunk = BytesMut::zeroed(most);
    let length = reader.read(&mut chunk)?;
    chunk.truncate(length);
    Ok((length > 0).then(|| chunk.freeze()))
}
