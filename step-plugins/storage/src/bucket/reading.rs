//! An object's answers in, a body of its bytes out: a large one comes in spans side by side, all of one state of it.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_engine::host::{Body, BodySender, Stamp, StoreErrorKind};

use super::checksum::{Kept, Sum};
use super::parts::MIB;
use super::span::{Share, Span};
use crate::failure::Failure;

/// A larger read comes in spans of so many bytes.
pub(super) const SPAN_BYTES: u64 = 8 * MIB as u64;
/// How many of them may be under way or wait for the reader: what a read holds in memory, with its body's channel.
pub(super) const SPANS_AT_ONCE: usize = 4;
/// What is not larger comes in one answer: a second connection would hardly have begun.
const IN_ONE_BYTES: u64 = 2 * SPAN_BYTES;

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
    Ok(Reading::begin(source, range, None).await?.into_body())
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
    let begun = Reading::begin(source, Some(range), Some(state)).await;
    let reading = begun.map_err(|failure| match failure.kind {
        // The condition on its state failed.
        StoreErrorKind::AlreadyExists => Failure::new(StoreErrorKind::Changed, "it was replaced meanwhile"),
        _ => failure,
    })?;
    Ok(reading.into_body())
}

/// Reads a small object with the mark of its state; `None` when there is none.
pub(crate) async fn stamped<S: Source>(
    source: S,
    limit_bytes: usize,
) -> Result<Option<(Bytes, Stamp)>, Failure> {
    let reading = match Reading::begin(source, None, None).await {
        Ok(begun) => begun,
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if reading.end > limit_bytes as u64 {
        return Err(Failure::invalid(format!("it has more than {limit_bytes} bytes")));
    }
    let stamp = Stamp(reading.share.state.clone().unwrap_or_default());
    let bytes = reading.into_body().collect(limit_bytes).await.map_err(|error| {
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

/// A read that has begun: what was learnt from its first answer, and what is not yet under way.
struct Reading<S: Source> {
    share: Arc<Share<S>>,
    first: Span<S>,
    at: u64,
    end: u64,
    /// Of the whole object: compared with what came when all of it is read.
    stored_sum: Option<String>,
}

impl<S: Source> Reading<S> {
    /// Sends the first request, and learns what the object is.
    async fn begin(source: S, range: Option<Range<u64>>, state: Option<&str>) -> Result<Self, Failure> {
        let (at, wanted_end) = range.map_or((0, None), |range| (range.start, Some(range.end)));
        // An answer to all of it that turns out to be too large is left where the second span begins; where the
        // state is known beforehand, no more than the first span is asked for.
        let asked_end = wanted_end.map(|end| if state.is_some() { at + span_bytes(end - at) } else { end });
        let (answer, told) = source.ask(Wanted { from: at, end: asked_end, state }).await?;
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
        let share = Arc::new(Share { source, state: state.map(str::to_owned).or(told.state) });
        // Without a state, two answers might be of two objects.
        let span_end = if share.state.is_some() { at + span_bytes(end - at) } else { end };
        let first = Span::answered(Arc::clone(&share), at..span_end, answer, asked_end.unwrap_or(end));
        Ok(Self { share, first, at: span_end, end, stored_sum })
    }

    fn into_body(self) -> Body {
        let (sender, body) = Body::channel();
        tokio::spawn(self.hand_over(sender));
        body
    }

    /// Hands over what the spans bring, in their order. Ends well only when every byte has come, and as it is stored.
    async fn hand_over(self, sender: BodySender) {
        let Self { share, first, mut at, end, stored_sum } = self;
        let mut under_way = VecDeque::from([first.begin()]);
        let mut sum = Sum::<S::Kept>::default();
        while let Some(front) = under_way.front_mut() {
            let chunk = tokio::select! {
                // What is under way ends with this.
                () = sender.reader_gone() => return,
                chunk = front.next() => chunk,
            };
            match chunk {
                Ok(Some(chunk)) => {
                    if stored_sum.is_some() {
                        sum = sum.followed_by(Sum::of(&chunk));
                    }
                    if sender.send(chunk).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {
                    under_way.pop_front();
                }
                Err(error) => return sender.fail(error).await,
            }
            while at < end && under_way.len() < SPANS_AT_ONCE {
                let span_end = end.min(at + SPAN_BYTES);
                under_way.push_back(Span::new(Arc::clone(&share), at..span_end).begin());
                at = span_end;
            }
        }
        if sum.check(stored_sum.as_deref()).is_err() {
            let name = S::Kept::NAME;
            let why = format!("what came has another checksum than what is stored ({name})");
            return sender.fail(io::Error::new(io::ErrorKind::InvalidData, why)).await;
        }
        // A reader that has gone wants nothing any more.
        let _ = sender.finish().await;
    }
}

/// Gives the size of the first span of a read.
fn span_bytes(length: u64) -> u64 {
    if length > IN_ONE_BYTES { SPAN_BYTES } else { length }
}
