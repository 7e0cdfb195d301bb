//! One span of an object in, its bytes in blocks out; a read that is cut off goes on from the byte it had.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, BodySender, StoreErrorKind};

use super::parts::MIB;
use super::reading::{Source, Wanted};
use crate::failure::Failure;

/// How often one read goes on after it was cut off without a single byte in between.
const TRIES_WITHOUT_PROGRESS: u32 = 5;

/// What the spans of one read have in common.
pub(super) struct Share<S> {
    pub(super) source: S,
    /// Every answer must be about the same bytes.
    pub(super) state: Option<String>,
}

/// A span of an object: what of it is still to come.
pub(super) struct Span<S: Source> {
    share: Arc<Share<S>>,
    at: u64,
    end: u64,
    answer: Option<Under<S::Answer>>,
    /// What has come and is not yet a block. A body's channel counts blocks, not bytes: of large ones a whole span
    /// has room, and no more.
    block: BytesMut,
}

/// An answer under way, and where it ends if nobody leaves it before.
struct Under<A> {
    answer: A,
    end: u64,
}

enum Brought {
    Everything,
    ReaderGone,
}

impl<S: Source> Span<S> {
    pub(super) fn new(share: Arc<Share<S>>, range: Range<u64>) -> Self {
        Self { share, at: range.start, end: range.end, answer: None, block: BytesMut::new() }
    }

    /// Makes one whose request was answered; the answer may go on beyond it.
    pub(super) fn answered(
        share: Arc<Share<S>>,
        range: Range<u64>,
        answer: S::Answer,
        answer_end: u64,
    ) -> Self {
        Self { answer: Some(Under { answer, end: answer_end }), ..Self::new(share, range) }
    }

    /// Reads it as far as its body has room. Whoever drops the body ends the request.
    pub(super) fn begin(self) -> Body {
        let (sender, body) = Body::channel();
        tokio::spawn(self.pump(sender));
        body
    }

    async fn pump(mut self, sender: BodySender) {
        let brought = tokio::select! {
            () = sender.reader_gone() => return,
            brought = self.bring(&sender) => brought,
        };
        match brought {
            // A reader that has gone wants nothing any more.
            Ok(Brought::Everything) => _ = sender.finish().await,
            Ok(Brought::ReaderGone) => {}
            Err(error) => {
                let rest = self.block.split().freeze();
                if rest.is_empty() || sender.send(rest).await.is_ok() {
                    sender.fail(error).await;
                }
            }
        }
    }

    /// Ends well only when every byte has come.
    async fn bring(&mut self, sender: &BodySender) -> io::Result<Brought> {
        let mut without_progress = 0;
        loop {
            let before = self.at;
            let mut under = match self.answer.take() {
                Some(under) => under,
                None => self.ask().await?,
            };
            let cut = match self.take(&mut under, sender).await {
                Ok(brought) => return Ok(brought),
                Err(cut) => cut,
            };
            if cut.kind() == io::ErrorKind::InvalidData {
                return Err(cut);
            }
            if self.at >= self.end {
                return self.send_rest(sender).await;
            }
            let (object, at) = (self.share.source.object(), self.at);
            tracing::warn!(object, at, why = %cut, "a read was cut off and goes on");
            without_progress = if self.at > before { 0 } else { without_progress + 1 };
            if without_progress >= TRIES_WITHOUT_PROGRESS {
                return Err(cut);
            }
        }
    }

    /// Asks for what is missing.
    async fn ask(&mut self) -> io::Result<Under<S::Answer>> {
        let Share { source, state } = &*self.share;
        let wanted = Wanted { from: self.at, end: Some(self.end), state: state.as_deref() };
        let asked = source.ask(wanted).await;
        let (answer, told) = asked.map_err(|failure| self.changed_or(failure))?;
        if state.is_some() && told.state.is_some() && told.state != *state {
            // A server that does not know the condition.
            return Err(self.changed());
        }
        Ok(Under { answer, end: self.end })
    }

    /// Takes what an answer brings.
    async fn take(&mut self, under: &mut Under<S::Answer>, sender: &BodySender) -> io::Result<Brought> {
        // One that goes on beyond the span is left, any other heard out: its end may tell that it was wrong.
        while self.at < self.end || under.end == self.end {
            let Some(chunk) = self.share.source.next(&mut under.answer).await else { break };
            let mut chunk = chunk?;
            if chunk.len() as u64 > under.end - self.at {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "more bytes came than the object has",
                ));
            }
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            chunk.truncate(left);
            if self.send(chunk, sender).await.is_err() {
                return Ok(Brought::ReaderGone);
            }
        }
        if self.at < self.end {
            let why = format!("the answer ended {} bytes early", self.end - self.at);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.send_rest(sender).await
    }

    /// Puts bytes to those that have come, and sends every block that is full.
    async fn send(&mut self, mut bytes: Bytes, sender: &BodySender) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.block.is_empty() {
                let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
                self.block = BytesMut::with_capacity(left.min(MIB));
            }
            let fits = bytes.split_to(bytes.len().min(MIB - self.block.len()));
            self.block.extend_from_slice(&fits);
            self.at += fits.len() as u64;
            if self.block.len() == MIB {
                sender.send(self.block.split().freeze()).await?;
            }
        }
        Ok(())
    }

    async fn send_rest(&mut self, sender: &BodySender) -> io::Result<Brought> {
        let rest = self.block.split().freeze();
        let sent = rest.is_empty() || sender.send(rest).await.is_ok();
        Ok(if sent { Brought::Everything } else { Brought::ReaderGone })
    }

    fn changed_or(&self, failure: Failure) -> io::Error {
        if failure.kind == StoreErrorKind::AlreadyExists {
            // The condition on its state failed: somebody has replaced the object meanwhile.
            return self.changed();
        }
        io::Error::other(failure.why)
    }

    fn changed(&self) -> io::Error {
        let why = format!("`{}` was replaced while it was read", self.share.source.object());
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}
