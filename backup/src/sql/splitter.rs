//! The splitter: text in chunks of any size in, pieces out. Knows nothing of what statements mean.

use memchr::{memchr, memchr2};

use super::tokens::sql_mode_of;
use super::{Escapes, LexError, LexErrorKind, Piece, PieceKind};

/// A statement may be as large as the largest packet of a server: `max_allowed_packet` is at most 1 GiB.
pub const DEFAULT_STATEMENT_LIMIT: usize = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Between,
    LineComments,
    BlockComment(PieceKind),
    Code,
    Quote(u8),
    CodeLineComment,
    CodeBlockComment,
}

/// What one look at the buffer gave.
pub(super) enum Step {
    /// A piece ends here.
    Emit(PieceKind, usize),
    /// The state has changed; look again.
    Again,
    /// More bytes are needed to tell.
    More,
}

/// Splits a text that comes in chunks: [`Splitter::push`], then [`Splitter::advance`] until it says no.
///
/// Where a piece ends does not depend on how the text was cut into chunks. It looks at each byte once.
pub struct Splitter {
    pub(super) buffer: Vec<u8>,
    /// The current piece begins here…
    pub(super) start: usize,
    /// …and is looked through up to here.
    pub(super) at: usize,
    pub(super) offset: u64,
    line: u64,
    state: State,
    /// Nesting of `/*! … */` inside a statement.
    depth: u32,
    pub(super) delimiter: Vec<u8>,
    special: [bool; 256],
    escapes: Escapes,
    limit: usize,
    pub(super) ended: bool,
    last: Last,
}

struct Last {
    kind: PieceKind,
    begin: usize,
    end: usize,
    offset: u64,
    line: u64,
    delimiter: usize,
    escapes: Escapes,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(DEFAULT_STATEMENT_LIMIT)
    }
}

