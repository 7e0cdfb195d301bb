//! Dump text in, a seekable gzip object out, with its index and the proof that the dump is whole.

use std::io::{self, Write};

use super::assembly::Assembly;
use super::late_views::LateViews;
use super::{Contents, RowText};
use crate::inventory::Inventory;
use crate::manifest::{ConsistentPoint, Member};
use crate::sql::{DEFAULT_STATEMENT_LIMIT, LexError, Splitter};

/// How a dump is compressed.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// 0 to 9.
    pub level: u32,
    /// Compressing threads.
    pub threads: usize,
    /// A new member begins at the next statement once this much text is in one.
    pub member_bytes: usize,
    /// Whether rows are dumped: then a table without any has none, rather than unknown.
    pub rows: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 8);
        Self { level: 6, threads, member_bytes: 4 << 20, rows: true }
    }
}

/// Why a dump could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DumpWriteError {
    /// The sink refused, or compression failed.
    #[error("failed to write the dump: {0}")]
    Write(#[from] io::Error),
    /// The text is no dump.
    #[error("the dump is not valid: {0}")]
    Sql(#[from] LexError),
    /// The text is over and the trailer is not the last thing in it.
    #[error("the dump ended after {text_bytes} bytes without its trailer (`-- Dump completed`)")]
    NoTrailer {
        /// How much text came.
        text_bytes: u64,
    },
}

/// A dump that is whole.
#[derive(Debug, Clone)]
pub struct WrittenDump {
    /// Size of the object.
    pub size_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// Size of the text.
    pub text_bytes: u64,
    /// The object's members in order.
    pub members: Vec<Member>,
    /// What it holds.
    pub inventory: Inventory,
    /// The coordinates it states.
    pub point: ConsistentPoint,
    /// Statements in it.
    pub statements: u64,
    /// Rows in it.
    pub rows: u64,
    /// Tables in it.
    pub tables: u64,
}

/// Lexes dump text as it comes, cuts it into members, compresses them in parallel and writes them in order.
pub struct DumpWriter<W> {
    splitter: Splitter,
    late_views: LateViews,
    assembly: Assembly<W>,
}

impl<W: Write> DumpWriter<W> {
    /// Begins an object.
    pub fn new(sink: W, options: WriterOptions) -> io::Result<Self> {
        Ok(Self {
            splitter: Splitter::new(DEFAULT_STATEMENT_LIMIT),
            late_views: LateViews::default(),
            assembly: Assembly::new(sink, options)?,
        })
    }

    /// Asks for what is to stand in the place of every `INSERT`.
    #[must_use]
    pub fn with_row_text(mut self, row_text: Box<dyn RowText>) -> Self {
        self.assembly.row_text = Some(row_text);
        self
    }

    /// Takes the next chunk of text.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), DumpWriteError> {
        self.splitter.push(chunk);
        self.drain()
    }

    /// Gives what was seen so far, for progress: `contents.table`.
    pub fn contents(&self) -> &Contents {
        &self.assembly.contents
    }

    /// As [`Contents::take_left`].
    pub fn take_left(&mut self) -> Vec<(String, String)> {
        self.assembly.contents.take_left()
    }

    /// Says that one program's output is over, and demands that its trailer was the last thing in it.
    /// More text may follow, with a trailer of its own.
    pub fn end_part(&mut self) -> Result<(), DumpWriteError> {
        self.splitter.end();
        self.drain()?;
        let late = self.late_views.end();
        self.assembly.accept_text(&late)?;
        if let Some(row_text) = &mut self.assembly.row_text {
            row_text.over()?;
        }
        if self.assembly.contents.trailer_is_last() {
            Ok(())
        } else {
            Err(DumpWriteError::NoTrailer { text_bytes: self.assembly.text_bytes() })
        }
    }

    /// Ends the object. Gives the sink back, for its own good end, and what was written.
    pub fn finish(mut self) -> Result<(W, WrittenDump), DumpWriteError> {
        self.end_part()?;
        self.assembly.finish()
    }

    fn drain(&mut self) -> Result<(), DumpWriteError> {
        while self.splitter.advance()? {
            let piece = self.splitter.piece();
            let database = self.assembly.contents.database.as_deref();
            let turn = self.late_views.turn(&piece, database, self.splitter.is_plain());
            self.assembly.accept_text(&turn.before)?;
            if !turn.is_kept {
                self.assembly.accept(&piece, self.splitter.is_plain())?;
            }
        }
        Ok(())
    }
}
