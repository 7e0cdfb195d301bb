//! What an upload that can go on after a crash needs: bytes that can be read again, and a place for its state.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;

use async_trait::async_trait;
use serde_json::Value;

use super::Body;

/// Bytes that are all there and can be read again from any of them.
///
/// An upload reads in order: each read begins where the last one ended, or at 0 when it starts over. So a source
/// can make a checksum of all that passes by.
#[async_trait]
pub trait UploadSource: Send + Sync {
    /// How many there are.
    fn size_bytes(&self) -> u64;

    /// Reads a range that lies inside.
    async fn read(&self, range: Range<u64>) -> io::Result<Body>;
}

/// A place where an upload keeps what it needs to go on: below it lies
/// [`StepContext::checkpoint`](crate::step::StepContext::checkpoint).
#[async_trait]
pub trait KeepState: Send + Sync {
    /// Keeps a state in place of the one before, durably before it returns.
    async fn keep(&self, state: Value) -> io::Result<()>;
}

/// How an upload goes on after it was interrupted.
#[derive(Clone, Copy)]
pub struct Resumption<'a> {
    /// What was kept last by an earlier try of the same upload. A state of another store or object is passed over.
    pub earlier: Option<&'a Value>,
    /// Where the state is kept.
    pub keep: &'a dyn KeepState,
    /// How many parts may be on the way side by side, in stores that take parts. Each of them may have to be sent
    /// once more after a crash.
    pub parts_at_once: NonZeroUsize,
}

impl<'a> Resumption<'a> {
    /// Says that one part at a time is on its way, so that at most one is sent again.
    pub fn new(earlier: Option<&'a Value>, keep: &'a dyn KeepState) -> Self {
        Self { earlier, keep, parts_at_once: NonZeroUsize::MIN }
    }
}
