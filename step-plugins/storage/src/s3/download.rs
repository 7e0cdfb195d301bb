//! Looking at objects and reading them; a read that is cut off goes on from the byte it had.

use std::io;
use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use bytes::Bytes;
use rekindle_engine::host::{
    Body, BodySender, Checksum, ChecksumAlgorithm, Key, ObjectInfo, Stamp, StoreErrorKind,
};

use super::checksum::Sum;
use super::{S3Store, errors, size, timestamp};
use crate::failure::Failure;

/// How often one read goes on after it was cut off without a single byte in between.
const TRIES_WITHOUT_PROGRESS: u32 = 5;

/// Looks at an object.
pub(super) async fn head(store: &S3Store, key: &Key) -> Result<Option<ObjectInfo>, Failure> {
    Ok(look(store, &store.object(key)).await?.map(|found| info(key, &found)))
}

/// Looks at an object by its whole name.
pub(super) async fn look(store: &S3Store, object: &str) -> Result<Option<HeadObjectOutput>, Failure> {
    let request = store.client.head_object().bucket(&store.bucket).key(object);
    let request = request.checksum_mode(ChecksumMode::Enabled).set_request_payer(store.how.payer.clone());
    match request.send().await.map_err(errors::failure) {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(super) fn info(key: &Key, found: &HeadObjectOutput) -> ObjectInfo {
    let modified = timestamp(found.last_modified());
    ObjectInfo {
        checksum: found
            .checksum_crc64_nvme()
            .filter(|_| is_of_the_whole(found))
            .map(|value| Checksum { algorithm: ChecksumAlgorithm::Crc64Nvme, value: value.to_owned() }),
        stamp: found.e_tag().map(|etag| Stamp(etag.to_owned())),
        ..ObjectInfo::new(key.clone(), size(found.content_length()), modified)
    }
}

/// Tells whether the checksum is of all bytes, and not of the checksums of the parts.
fn is_of_the_whole(found: &HeadObjectOutput) -> bool {
    found.checksum_type() != Some(&ChecksumType::Composite)
}

/// Opens an object, or a range of it that lies inside.
pub(super) async fn get(store: &S3Store, key: &Key, range: Option<Range<u64>>) -> Result<Body, Failure> {
    if let Some(range) = &range
        && range.start >= range.end
    {
        return nothing(store, key, range).await;
    }
    let reading = Reading::new(store, key, range);
    let (reading, answer) = reading.begin().await?;
    let (sender, body) = Body::channel();
    tokio::spawn(reading.pump(answer, sender));
    Ok(body)
}

/// Opens a range of an object in the state that has this `ETag`.
pub(super) async fn get_stamped(
    store: &S3Store,
    key: &Key,
    Stamp(etag): &Stamp,
    range: Range<u64>,
) -> Result<Body, Failure> {
    if range.start >= range.end {
        return nothing(store, key, &range).await;
    }
    let reading = Reading { etag: Some(etag.clone()), ..Reading::new(store, key, Some(range)) };
    let (reading, answer) = reading.begin().await.map_err(|failure| match failure.kind {
        // A failed `If-Match`.
        StoreErrorKind::AlreadyExists => Failure::new(StoreErrorKind::Changed, "it was replaced meanwhile"),
        _ => failure,
    })?;
    let (sender, body) = Body::channel();
    tokio::spawn(reading.pump(answer, sender));
    Ok(body)
}

/// Reads a small object with its `ETag`.
pub(super) async fn stamped(
    store: &S3Store,
    key: &Key,
    limit_bytes: usize,
) -> Result<Option<(Bytes, Stamp)>, Failure> {
    let (reading, answer) = match Reading::new(store, key, None).begin().await {
        Ok(begun) => begun,
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if reading.end.is_some_and(|end| end > limit_bytes as u64) {
        return Err(Failure::invalid(format!("it has more than {limit_bytes} bytes")));
    }
    let stamp = Stamp(reading.etag.clone().unwrap_or_default());
    let (sender, body) = Body::channel();
    let ((), bytes) = tokio::join!(reading.pump(answer, sender), body.collect(limit_bytes));
    let bytes = bytes.map_err(|error| {
        let corrupt = error.kind() == io::ErrorKind::InvalidData;
        let kind = if corrupt { StoreErrorKind::Corrupt } else { StoreErrorKind::Unavailable };
        Failure::new(kind, error.to_string())
    })?;
    Ok(Some((bytes.into(), stamp)))
}

/// A range of no bytes can't be asked for (RFC 9110, section 14.1.1): only whether it lies inside.
async fn nothing(store: &S3Store, key: &Key, range: &Range<u64>) -> Result<Body, Failure> {
    let Some(info) = head(store, key).await? else { return Err(Failure::not_found()) };
    if range.start > range.end || range.end > info.size_bytes {
        return Err(outside(range, info.size_bytes));
    }
    Ok(Body::from_bytes(""))
}

fn outside(range: &Range<u64>, size: u64) -> Failure {
    Failure::invalid(format!("bytes {} to {} were asked for, but it has {size}", range.start, range.end))
}

/// Gives the size of the whole object: after the `/` of `Content-Range`, or the length of a whole answer.
fn whole_size(answer: &GetObjectOutput) -> Option<u64> {
    match answer.content_range() {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => answer.content_length().and_then(|length| u64::try_from(length).ok()),
    }
}

/// A read under way: what is left of it.
struct Reading {
    store: S3Store,
    object: String,
    /// What the first answer was about: a later one must be about the same bytes.
    etag: Option<String>,
    at: u64,
    end: Option<u64>,
    /// Of what has come; compared with the store's when the whole object is read.
    sum: Sum,
    stored_sum: Option<String>,
}

impl Reading {
    fn new(store: &S3Store, key: &Key, range: Option<Range<u64>>) -> Self {
        Self {
            store: store.clone(),
            object: store.object(key),
            etag: None,
            at: range.as_ref().map_or(0, |range| range.start),
            end: range.map(|range| range.end),
            sum: Sum::default(),
            stored_sum: None,
        }
    }

    /// Sends the first request, and learns what the object is.
    async fn begin(mut self) -> Result<(Self, GetObjectOutput), Failure> {
        let answer = self.ask().await?;
        let whole = whole_size(&answer);
        match (self.end, whole) {
            (Some(end), Some(whole)) if end > whole => return Err(outside(&(self.at..end), whole)),
            (Some(_), _) => {}
            (None, Some(whole)) => {
                self.end = Some(whole);
                self.stored_sum = answer.checksum_crc64_nvme().map(str::to_owned);
            }
            (None, None) => {
                return Err(Failure::new(
                    StoreErrorKind::Corrupt,
                    "the answer does not tell the object's size",
                ));
            }
        }
        self.etag = answer.e_tag().map(str::to_owned);
        Ok((self, answer))
    }

    async fn ask(&self) -> Result<GetObjectOutput, Failure> {
        let range = match (self.at, self.end) {
            (0, None) => None,
            (at, None) => Some(format!("bytes={at}-")),
            (at, Some(end)) => Some(format!("bytes={at}-{}", end - 1)),
        };
        let wanted = range.is_some().then(|| format!("bytes {}-", self.at));
        let answer = self
            .store
            .client
            .get_object()
            .bucket(&self.store.bucket)
            .key(&self.object)
            .set_range(range)
            .set_if_match(self.etag.clone())
            .checksum_mode(ChecksumMode::Enabled)
            .set_request_payer(self.store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        // A server that does not do ranges sends everything (RFC 9110, section 14.2): other bytes than asked for.
        match wanted {
            Some(wanted) if !answer.content_range().is_some_and(|range| range.starts_with(&wanted)) => {
                Err(Failure::new(StoreErrorKind::Corrupt, "other bytes came than were asked for"))
            }
            Some(_) | None => Ok(answer),
        }
    }

    /// Hands the bytes over. Ends well only when every one of them has come.
    async fn pump(mut self, first: GetObjectOutput, sender: BodySender) {
        let mut answer = first;
        let mut without_progress = 0;
        loop {
            let before = self.at;
            let cut = match self.hand_over(&mut answer, &sender).await {
                Ok(Handed::Everything) => break,
                Ok(Handed::ReaderGone) => return,
                Err(cut) => cut,
            };
            if self.end.is_some_and(|end| self.at >= end) && cut.kind() != io::ErrorKind::InvalidData {
                match self.compare() {
                    Ok(()) => break,
                    Err(other) => return sender.fail(other).await,
                }
            }
            tracing::warn!(object = self.object, at = self.at, why = %cut, "a read was cut off and goes on");
            without_progress = if self.at > before { 0 } else { without_progress + 1 };
            if without_progress >= TRIES_WITHOUT_PROGRESS || cut.kind() == io::ErrorKind::InvalidData {
                return sender.fail(cut).await;
            }
            answer = match self.ask().await {
                Ok(answer) => answer,
                Err(failure) => return sender.fail(self.changed_or(failure)).await,
            };
        }
        // A reader that has gone wants nothing any more.
        let _ = sender.finish().await;
    }

    async fn hand_over(&mut self, answer: &mut GetObjectOutput, sender: &BodySender) -> io::Result<Handed> {
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map_err(|error| {
                let mismatch = format!("{error:?}").contains("ChecksumMismatch");
                let kind = if mismatch { io::ErrorKind::InvalidData } else { io::ErrorKind::ConnectionReset };
                io::Error::new(kind, errors::chain(&error))
            })?;
            self.at += chunk.len() as u64;
            if self.end.is_some_and(|end| self.at > end) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "more bytes came than the object has",
                ));
            }
            self.sum = self.sum.followed_by(Sum::of(&chunk));
            if sender.send(chunk).await.is_err() {
                return Ok(Handed::ReaderGone);
            }
        }
        match self.end {
            Some(end) if self.at < end => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the answer ended {} bytes early", end - self.at),
            )),
            Some(_) | None => self.compare().map(|()| Handed::Everything),
        }
    }

    /// Compares all that has come with what the store says it has.
    fn compare(&self) -> io::Result<()> {
        let compared = self.sum.check(self.stored_sum.as_deref());
        compared.map_err(|_| {
            let why = "what came has another checksum than what is stored (CRC64NVME)";
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }

    fn changed_or(&self, failure: Failure) -> io::Error {
        if failure.kind == StoreErrorKind::AlreadyExists {
            // A failed `If-Match`: somebody has replaced the object meanwhile.
            return io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{}` was replaced while it was read", self.object),
            );
        }
        io::Error::other(failure.why)
    }
}

enum Handed {
    Everything,
    ReaderGone,
}
