//! Words, names, strings and marks of one statement; comments left out, executable ones opened.

use memchr::{memchr, memchr2, memmem};

use super::Escapes;
use super::name::unquote_identifier;

/// One token of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A keyword, a bare name or a number.
    Word(&'a [u8]),
    /// A name in backticks, with them.
    Identifier(&'a [u8]),
    /// A string in single or double quotes, with them.
    Quoted(&'a [u8]),
    /// `/*!50003` or `/*M!100100`; 0 when it has no version.
    Open(u32),
    /// `*/` of an executable comment.
    Close,
    /// Any other byte.
    Mark(u8),
}

impl Token<'_> {
    /// Tells whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Gives the name it stands for, if it can be one.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(String::from_utf8_lossy(word).into_owned()),
            Self::Identifier(quoted) => unquote_identifier(quoted).map(|(name, _)| name),
            Self::Quoted(_) | Self::Open(_) | Self::Close | Self::Mark(_) => None,
        }
    }
}

/// Walks over the tokens of one statement.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
    escapes: Escapes,
}

impl<'a> Tokens<'a> {
    /// Begins at the statement's first byte.
    pub fn new(sql: &'a [u8], escapes: Escapes) -> Self {
        Self { sql, at: 0, escapes }
    }

    /// Gives where the next look begins.
    pub fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        &self.sql[self.at.min(self.sql.len())..]
    }

    /// Passes over a plain comment; false when there is none here.
    fn skip_comment(&mut self) -> bool {
        let rest = self.rest();
        let dashes = rest.starts_with(b"--") && rest.get(2).is_none_or(|byte| *byte <= b' ');
        if dashes || rest.starts_with(b"#") {
            self.at += memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            return true;
        }
        if rest.starts_with(b"/*") && !rest.starts_with(b"/*!") && !rest.starts_with(b"/*M!") {
            self.at += memmem::find(&rest[2..], b"*/").map_or(rest.len(), |at| at + 4);
            return true;
        }
        false
    }

    fn quoted(&self, quote: u8) -> &'a [u8] {
        let rest = self.rest();
        let backslash = self.escapes.backslash_in(quote);
        let mut at = 1;
        while let Some(tail) = rest.get(at..) {
            let found = if backslash { memchr2(quote, b'\\', tail) } else { memchr(quote, tail) };
            let Some(length) = found else { break };
            at += length;
            if backslash && rest[at] == b'\\' || rest.get(at + 1) == Some(&quote) {
                at += 2;
            } else {
                return &rest[..=at];
            }
        }
        rest
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = self.rest();
            self.at += rest.iter().take_while(|byte| **byte <= b' ').count();
            if !self.skip_comment() {
                break;
            }
        }
        let rest = self.rest();
        let first = *rest.first()?;
        let (token, length) = match first {
            b'`' => {
                let quoted = self.quoted(first);
                (Token::Identifier(quoted), quoted.len())
            }
            b'\'' | b'"' => {
                let quoted = self.quoted(first);
                (Token::Quoted(quoted), quoted.len())
            }
            b'/' if rest.starts_with(b"/*") => {
                let opening = if rest.starts_with(b"/*M") { 4 } else { 3 };
                let digits = rest[opening..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let version = std::str::from_utf8(&rest[opening..opening + digits]).unwrap_or_default();
                (Token::Open(version.parse().unwrap_or(0)), opening + digits)
            }
            b'*' if rest.starts_with(b"*/") => (Token::Close, 2),
            _ if is_word(first) => {
                let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                (Token::Word(&rest[..length]), length)
            }
            _ => (Token::Mark(first), 1),
        };
        self.at += length;
        Some(token)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Statements that set `sql_mode` are short in every dump; longer ones are not looked at.
const SET_LIMIT: usize = 4096;

/// Tells how quotes read after this statement, if it sets the session's `sql_mode`.
///
/// Dumps write routine bodies under the `sql_mode` they were made in, and set back `@saved_sql_mode` or
/// `@OLD_SQL_MODE`, which are the dump's own and the client's: both with backslash escapes.
pub(super) fn sql_mode_of(raw: &[u8]) -> Option<Escapes> {
    if raw.len() > SET_LIMIT || !matches!(raw.first(), Some(b'/' | b's' | b'S')) {
        return None;
    }
    let mut tokens = Tokens::new(raw, Escapes::default()).filter(|t| !matches!(t, Token::Open(_)));
    if !tokens.next()?.is("SET") {
        return None;
    }
    let mut found = None;
    while let Some(token) = tokens.next() {
        // `@saved_sql_mode` is another word, and the right-hand `@@sql_mode` has no equals sign after it.
        if token.is("sql_mode") && tokens.next() == Some(Token::Mark(b'=')) {
            found = Some(match tokens.next()? {
                Token::Quoted(modes) => {
                    let modes = modes.to_ascii_uppercase();
                    let has = |mode: &[u8]| memmem::find(&modes, mode).is_some();
                    // `ANSI` and `ORACLE` are combinations that have `ANSI_QUOTES` in them.
                    Escapes {
                        no_backslash: has(b"NO_BACKSLASH_ESCAPES"),
                        ansi_quotes: has(b"ANSI") || has(b"ORACLE"),
                    }
                }
                // As binary logs hold it: `MODE_ANSI_QUOTES` and `MODE_NO_BACKSLASH_ESCAPES` of both flavours.
                Token::Word(number) => {
                    let text = std::str::from_utf8(number).unwrap_or_default();
                    let bits: u64 = text.parse().unwrap_or(0);
                    Escapes { no_backslash: bits & (1 << 20) != 0, ansi_quotes: bits & (1 << 2) != 0 }
                }
                _ => Escapes::default(),
            });
        }
    }
    found
}
