//! Names of databases and their objects, and how they are quoted.

use std::fmt;

/// The name of a table or another object, with its database when the statement says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The database, when written out.
    pub database: Option<String>,
    /// The object.
    pub name: String,
}

impl fmt::Display for Name {
    /// Writes `database.name` for people; not quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(database) => write!(f, "{database}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Quotes an identifier with backticks, doubling those inside (MySQL Reference Manual 11.2).
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Reads what stands at the start of `text` as an identifier in backticks; gives it and the length it takes.
pub fn unquote_identifier(text: &[u8]) -> Option<(String, usize)> {
    if text.first() != Some(&b'`') {
        return None;
    }
    let mut name = Vec::new();
    let mut at = 1;
    loop {
        let length = memchr::memchr(b'`', text.get(at..)?)?;
        name.extend_from_slice(&text[at..at + length]);
        at += length + 1;
        if text.get(at) != Some(&b'`') {
            return Some((String::from_utf8_lossy(&name).into_owned(), at));
        }
        name.push(b'`');
        at += 1;
    }
}

/// Quotes a text as a string literal, for sessions without `NO_BACKSLASH_ESCAPES` (Reference Manual 11.1.1).
pub fn quote_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\0' => quoted.push_str("\\0"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\u{1a}' => quoted.push_str("\\Z"),
            _ => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}
