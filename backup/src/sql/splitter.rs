//! The splitter: text in chunks of any size in, pieces out. Knows nothing of what statements mean.

use memchr::{memchr, memchr2};

use super::tokens::sql_mode_of;
use super::{Escapes, LexError, LexErrorKind, Piece, PieceKind};

/// A statement may be as large as the largest packet of a server: `max_allowed_packet` is at most 1 GiB.
pub const DEFAULT_STATEMENT_LIMIT: usize = 1 << 30;

/// Commands of the `mysql` and `mariadb` programs. No SQL statement of a dump begins with one of these words.
/// `use` and `delimiter` are missing on purpose: the first is also SQL, the second is obeyed.
const CLIENT_COMMANDS: [&str; 26] = [
    "charset",
    "clear",
    "connect",
    "costs",
    "edit",
    "ego",
    "exit",
    "go",
    "help",
    "nopager",
    "notee",
    "nowarning",
    "pager",
    "print",
    "prompt",
    "query_attributes",
    "quit",
    "rehash",
    "resetconnection",
    "sandbox",
    "source",
    "ssl_session_data_print",
    "status",
    "system",
    "tee",
    "warnings",
];

const SANDBOX: [&[u8]; 2] = [br"/*!999999\-", br"/*M!999999\-"];
const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    LineComments,
    BlockComment(PieceKind),
    Code,
    Quote(u8),
    CodeLineComment,
    CodeBlockComment,
}

/// What one look at the buffer gave.
enum Step {
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
    buffer: Vec<u8>,
    /// The current piece begins here…
    start: usize,
    /// …and is looked through up to here.
    at: usize,
    offset: u64,
    line: u64,
    state: State,
    /// Nesting of `/*! … */` inside a statement.
    depth: u32,
    delimiter: Vec<u8>,
    special: [bool; 256],
    escapes: Escapes,
    limit: usize,
    ended: bool,
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

    fn between(&mut self) -> Result<Step, LexError> {
        let rest = &self.buffer[self.start..];
        let Some(&first) = rest.first() else { return Ok(Step::More) };
        if self.offset == 0 && first == BOM[0] {
            return match self.looking_at(BOM) {
                None => Ok(Step::More),
                Some(true) => Ok(Step::Emit(PieceKind::Blank, self.start + BOM.len())),
                Some(false) => Ok(self.enter(State::Code, 0)),
            };
        }
        if first.is_ascii_whitespace() || first == 0x0b {
            return Ok(self.blank());
        }
        match self.looking_at(&self.delimiter) {
            None => return Ok(Step::More),
            Some(true) => return Ok(Step::Emit(PieceKind::Blank, self.start + self.delimiter.len())),
            Some(false) => {}
        }
        match first {
            b'#' => Ok(self.enter(State::LineComments, 1)),
            b'-' => match self.line_comment_at(self.start) {
                None => Ok(Step::More),
                Some(true) => Ok(self.enter(State::LineComments, 2)),
                Some(false) => Ok(self.enter(State::Code, 0)),
            },
            b'/' => Ok(self.slash()),
            b'a'..=b'z' | b'A'..=b'Z' => self.word(),
            _ => Ok(self.enter(State::Code, 0)),
        }
    }

    fn blank(&mut self) -> Step {
        let rest = &self.buffer[self.at..];
        match rest.iter().position(|byte| !(byte.is_ascii_whitespace() || *byte == 0x0b)) {
            Some(length) => Step::Emit(PieceKind::Blank, self.at + length),
            None if self.ended => Step::Emit(PieceKind::Blank, self.buffer.len()),
            None => {
                self.at = self.buffer.len();
                Step::More
            }
        }
    }

    fn slash(&mut self) -> Step {
        for sandbox in SANDBOX {
            match self.looking_at(sandbox) {
                None => return Step::More,
                Some(true) => return self.enter(State::BlockComment(PieceKind::Sandbox), sandbox.len()),
                Some(false) => {}
            }
        }
        match (self.looking_at(b"/*"), self.executable_at(self.start)) {
            (Some(true), Some(0)) => self.enter(State::BlockComment(PieceKind::Comment), 2),
            (Some(false), _) | (Some(true), Some(_)) => self.enter(State::Code, 0),
            (None, _) | (_, None) => Step::More,
        }
    }

