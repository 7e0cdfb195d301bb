//! What a text is split into.

use super::Kind;
use super::classify::{Rows, classify};

/// How backslashes and double quotes read: the part of `sql_mode` that changes where a string ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Escapes {
    /// `NO_BACKSLASH_ESCAPES`: a backslash is a plain character.
    pub no_backslash: bool,
    /// `ANSI_QUOTES`: double quotes hold an identifier.
    pub ansi_quotes: bool,
}

impl Escapes {
    /// Tells whether a backslash escapes inside this kind of quote.
    pub(super) fn backslash_in(self, quote: u8) -> bool {
        match quote {
            b'`' => false,
            b'"' => !self.no_backslash && !self.ansi_quotes,
            _ => !self.no_backslash,
        }
    }
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Spaces, line ends, and delimiters that end nothing.
    Blank,
    /// A run of `-- ` and `#` lines, or one `/* … */`, between statements.
    Comment,
    /// `/*M!999999\- enable the sandbox mode */`: a word to the client program, not for the server.
    Sandbox,
    /// A `DELIMITER` line.
    Delimiter,
    /// A statement with its delimiter.
    Statement,
}

/// A part of the text. The pieces of a text, put together, are the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it is.
    pub kind: PieceKind,
    /// All of its bytes.
    pub raw: &'a [u8],
    /// A statement's bytes without delimiter and blanks around; empty for everything else.
    pub sql: &'a [u8],
    /// Where `raw` begins in the text.
    pub offset: u64,
    /// The line `raw` begins on, from 1.
    pub line: u64,
    /// How quotes read here.
    pub escapes: Escapes,
}

impl Piece<'_> {
    /// Tells what the statement does, as far as dumps need it. Counts the rows of an `INSERT`.
    pub fn classify(&self) -> Kind {
        classify(self.sql, self.escapes, Rows::Count)
    }

    /// As [`Piece::classify`], but leaves the rows of an `INSERT` uncounted: they are all of its bytes.
    pub fn classify_head(&self) -> Kind {
        classify(self.sql, self.escapes, Rows::Leave)
    }
}
