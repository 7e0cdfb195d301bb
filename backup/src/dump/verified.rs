//! Text of a dump object that is handed out only once its gzip member has proven whole.

use std::io::{self, Read};

use super::GzipText;

const CHUNK_BYTES: usize = 128 << 10;
/// Our own members hold some 4 MiB; a foreign dump is one member of any size, of which only so much is held.
const HELD_BYTES: usize = 64 << 20;

/// As [`GzipText`], one member behind: damage inside a member is an error before any of its text is given out, so
/// that no statement of it reaches a server. Members of more than 64 MiB of text are given out as they come.
pub struct VerifiedText<R> {
    inner: GzipText<R>,
    chunk: Vec<u8>,
    /// Text of a member that has not ended yet.
    held: Vec<u8>,
    /// Text that may go, from `at` on.
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> VerifiedText<R> {
    /// Reads the object from its first byte.
    pub fn new(object: R) -> Self {
        Self {
            inner: GzipText::new(object),
            chunk: vec![0; CHUNK_BYTES],
            held: Vec::new(),
            ready: Vec::new(),
            at: 0,
        }
    }

    /// Gives the reader below, to ask it what it has seen.
    pub fn gzip(&self) -> &GzipText<R> {
        &self.inner
    }

    /// Gives the reader below.
    pub fn into_gzip(self) -> GzipText<R> {
        self.inner
    }

    /// Reads until something may go; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.at = 0;
        while self.ready.is_empty() {
            let ended = self.inner.ends().len();
            let length = self.inner.read(&mut self.chunk)?;
            // A read gives text of one member only: when one has ended meanwhile, all that is held is its text.
            if self.inner.ends().len() > ended || self.held.len() > HELD_BYTES {
                std::mem::swap(&mut self.ready, &mut self.held);
            }
            if length == 0 {
                return Ok(!self.ready.is_empty());
            }
            self.held.extend_from_slice(&self.chunk[..length]);
        }
        Ok(true)
    }
}

impl<R: Read> Read for VerifiedText<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.ready.len() && !self.fill()? {
            return Ok(0);
        }
        let length = into.len().min(self.ready.len() - self.at);
        into[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
