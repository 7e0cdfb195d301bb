//! A stream of bytes that ends well only when its producer says so.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

/// How many chunks may wait between producer and consumer; with chunks of at most 1 MiB, memory stays bounded.
const CHANNEL_CHUNKS: usize = 8;

enum Chunk {
    Data(Bytes),
    Failed(io::Error),
    End,
}

/// The reading end of a stream of bytes.
///
/// A producer that goes away without [`BodySender::finish`] (a crashed dump, a cut connection) reads as an
/// error, never as an end: a truncated stream can not pass for a whole one.
pub struct Body {
    chunks: mpsc::Receiver<Chunk>,
    done: bool,
}

/// The writing end of a [`Body`].
pub struct BodySender {
    chunks: mpsc::Sender<Chunk>,
}

impl Body {
    /// Makes a connected pair; the sender waits when the reader is slow.
    pub fn channel() -> (BodySender, Self) {
        let (sender, receiver) = mpsc::channel(CHANNEL_CHUNKS);
        (BodySender { chunks: sender }, Self { chunks: receiver, done: false })
    }

    /// Makes a body of bytes that are all there already.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let (sender, receiver) = mpsc::channel(2);
        // The channel has room for both: neither send can fail.
        let _ = sender.try_send(Chunk::Data(bytes.into()));
        let _ = sender.try_send(Chunk::End);
        Self { chunks: receiver, done: false }
    }

    /// Gives the next chunk, or nothing after a proper end.
    ///
    /// # Errors
    /// What the producer reported, or `UnexpectedEof` when it went away without finishing.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.done {
            return Ok(None);
        }
        let chunk = self.chunks.recv().await;
        self.accept(chunk)
    }

    /// As [`Body::next`], for a thread that may block. Panics inside an async context.
    pub fn blocking_next(&mut self) -> io::Result<Option<Bytes>> {
        if self.done {
            return Ok(None);
        }
        let chunk = self.chunks.blocking_recv();
        self.accept(chunk)
    }

    fn accept(&mut self, chunk: Option<Chunk>) -> io::Result<Option<Bytes>> {
        match chunk {
            Some(Chunk::Data(bytes)) => Ok(Some(bytes)),
            Some(Chunk::End) => {
                self.done = true;
                Ok(None)
            }
            Some(Chunk::Failed(error)) => Err(error),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the source went away before its end")),
        }
    }

    /// Collects everything.
    ///
    /// # Errors
    /// As [`Body::next`], and `InvalidData` when there are more than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next().await? {
            if all.len() + chunk.len() > limit {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {limit} bytes")));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Wraps the body as [`io::Read`] for a thread that may block.
    pub fn into_blocking_reader(self) -> BodyReader {
        BodyReader { body: self, chunk: Bytes::new() }
    }
}

impl BodySender {
    /// Hands over a chunk, waiting for room.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader is gone.
    pub async fn send(&self, bytes: Bytes) -> io::Result<()> {
        self.chunks.send(Chunk::Data(bytes)).await.map_err(|_| reader_gone())
    }

    /// As [`BodySender::send`], for a thread that may block. Panics inside an async context.
    pub fn blocking_send(&self, bytes: Bytes) -> io::Result<()> {
        self.chunks.blocking_send(Chunk::Data(bytes)).map_err(|_| reader_gone())
    }

    /// Ends the stream well. Only this makes the reader see an end.
    pub async fn finish(self) -> io::Result<()> {
        self.chunks.send(Chunk::End).await.map_err(|_| reader_gone())
    }

    /// As [`BodySender::finish`], for a thread that may block.
    pub fn blocking_finish(self) -> io::Result<()> {
        self.chunks.blocking_send(Chunk::End).map_err(|_| reader_gone())
    }

    /// Waits until the reader has gone.
    pub async fn reader_gone(&self) {
        self.chunks.closed().await;
    }

    /// Ends the stream with an error that the reader gets.
    pub async fn fail(self, error: io::Error) {
        let _ = self.chunks.send(Chunk::Failed(error)).await;
    }

    /// As [`BodySender::fail`], for a thread that may block.
    pub fn blocking_fail(self, error: io::Error) {
        let _ = self.chunks.blocking_send(Chunk::Failed(error));
    }
}

fn reader_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the reader of the stream is gone")
}

/// A [`Body`] as [`io::Read`], for a thread that may block.
pub struct BodyReader {
    body: Body,
    chunk: Bytes,
}

impl io::Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.body.blocking_next()? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = self.chunk.len().min(into.len());
        into[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}