impl Splitter {
    /// Makes a splitter that refuses pieces larger than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let mut splitter = Self {
            buffer: Vec::new(),
            start: 0,
            at: 0,
            offset: 0,
            line: 1,
            state: State::Between,
            depth: 0,
            delimiter: Vec::new(),
            special: [false; 256],
            escapes: Escapes::default(),
            limit,
            ended: false,
            last: Last {
                kind: PieceKind::Blank,
                begin: 0,
                end: 0,
                offset: 0,
                line: 1,
                delimiter: 0,
                escapes: Escapes::default(),
            },
        };
        splitter.set_delimiter(b";");
        splitter
    }

    /// Splits a text that is there as a whole.
    pub fn over(text: Vec<u8>) -> Self {
        Self { buffer: text, ended: true, ..Self::new(usize::MAX) }
    }

    /// Gives the text that [`Splitter::over`] took back.
    pub fn into_text(self) -> Vec<u8> {
        self.buffer
    }

    /// Tells whether delimiter and quotes read after this piece as they do at the beginning of a text.
    pub fn is_plain(&self) -> bool {
        self.delimiter == b";" && self.escapes == Escapes::default()
    }

    /// Takes the next chunk of the text.
    pub fn push(&mut self, chunk: &[u8]) {
        // Moves at most as many bytes as were given out since the last time: linear in all.
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.at -= self.start;
            self.start = 0;
        }
        self.ended = false;
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that the text ends here. Pushing more afterwards begins a new part with no piece across the seam.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Moves on to the next piece; false when more text is needed, or none is left after [`Splitter::end`].
    ///
    /// # Errors
    /// Client commands, a text that ends inside a statement, a piece larger than the limit.
    pub fn advance(&mut self) -> Result<bool, LexError> {
        loop {
            let step = match self.state {
                State::Between => self.between()?,
                State::LineComments => self.line_comments(),
                State::BlockComment(kind) => self.block_comment(kind)?,
                State::Code => self.code()?,
                State::Quote(quote) => self.quote(quote)?,
                State::CodeLineComment => self.code_line_comment()?,
                State::CodeBlockComment => self.code_block_comment()?,
            };
            match step {
                Step::Again => {}
                Step::Emit(kind, end) => {
                    self.emit(kind, end);
                    return Ok(true);
                }
                Step::More if self.buffer.len() - self.start > self.limit => {
                    return Err(self.error(LexErrorKind::TooLong(self.limit), self.start));
                }
                Step::More => return Ok(false),
            }
        }
    }

    /// Gives the piece that [`Splitter::advance`] moved to.
    pub fn piece(&self) -> Piece<'_> {
        let last = &self.last;
        let raw = &self.buffer[last.begin..last.end];
        let sql = match last.kind {
            PieceKind::Statement => raw[..raw.len() - last.delimiter].trim_ascii(),
            PieceKind::Blank | PieceKind::Comment | PieceKind::Sandbox | PieceKind::Delimiter => &[],
        };
        Piece { kind: last.kind, raw, sql, offset: last.offset, line: last.line, escapes: last.escapes }
    }

    fn emit(&mut self, kind: PieceKind, end: usize) {
        let raw = &self.buffer[self.start..end];
        self.last = Last {
            kind,
            begin: self.start,
            end,
            offset: self.offset,
            line: self.line,
            delimiter: self.delimiter.len(),
            escapes: self.escapes,
        };
        self.offset += raw.len() as u64;
        self.line += memchr::memchr_iter(b'\n', raw).count() as u64;
        if kind == PieceKind::Statement
            && let Some(escapes) = sql_mode_of(raw)
        {
            self.escapes = escapes;
        }
        self.start = end;
        self.at = end;
        self.depth = 0;
        self.state = State::Between;
    }

    fn code(&mut self) -> Result<Step, LexError> {
        loop {
            let special = &self.special;
            let Some(length) = self.buffer[self.at..].iter().position(|byte| special[usize::from(*byte)])
            else {
                self.at = self.buffer.len();
                return self.more("a statement");
            };
            self.at += length;
            if self.depth == 0 {
                match self.delimiter_at() {
                    None => return self.more("a statement"),
                    Some(true) => {
                        return Ok(Step::Emit(PieceKind::Statement, self.at + self.delimiter.len()));
                    }
                    Some(false) => {}
                }
            }
            if let Some(step) = self.special_byte()? {
                return Ok(step);
            }
        }
    }

    /// Acts on the byte at hand; nothing when it was a plain one after all.
    fn special_byte(&mut self) -> Result<Option<Step>, LexError> {
        let next = self.buffer.get(self.at + 1).copied();
        let byte = self.buffer[self.at];
        if next.is_none() && !self.ended && matches!(byte, b'*' | b'\\') {
            return Ok(Some(Step::More));
        }
        match byte {
            b'\'' | b'"' | b'`' => return Ok(Some(self.enter(State::Quote(byte), 1))),
            b'#' => return Ok(Some(self.enter(State::CodeLineComment, 1))),
            b'-' => match self.line_comment_at(self.at) {
                None => return Ok(Some(Step::More)),
                Some(true) => return Ok(Some(self.enter(State::CodeLineComment, 2))),
                Some(false) => {}
            },
            b'/' => match self.executable_at(self.at) {
                None => return Ok(Some(Step::More)),
                Some(0) if next == Some(b'*') => return Ok(Some(self.enter(State::CodeBlockComment, 2))),
                Some(0) => {}
                Some(length) => {
                    self.depth += 1;
                    self.at += length;
                    return Ok(None);
                }
            },
            b'*' if self.depth > 0 && next == Some(b'/') => {
                self.depth -= 1;
                self.at += 1;
            }
            // `\N` is NULL; anything else would be a command in the client program, wherever it stands.
            b'\\' if next != Some(b'N') => {
                let command = format!("\\{}", next.map_or(String::new(), |b| char::from(b).to_string()));
                return Err(self.error(LexErrorKind::ClientCommand(command), self.at));
            }
            _ => {}
        }
        self.at += 1;
        Ok(None)
    }

    fn quote(&mut self, quote: u8) -> Result<Step, LexError> {
        let backslash = self.escapes.backslash_in(quote);
        loop {
            let rest = &self.buffer[self.at..];
            let found = if backslash { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
            let Some(length) = found else {
                self.at = self.buffer.len();
                return self.more("a quoted text");
            };
            self.at += length;
            if self.buffer[self.at] == quote {
                // A doubled quote reads as an end and a new beginning: the same bytes are inside.
                return Ok(self.enter(State::Code, 1));
            }
            if self.at + 1 == self.buffer.len() {
                return self.more("a quoted text");
            }
            self.at += 2;
        }
    }

    fn code_line_comment(&mut self) -> Result<Step, LexError> {
        if let Some(length) = memchr(b'\n', &self.buffer[self.at..]) {
            return Ok(self.enter(State::Code, length + 1));
        }
        self.at = self.buffer.len();
        self.more("a statement")
    }

    fn code_block_comment(&mut self) -> Result<Step, LexError> {
        match self.find_comment_end() {
            Some(end) => {
                self.at = end;
                self.state = State::Code;
                Ok(Step::Again)
            }
            None => self.more("a comment"),
        }
    }

    pub(super) fn find_comment_end(&mut self) -> Option<usize> {
        loop {
            let Some(length) = memchr(b'*', &self.buffer[self.at..]) else {
                self.at = self.buffer.len();
                return None;
            };
            self.at += length;
            match self.buffer.get(self.at + 1) {
                None => return None,
                Some(b'/') => return Some(self.at + 2),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The text can't go on: an error at its end, patience before.
    pub(super) fn more(&self, inside: &'static str) -> Result<Step, LexError> {
        if self.ended {
            Err(self.error(LexErrorKind::Unfinished(inside), self.start))
        } else {
            Ok(Step::More)
        }
    }

    pub(super) fn enter(&mut self, state: State, length: usize) -> Step {
        self.state = state;
        self.at += length;
        Step::Again
    }

    pub(super) fn set_delimiter(&mut self, delimiter: &[u8]) {
        self.delimiter = delimiter.to_vec();
        self.special = [false; 256];
        for byte in b"'\"`-#/*\\".iter().chain(delimiter.first()) {
            self.special[usize::from(*byte)] = true;
        }
    }

    fn delimiter_at(&self) -> Option<bool> {
        self.starts_with(self.at, &self.delimiter)
    }

    pub(super) fn looking_at(&self, text: &[u8]) -> Option<bool> {
        self.starts_with(self.start, text)
    }

    /// Tells whether `text` stands at `at`; nothing when more bytes are needed to tell.
    pub(super) fn starts_with(&self, at: usize, text: &[u8]) -> Option<bool> {
        let rest = self.buffer.get(at..).unwrap_or_default();
        if rest.len() >= text.len() || self.ended {
            Some(rest.starts_with(text))
        } else if text.starts_with(rest) {
            None
        } else {
            Some(false)
        }
    }

    /// `-- ` needs a blank, a control character or the end after it (Reference Manual 11.7); `#` does not.
    pub(super) fn line_comment_at(&self, at: usize) -> Option<bool> {
        if self.starts_with(at, b"#")? {
            return Some(true);
        }
        if !self.starts_with(at, b"--")? {
            return Some(false);
        }
        match self.buffer.get(at + 2) {
            Some(byte) => Some(*byte <= b' ' || *byte == 0x7f),
            None => self.ended.then_some(true),
        }
    }

    /// Gives the length of an executable comment's opening at `at`, or 0 when there is none.
    pub(super) fn executable_at(&self, at: usize) -> Option<usize> {
        if self.starts_with(at, b"/*!")? {
            return Some(3);
        }
        Some(if self.starts_with(at, b"/*M!")? { 4 } else { 0 })
    }

    pub(super) fn error(&self, kind: LexErrorKind, at: usize) -> LexError {
        let before = &self.buffer[self.start..at];
        LexError {
            kind,
            offset: self.offset + before.len() as u64,
            line: self.line + memchr::memchr_iter(b'\n', before).count() as u64,
        }
    }
}
