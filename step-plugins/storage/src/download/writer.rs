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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{BLOCK_BYTES, Writer};

    #[tokio::test]
    async fn chunks_of_any_size_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        std::fs::write(&path, b"abcd").unwrap();
        let mut writer = Writer::new(File::options().write(true).open(&path).unwrap(), 2);
        let mut expected = b"ab".to_vec();
        for (byte, length) in [(1, 3), (2, BLOCK_BYTES), (3, BLOCK_BYTES + 5), (4, 1), (5, BLOCK_BYTES - 1)] {
            let chunk = vec![byte; length];
            expected.extend_from_slice(&chunk);
            writer.write(chunk.into()).await.unwrap();
            let there = std::fs::read(&path).unwrap();
            let written = usize::try_from(writer.written_bytes()).unwrap();
            assert!(there[..written] == expected[..written]);
        }
        writer.flush().await.unwrap();
        assert_eq!(writer.written_bytes(), expected.len() as u64);
        assert!(std::fs::read(&path).unwrap() == expected);
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_told_and_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        std::fs::write(&path, b"abcd").unwrap();
        let mut writer = Writer::new(File::open(&path).unwrap(), 4);
        writer.write(vec![1; BLOCK_BYTES].into()).await.unwrap();
        writer.write(vec![2; BLOCK_BYTES].into()).await.unwrap_err();
        assert_eq!(writer.written_bytes(), 4);
        writer.write(vec![3].into()).await.unwrap();
        writer.flush().await.unwrap_err();
        assert_eq!(writer.written_bytes(), 4);
    }
}
