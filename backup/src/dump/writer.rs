//! Dump text in, a seekable gzip object out, with its index and the proof that the dump is whole.

use std::io::{self, Write};

use super::members::Members;
use super::{Contents, RowText};
use crate::inventory::Inventory;
use crate::manifest::{ConsistentPoint, Member};
use crate::sql::{DEFAULT_STATEMENT_LIMIT, Kind, LexError, Piece, PieceKind, Splitter};

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
    options: WriterOptions,
    splitter: Splitter,
    contents: Contents,
    object: Members<W>,
    /// The text of the member at hand, and what is known of it.
    text: Vec<u8>,
    database: Option<String>,
    table: Option<String>,
    rows_before: u64,
    /// Whether the text so far leaves delimiter and quotes as they are at its beginning.
    is_plain: bool,
    /// Whether the rows of the table at hand are over: what follows are its triggers.
    is_after_rows: bool,
    row_text: Option<Box<dyn RowText>>,
}

impl<W: Write> DumpWriter<W> {
    /// Begins an object.
    pub fn new(sink: W, options: WriterOptions) -> io::Result<Self> {
        Ok(Self {
            object: Members::new(sink, options)?,
            splitter: Splitter::new(DEFAULT_STATEMENT_LIMIT),
            contents: Contents::default(),
            text: Vec::new(),
            database: None,
            table: None,
            rows_before: 0,
            is_plain: true,
            is_after_rows: false,
            row_text: None,
            options,
        })
    }

    /// Asks for what is to stand in the place of every `INSERT`.
    #[must_use]
    pub fn with_row_text(mut self, row_text: Box<dyn RowText>) -> Self {
        self.row_text = Some(row_text);
        self
    }

    /// Takes the next chunk of text.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), DumpWriteError> {
        self.splitter.push(chunk);
        self.drain()
    }

    /// Gives what was seen so far, for progress: `contents.table`.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// As [`Contents::take_left`].
    pub fn take_left(&mut self) -> Vec<(String, String)> {
        self.contents.take_left()
    }

    /// Says that one program's output is over, and demands that its trailer was the last thing in it.
    /// More text may follow, with a trailer of its own.
    pub fn end_part(&mut self) -> Result<(), DumpWriteError> {
        self.splitter.end();
        self.drain()?;
        if let Some(row_text) = &mut self.row_text {
            row_text.over()?;
        }
        if self.contents.trailer_is_last() {
            Ok(())
        } else {
            let text_bytes = self.object.text_bytes() + self.text.len() as u64;
            Err(DumpWriteError::NoTrailer { text_bytes })
        }
    }

    /// Ends the object. Gives the sink back, for its own good end, and what was written.
    pub fn finish(mut self) -> Result<(W, WrittenDump), DumpWriteError> {
        self.end_part()?;
        self.cut()?;
        let (sink, object) = self.object.finish()?;
        if self.options.rows {
            self.contents.rows_are_complete();
        }
        let tables = self.contents.inventory.table_count();
        let dump = WrittenDump {
            size_bytes: object.size_bytes,
            sha256: object.sha256,
            text_bytes: object.text_bytes,
            members: object.members,
            inventory: self.contents.inventory,
            point: self.contents.point,
            statements: self.contents.statements,
            rows: self.contents.rows,
            tables,
        };
        Ok((sink, dump))
    }

    fn drain(&mut self) -> Result<(), DumpWriteError> {
        while self.splitter.advance()? {
            let piece = self.splitter.piece();
            if !self.text.is_empty() && self.begins_member(&piece) {
                self.cut()?;
            }
            let piece = self.splitter.piece();
            if Contents::begins_section(&piece) {
                self.is_after_rows = false;
            }
            let kind = self.contents.accept(&piece);
            if let Some(Kind::Unlock) = kind {
                self.is_after_rows = true;
            }
            self.is_plain = self.splitter.is_plain();
            if self.text.is_empty() {
                self.database.clone_from(&self.contents.database);
                self.table.clone_from(&self.contents.table);
            }
            let database = self.contents.database.as_deref();
            match instead(self.row_text.as_deref_mut(), database, kind.as_ref())? {
                Some(statement) => {
                    self.text.extend(statement);
                    self.text.extend_from_slice(delimiter(piece.raw));
                }
                None => self.text.extend_from_slice(piece.raw),
            }
        }
        Ok(())
    }

    /// Tells whether a member begins here. Each can be read by itself, so none begins where a delimiter or a
    /// `sql_mode` of an earlier one still counts; and the rows of a table are apart from what is before and after
    /// them, so that they can be loaded side by side.
    fn begins_member(&self, piece: &Piece<'_>) -> bool {
        let is_word = matches!(piece.kind, PieceKind::Statement | PieceKind::Delimiter);
        self.is_plain
            && (self.text.len() >= self.options.member_bytes
                || Contents::begins_section(piece)
                || Contents::begins_rows(piece)
                || self.is_after_rows && is_word && self.rows_before < self.contents.rows)
    }

    /// Ends the member at hand.
    fn cut(&mut self) -> Result<(), DumpWriteError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let member = Member {
            database: self.database.take(),
            table: self.table.take(),
            rows: self.contents.rows - self.rows_before,
            ..Member::default()
        };
        self.rows_before = self.contents.rows;
        Ok(self.object.push(member, text)?)
    }
}

fn instead(
    row_text: Option<&mut (dyn RowText + 'static)>,
    database: Option<&str>,
    kind: Option<&Kind>,
) -> io::Result<Option<Vec<u8>>> {
    let (Some(row_text), Some(Kind::Insert { table, rows })) = (row_text, kind) else { return Ok(None) };
    let Some(database) = table.database.as_deref().or(database) else { return Ok(None) };
    row_text.instead(database, &table.name, *rows)
}

/// Gives the delimiter of a statement, and what is behind it.
fn delimiter(raw: &[u8]) -> &[u8] {
    let at = raw.iter().rposition(|byte| *byte == b';');
    at.map_or(b";\n", |at| &raw[at..])
}
