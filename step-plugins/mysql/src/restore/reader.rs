//! Object → statements: checks the bytes, decompresses, splits. Runs on a thread that may block.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, Kind, PieceError, PieceKind, Pieces};
use rekindle_engine::host::BodyReader;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// How many statements may wait for the server; dumps write statements of about 1 MiB.
pub(super) const WAITING_STATEMENTS: usize = 4;

/// One statement to send.
pub(super) struct Statement {
    /// Its bytes, without delimiter.
    pub(super) sql: Vec<u8>,
    /// What it does.
    pub(super) kind: Kind,
    /// Where it begins in the SQL text.
    pub(super) offset: u64,
    /// The line it begins on, from 1.
    pub(super) line: u64,
}

/// What was read, to be compared with the manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WasRead {
    /// sha256 of the object, lowercase hex.
    pub(super) sha256: String,
    /// Size of the object.
    pub(super) size_bytes: u64,
    /// Size of the SQL text.
    pub(super) text_bytes: u64,
    /// Whether `-- Dump completed` is the last thing in it.
    pub(super) trailer: bool,
}

/// Reads a dump object to its end and hands over its statements in order.
///
/// # Errors
/// When the object can't be read, decompressed or split, and `BrokenPipe` when nobody takes the statements.
pub(super) fn read(
    object: BodyReader,
    compressed: bool,
    read_bytes: Arc<AtomicU64>,
    statements: &mpsc::Sender<Statement>,
) -> Result<WasRead, PieceError> {
    let hashing = Hashing { inner: object, hash: Sha256::new(), size_bytes: 0, read_bytes };
    let (text_bytes, trailer, mut hashing) = if compressed {
        let mut pieces = Pieces::new(MultiGzDecoder::new(hashing), DEFAULT_STATEMENT_LIMIT);
        let (text_bytes, trailer) = split(&mut pieces, statements)?;
        (text_bytes, trailer, pieces.into_reader().into_inner())
    } else {
        let mut pieces = Pieces::new(hashing, DEFAULT_STATEMENT_LIMIT);
        let (text_bytes, trailer) = split(&mut pieces, statements)?;
        (text_bytes, trailer, pieces.into_reader())
    };
    io::copy(&mut hashing, &mut io::sink())?;
    Ok(WasRead {
        sha256: hex::encode(hashing.hash.finalize()),
        size_bytes: hashing.size_bytes,
        text_bytes,
        trailer,
    })
}

fn split<R: Read>(
    pieces: &mut Pieces<R>,
    statements: &mpsc::Sender<Statement>,
) -> Result<(u64, bool), PieceError> {
    let mut text_bytes = 0;
    let mut trailer = false;
    while let Some(piece) = pieces.next_piece()? {
        text_bytes = piece.offset + piece.raw.len() as u64;
        match piece.kind {
            PieceKind::Blank | PieceKind::Sandbox | PieceKind::Delimiter => {}
            PieceKind::Comment => trailer = holds_trailer(piece.raw),
            PieceKind::Statement => {
                trailer = false;
                let statement = Statement {
                    sql: piece.sql.to_vec(),
                    kind: piece.classify(),
                    offset: piece.offset,
                    line: piece.line,
                };
                let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the restore has stopped");
                statements.blocking_send(statement).map_err(gone)?;
            }
        }
    }
    Ok((text_bytes, trailer))
}

fn holds_trailer(comment: &[u8]) -> bool {
    comment.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"-- Dump completed"))
}

struct Hashing {
    inner: BodyReader,
    hash: Sha256,
    size_bytes: u64,
    read_bytes: Arc<AtomicU64>,
}

impl Read for Hashing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.hash.update(&into[..length]);
        self.size_bytes += length as u64;
        self.read_bytes.store(self.size_bytes, Ordering::Relaxed);
        Ok(length)
    }
}
