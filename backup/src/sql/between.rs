//! What stands between statements: blanks, comments, `DELIMITER` lines, and words that must not be there.

use memchr::memchr;

use super::splitter::{Splitter, State, Step};
use super::{LexError, LexErrorKind, PieceKind};

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

/// Words to the client program, not for the server: to run no commands from here on, and (from MariaDB's reader of
/// binary logs) which character set the next statement is in, which the statement before it tells the server too.
const SANDBOX: [&[u8]; 3] = [br"/*!999999\-", br"/*M!999999\-", br"/*!\C "];
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Splitter {
    pub(super) fn between(&mut self) -> Result<Step, LexError> {
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
    pub(super) fn line_comments(&mut self) -> Step {
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

    pub(super) fn block_comment(&mut self, kind: PieceKind) -> Result<Step, LexError> {
        match self.find_comment_end() {
            Some(end) => Ok(Step::Emit(kind, end)),
            None => self.more("a comment"),
        }
    }
}
