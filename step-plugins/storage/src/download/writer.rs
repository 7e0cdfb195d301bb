//! Chunks in, a file out: the next ones come while the last are written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

/// Smaller chunks are gathered to so many bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes into a file from one of its bytes on, on threads that may block.
pub(super) struct Writer {
    file: Arc<File>,
    block: BytesMut,
    /// The byte that the next write begins at.
    at: u64,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// What came before this byte is in the file.
    written_bytes: u64,
}

impl Writer {
    pub(super) fn new(file: File, at: u64) -> Self {
        Self { file: Arc::new(file), block: BytesMut::new(), at, writing: None, written_bytes: at }
    }

    /// Takes a chunk. What went wrong with one is told with a later one, or by [`Writer::flush`].
    pub(super) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        if self.block.is_empty() && chunk.len() >= BLOCK_BYTES {
            return self.put(chunk).await;
        }
        self.block.extend_from_slice(&chunk);
        if self.block.len() >= BLOCK_BYTES {
            let block = self.block.split().freeze();
            self.put(block).await?;
        }
        Ok(())
    }

    /// Writes everything that was taken.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let block = self.block.split().freeze();
        if !block.is_empty() {
            self.put(block).await?;
        }
        self.settle().await
    }

    /// Gives how many bytes are in the file, with those that were there before.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    async fn put(&mut self, block: Bytes) -> io::Result<()> {
        self.settle().await?;
        let (file, at) = (Arc::clone(&self.file), self.at);
        self.at += block.len() as u64;
        self.writing = Some(tokio::task::spawn_blocking(move || file.write_all_at(&block, at)));
        Ok(())
    }

    async fn settle(&mut self) -> io::Result<()> {
        // Looked at where it is: whoever is dropped meanwhile leaves it to the next.
        if let Some(writing) = &mut self.writing {
            let written = writing.await.map_err(io::Error::other).flatten();
            self.writing = None;
            if let Err(error) = written {
                // Whatever there is of it is overwritten by the next try.
                self.at = self.written_bytes;
                return Err(error);
            }
            self.written_bytes = self.at;
        }
        Ok(())
    }
}
