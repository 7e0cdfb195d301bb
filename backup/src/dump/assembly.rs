//! Pieces of a dump → members, each of whole statements.

use std::io::{self, Write};

use super::members::Members;
use super::writer::{DumpWriteError, WriterOptions, WrittenDump};
use super::{Contents, RowText};
use crate::manifest::Member;
use crate::sql::{DEFAULT_STATEMENT_LIMIT, Kind, Piece, PieceKind, Splitter};

/// Cuts pieces into members, compresses them in parallel and writes them in order.
pub(super) struct Assembly<W> {
    options: WriterOptions,
    pub(super) contents: Contents,
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
    pub(super) row_text: Option<Box<dyn RowText>>,
}

impl<W: Write> Assembly<W> {
    pub(super) fn new(sink: W, options: WriterOptions) -> io::Result<Self> {
        Ok(Self {
            object: Members::new(sink, options)?,
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

    /// How much text there is so far.
    pub(super) fn text_bytes(&self) -> u64 {
        self.object.text_bytes() + self.text.len() as u64
    }

    /// Takes text of whole pieces.
    pub(super) fn accept_text(&mut self, text: &[u8]) -> Result<(), DumpWriteError> {
        if text.is_empty() {
            return Ok(());
        }
        let mut splitter = Splitter::new(DEFAULT_STATEMENT_LIMIT);
        splitter.push(text);
        splitter.end();
        while splitter.advance()? {
            self.accept(&splitter.piece(), splitter.is_plain())?;
        }
        Ok(())
    }

    /// Takes the next piece; `is_plain` tells how the text behind it reads.
    pub(super) fn accept(&mut self, piece: &Piece<'_>, is_plain: bool) -> Result<(), DumpWriteError> {
        if !self.text.is_empty() && self.begins_member(piece) {
            self.cut()?;
        }
        if Contents::begins_section(piece) {
            self.is_after_rows = false;
        }
        let kind = self.contents.accept(piece);
        if let Some(Kind::Unlock) = kind {
            self.is_after_rows = true;
        }
        self.is_plain = is_plain;
        if self.text.is_empty() {
            self.database.clone_from(&self.contents.database);
            self.table.clone_from(&self.contents.table);
        }
        let database = self.contents.database.as_deref();
        match instead(self.row_text.as_deref_mut(), database, kind.as_ref())? {
            Some(statements) => {
                for (at, statement) in statements.iter().enumerate() {
                    self.text.extend_from_slice(if at == 0 { b"" } else { b";\n" });
                    self.text.extend_from_slice(statement);
                }
                self.text.extend_from_slice(delimiter(piece.raw));
            }
            None => self.text.extend_from_slice(piece.raw),
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

    /// Ends the object. Gives the sink back, for its own good end, and what was written.
    pub(super) fn finish(mut self) -> Result<(W, WrittenDump), DumpWriteError> {
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
) -> io::Result<Option<Vec<Vec<u8>>>> {
    let (Some(row_text), Some(Kind::Insert { table, rows })) = (row_text, kind) else { return Ok(None) };
    let Some(database) = table.database.as_deref().or(database) else { return Ok(None) };
    row_text.instead(database, &table.name, *rows)
}

/// Gives the delimiter of a statement, and what is behind it.
fn delimiter(raw: &[u8]) -> &[u8] {
    let at = raw.iter().rposition(|byte| *byte == b';');
    at.map_or(b";\n", |at| &raw[at..])
}