    /// A word begins a statement, or it is a command of the client program.
    fn word(&mut self) -> Result<Step, LexError> {
        let rest = &self.buffer[self.start..];
        let end = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
        let Some(length) = end.or(self.ended.then_some(rest.len())) else { return Ok(Step::More) };
        let word = &rest[..length];
        if word.eq_ignore_ascii_case(b"delimiter") {
            return self.delimiter_line(length);
        }
        if let Some(command) = CLIENT_COMMANDS.iter().find(|c| word.eq_ignore_ascii_case(c.as_bytes())) {
            return Err(self.error(LexErrorKind::ClientCommand((*command).to_owned()), self.start));
        }
        Ok(self.enter(State::Code, length))
    }

    fn delimiter_line(&mut self, word: usize) -> Result<Step, LexError> {
        let rest = &self.buffer[self.start..];
        let length = match memchr(b'\n', rest) {
            Some(at) => at + 1,
            None if self.ended => rest.len(),
            None => return Ok(Step::More),
        };
        let argument = rest[word..length].trim_ascii();
        let delimiter = argument.split(u8::is_ascii_whitespace).next().unwrap_or_default().to_vec();
        // The client refuses a backslash too: it could never tell it from an escape.
        if delimiter.is_empty() || delimiter.len() > 64 || delimiter.contains(&b'\\') {
            return Err(self.error(LexErrorKind::BadDelimiter, self.start));
        }
        self.set_delimiter(&delimiter);
        Ok(Step::Emit(PieceKind::Delimiter, self.start + length))
    }

    /// A run of comment lines is one piece: `--`, `-- Table structure for table …`, `--`.
    fn line_comments(&mut self) -> Step {
        loop {
            let Some(length) = memchr(b'\n', &self.buffer[self.at..]) else {
                self.at = self.buffer.len();
                return if self.ended { Step::Emit(PieceKind::Comment, self.at) } else { Step::More };
            };
            let next = self.at + length + 1;
            match self.line_comment_at(next) {
                // Stay on the line end: it is looked at again when there is more.
                None => {
                    self.at += length;
                    return Step::More;
                }
                Some(false) => return Step::Emit(PieceKind::Comment, next),
                Some(true) => self.at = next,
            }
        }
    }

    fn block_comment(&mut self, kind: PieceKind) -> Result<Step, LexError> {
        match self.find_comment_end() {
            Some(end) => Ok(Step::Emit(kind, end)),
            None => self.more("a comment"),
        }
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

    fn find_comment_end(&mut self) -> Option<usize> {
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
    fn more(&self, inside: &'static str) -> Result<Step, LexError> {
        if self.ended {
            Err(self.error(LexErrorKind::Unfinished(inside), self.start))
        } else {
            Ok(Step::More)
        }
    }

    fn enter(&mut self, state: State, length: usize) -> Step {
        self.state = state;
        self.at += length;
        Step::Again
    }

    fn set_delimiter(&mut self, delimiter: &[u8]) {
        self.delimiter = delimiter.to_vec();
        self.special = [false; 256];
        for byte in b"'\"`-#/*\\".iter().chain(delimiter.first()) {
            self.special[usize::from(*byte)] = true;
        }
    }

    fn delimiter_at(&self) -> Option<bool> {
        self.starts_with(self.at, &self.delimiter)
    }

    fn looking_at(&self, text: &[u8]) -> Option<bool> {
        self.starts_with(self.start, text)
    }

    /// Tells whether `text` stands at `at`; nothing when more bytes are needed to tell.
    fn starts_with(&self, at: usize, text: &[u8]) -> Option<bool> {
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
    fn line_comment_at(&self, at: usize) -> Option<bool> {
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
    fn executable_at(&self, at: usize) -> Option<usize> {
        if self.starts_with(at, b"/*!")? {
            return Some(3);
        }
        Some(if self.starts_with(at, b"/*M!")? { 4 } else { 0 })
    }

    fn error(&self, kind: LexErrorKind, at: usize) -> LexError {
        let before = &self.buffer[self.start..at];
        LexError {
            kind,
            offset: self.offset + before.len() as u64,
            line: self.line + memchr::memchr_iter(b'\n', before).count() as u64,
        }
    }
}
