//! Object → statements, on a thread that may block: hashed, decompressed strictly and lexed.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rekindle_backup::dump::{Contents, HashingReader, VerifiedText};
use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, Kind, PieceError, PieceKind, Pieces};
use rekindle_engine::host::BodyReader;
use tokio::sync::mpsc;

use super::send::Outgoing;

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

impl Statement {
    /// Gives it as it is sent.
    pub(super) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { sql: &self.sql, kind: &self.kind, offset: self.offset, line: Some(self.line) }
    }
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
    read_bytes: Arc<AtomicU64>,
    statements: &mpsc::Sender<Statement>,
) -> Result<WasRead, PieceError> {
    let counted = Counted { inner: object, read_bytes };
    // Nothing of a damaged member may reach the server, also when it happens to be SQL.
    let mut pieces = Pieces::new(VerifiedText::new(HashingReader::new(counted)), DEFAULT_STATEMENT_LIMIT);
    let mut contents = Contents::default();
    let mut text_bytes = 0;
    while let Some(piece) = pieces.next_piece()? {
        text_bytes = piece.offset + piece.raw.len() as u64;
        let Some(kind) = contents.accept(&piece) else { continue };
        debug_assert_eq!(piece.kind, PieceKind::Statement);
        let statement = Statement { sql: piece.sql.to_vec(), kind, offset: piece.offset, line: piece.line };
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the restore has stopped");
        statements.blocking_send(statement).map_err(gone)?;
    }
    let text = pieces.into_reader().into_gzip();
    Ok(WasRead {
        size_bytes: text.taken_bytes(),
        sha256: text.into_object().map(HashingReader::finish).unwrap_or_default(),
        text_bytes,
        trailer: contents.trailer_is_last(),
    })
}

struct Counted {
    inner: BodyReader,
    read_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.read_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
