//! An object's answers in, a body of its bytes out; a read that is cut off goes on from the byte it had.

use std::io;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_engine::host::{Body, BodySender, Stamp, StoreErrorKind};

use super::checksum::{Kept, Sum};
use super::parts::MIB;
use crate::failure::Failure;

/// How often one read goes on after it was cut off without a single byte in between.
const TRIES_WITHOUT_PROGRESS: u32 = 5;

/// One object, and how its provider is asked for it.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// The checksum that the provider keeps.
    type Kept: Kept;
    /// An answer under way.
    type Answer: Send;

    /// Gives the object's whole name.
    fn object(&self) -> &str;

    /// Gives the object's size; `None` when there is none.
    async fn size(&self) -> Result<Option<u64>, Failure>;

    /// Asks for bytes. A provider that says the object has changed answers `AlreadyExists`.
    async fn ask(&self, wanted: Wanted<'_>) -> Result<(Self::Answer, Told), Failure>;

    /// Gives the next bytes of an answer; `InvalidData` when they are wrong for good.
    async fn next(&self, answer: &mut Self::Answer) -> Option<io::Result<Bytes>>;
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) from: u64,
    /// Not known before the first answer to a read of the whole.
    pub(crate) end: Option<u64>,
    /// What the first answer was about: a later one must be about the same bytes.
    pub(crate) state: Option<&'a str>,
}

/// What an answer says of the object.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) whole_size: Option<u64>,
    /// `ETag` or generation.
    pub(crate) state: Option<String>,
    /// The checksum of the whole object.
    pub(crate) sum: Option<String>,
}

/// Opens an object, or a range of it that lies inside.
pub(crate) async fn open<S: Source>(source: S, range: Option<Range<u64>>) -> Result<Body, Failure> {
    if let Some(range) = &range
        && range.start >= range.end
    {
        return nothing(&source, range).await;
    }
    let (reading, answer) = Reading::begin(source, range).await?;
    let (sender, body) = Body::channel();
    tokio::spawn(reading.pump(answer, sender));
    Ok(body)
}

/// Opens a range of an object in a state that is known.
pub(crate) async fn open_in_state<S: Source>(
    source: S,
    Stamp(state): &Stamp,
    range: Range<u64>,
) -> Result<Body, Failure> {
    if range.start >= range.end {
        return nothing(&source, &range).await;
    }
    let begun = Reading::begin_in(source, Some(range), Some(state)).await;
    let (reading, answer) = begun.map_err(|failure| match failure.kind {
        // The condition on its state failed.
        StoreErrorKind::AlreadyExists => Failure::new(StoreErrorKind::Changed, "it was replaced meanwhile"),
        _ => failure,
    })?;
    let (sender, body) = Body::channel();
    tokio::spawn(reading.pump(answer, sender));
    Ok(body)
}

