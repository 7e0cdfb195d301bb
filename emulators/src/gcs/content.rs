//! Bytes in, files and checksums out: an object's content is one or more pieces, shared between objects.
//!
//! The disk is written and read where the request is served: this is a test's server, and its folder is cached.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use futures_util::Stream;
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;

/// How much is read at a time.
const CHUNK: u64 = 256 * 1024;

/// A file that goes when no object and no reader needs it any more.
struct Piece {
    path: PathBuf,
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The folder goes with the server at the latest.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What an object holds. Cheap to clone; clones share the files.
#[derive(Clone)]
pub(super) struct Content {
    pieces: Vec<(Arc<Piece>, u64)>,
    pub(super) size: u64,
    pub(super) crc32c: u32,
    /// Unknown for composed objects ("Hashes and `ETag`s").
    pub(super) md5: Option<[u8; 16]>,
    /// How many objects it was composed of; none when it wasn't.
    pub(super) components: Option<i32>,
}

impl Content {
    /// Puts contents one behind the other, as `ComposeObject` does.
    pub(super) fn joined(parts: &[&Self]) -> Self {
        let (mut pieces, mut size, mut crc32c, mut components) = (Vec::new(), 0, 0, 0_i32);
        for part in parts {
            pieces.extend(part.pieces.iter().cloned());
            crc32c = crc_fast::checksum_combine(Crc32Iscsi, crc32c, u64::from(part.crc32c), part.size);
            size += part.size;
            components = components.saturating_add(part.components.unwrap_or(1));
        }
        Self { pieces, size, crc32c: narrow(crc32c), md5: None, components: Some(components) }
    }

    /// Gives the bytes of a range that lies within it.
    pub(super) fn read(&self, range: Range<u64>) -> StreamingBlob {
        StreamingBlob::wrap(self.chunks(range))
    }

    fn chunks(
        &self,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static + use<> {
        let content = self.clone();
        futures_util::stream::unfold((content, range.start), move |(content, at)| async move {
            if at >= range.end {
                return None;
            }
            let chunk = content.chunk(at, range.end.min(at + CHUNK));
            let next = at + chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk, (content, next)))
        })
    }

    /// Reads from `at` up to `end`, or less where a piece ends.
    fn chunk(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let mut start = 0;
        for (piece, size) in &self.pieces {
            if at < start + size {
                let wanted = end.min(start + size) - at;
                let mut file = File::open(&piece.path)?;
                file.seek(SeekFrom::Start(at - start))?;
                let mut chunk = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
                file.read_exact(&mut chunk)?;
                return Ok(Bytes::from(chunk));
            }
            start += size;
        }
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}

/// A content that is still being written.
pub(super) struct Draft {
    piece: Piece,
    file: File,
    pub(super) size: u64,
    crc: crc_fast::Digest,
    md5: Md5,
}

impl Draft {
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = folder.join(format!("piece-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = File::create_new(&path)?;
        let crc = crc_fast::Digest::new(Crc32Iscsi);
        Ok(Self { piece: Piece { path }, file, size: 0, crc, md5: Md5::new() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.crc.update(bytes);
        self.md5.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> Content {
        Content {
            pieces: vec![(Arc::new(self.piece), self.size)],
            size: self.size,
            crc32c: narrow(self.crc.finalize()),
            md5: Some(self.md5.finalize().into()),
            components: None,
        }
    }
}

/// A CRC of 32 bits comes in 64.
fn narrow(crc: u64) -> u32 {
    u32::try_from(crc & u64::from(u32::MAX)).unwrap_or_default()
}