/// Reads a small object with the mark of its state; `None` when there is none.
pub(crate) async fn stamped<S: Source>(
    source: S,
    limit_bytes: usize,
) -> Result<Option<(Bytes, Stamp)>, Failure> {
    let (reading, answer) = match Reading::begin(source, None).await {
        Ok(begun) => begun,
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if reading.end > limit_bytes as u64 {
        return Err(Failure::invalid(format!("it has more than {limit_bytes} bytes")));
    }
    let stamp = Stamp(reading.state.clone().unwrap_or_default());
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
async fn nothing<S: Source>(source: &S, range: &Range<u64>) -> Result<Body, Failure> {
    let Some(size_bytes) = source.size().await? else { return Err(Failure::not_found()) };
    if range.start > range.end || range.end > size_bytes {
        return Err(outside(range, size_bytes));
    }
    Ok(Body::from_bytes(""))
}

fn outside(range: &Range<u64>, size: u64) -> Failure {
    Failure::invalid(format!("bytes {} to {} were asked for, but it has {size}", range.start, range.end))
}

/// A read under way: what is left of it.
struct Reading<S: Source> {
    source: S,
    state: Option<String>,
    at: u64,
    end: u64,
    /// Of what has come; compared with the store's when the whole object is read.
    sum: Sum<S::Kept>,
    stored_sum: Option<String>,
}

impl<S: Source> Reading<S> {
    /// Sends the first request, and learns what the object is.
    async fn begin(source: S, range: Option<Range<u64>>) -> Result<(Self, S::Answer), Failure> {
        Self::begin_in(source, range, None).await
    }

    /// As [`Reading::begin`], of an object that must be in a state.
    async fn begin_in(
        source: S,
        range: Option<Range<u64>>,
        state: Option<&str>,
    ) -> Result<(Self, S::Answer), Failure> {
        let (at, wanted_end) = range.map_or((0, None), |range| (range.start, Some(range.end)));
        let (answer, told) = source.ask(Wanted { from: at, end: wanted_end, state }).await?;
        let (end, stored_sum) = match (wanted_end, told.whole_size) {
            (Some(end), Some(whole)) if end > whole => return Err(outside(&(at..end), whole)),
            (Some(end), _) => (end, None),
            (None, Some(whole)) => (whole, told.sum),
            (None, None) => {
                return Err(Failure::new(
                    StoreErrorKind::Corrupt,
                    "the answer does not tell the object's size",
                ));
            }
        };
        let reading = Self { source, state: told.state, at, end, sum: Sum::default(), stored_sum };
        Ok((reading, answer))
    }

    /// Hands the bytes over. Ends well only when every one of them has come.
    async fn pump(mut self, first: S::Answer, sender: BodySender) {
        let mut answer = first;
        let mut without_progress = 0;
        loop {
            let before = self.at;
            let cut = match self.hand_over(&mut answer, &sender).await {
                Ok(Handed::Everything) => break,
                Ok(Handed::ReaderGone) => return,
                Err(cut) => cut,
            };
            if self.at >= self.end && cut.kind() != io::ErrorKind::InvalidData {
                match self.compare() {
                    Ok(()) => break,
                    Err(other) => return sender.fail(other).await,
                }
            }
            tracing::warn!(object = self.source.object(), at = self.at, why = %cut, "a read was cut off and goes on");
            without_progress = if self.at > before { 0 } else { without_progress + 1 };
            if without_progress >= TRIES_WITHOUT_PROGRESS || cut.kind() == io::ErrorKind::InvalidData {
                return sender.fail(cut).await;
            }
            let wanted = Wanted { from: self.at, end: Some(self.end), state: self.state.as_deref() };
            answer = match self.source.ask(wanted).await {
                Ok((answer, _)) => answer,
                Err(failure) => return sender.fail(self.changed_or(failure)).await,
            };
        }
        // A reader that has gone wants nothing any more.
        let _ = sender.finish().await;
    }

    async fn hand_over(&mut self, answer: &mut S::Answer, sender: &BodySender) -> io::Result<Handed> {
        while let Some(chunk) = self.source.next(answer).await {
            let mut chunk = chunk?;
            self.at += chunk.len() as u64;
            if self.at > self.end {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "more bytes came than the object has",
                ));
            }
            self.sum = self.sum.followed_by(Sum::of(&chunk));
            while !chunk.is_empty() {
                // The body's channel counts chunks, not bytes.
                if sender.send(chunk.split_to(chunk.len().min(MIB))).await.is_err() {
                    return Ok(Handed::ReaderGone);
                }
            }
        }
        if self.at < self.end {
            let why = format!("the answer ended {} bytes early", self.end - self.at);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.compare().map(|()| Handed::Everything)
    }

    /// Compares all that has come with what the store says it has.
    fn compare(&self) -> io::Result<()> {
        let compared = self.sum.check(self.stored_sum.as_deref());
        compared.map_err(|_| {
            let name = S::Kept::NAME;
            let why = format!("what came has another checksum than what is stored ({name})");
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }

    fn changed_or(&self, failure: Failure) -> io::Error {
        if failure.kind == StoreErrorKind::AlreadyExists {
            // The condition on its state failed: somebody has replaced the object meanwhile.
            return io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{}` was replaced while it was read", self.source.object()),
            );
        }
        io::Error::other(failure.why)
    }
}

enum Handed {
    Everything,
    ReaderGone,
}
