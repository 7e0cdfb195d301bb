//! Statements in binary logs.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::event::{Event, EventKind, Fields};

/// How much of a compressed statement is looked at.
const LONGEST_LOOK_BYTES: u64 = 1 << 20;

/// A statement and the database it ran in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The session's database; empty when it had none.
    pub database: String,
    /// Its text, lossily decoded; of a compressed one the first MiB.
    pub sql: String,
}

impl Query {
    /// Reads a statement; nothing when the event is none.
    ///
    /// The body: thread 4, seconds 4, length of the database's name 1, error 2, length of variables 2, variables,
    /// name and a NUL, text (MySQL Internals Manual, "`Query_event`").
    pub fn of(event: &Event) -> Option<Self> {
        let kind = event.header.kind;
        let mut fields = Fields(event.body());
        if kind == EventKind::ANNOTATE_ROWS {
            return Some(Self { database: String::new(), sql: lossy(fields.0) });
        }
        if kind == EventKind::ROWS_QUERY {
            // A byte for the length, which is not used.
            fields.byte()?;
            return Some(Self { database: String::new(), sql: lossy(fields.0) });
        }
        if kind != EventKind::QUERY && kind != EventKind::QUERY_COMPRESSED {
            return None;
        }
        fields.take(8)?;
        let name = usize::from(fields.byte()?);
        fields.take(2)?;
        let variables = usize::try_from(fields.number(2)?).ok()?;
        fields.take(variables)?;
        let database = lossy(fields.take(name)?);
        fields.byte()?;
        let sql = if kind == EventKind::QUERY { lossy(fields.0) } else { decompressed(fields)? };
        Some(Self { database, sql })
    }

    /// Tells whether it begins a transaction that a later event ends.
    pub(super) fn opens(&self) -> bool {
        self.is("BEGIN") || self.starts("XA START")
    }

    /// Tells whether it ends a transaction.
    pub(super) fn closes(&self) -> bool {
        self.is("COMMIT") || self.is("ROLLBACK")
    }

    fn is(&self, word: &str) -> bool {
        self.sql.trim().eq_ignore_ascii_case(word)
    }

    fn starts(&self, words: &str) -> bool {
        self.sql.get(..words.len()).is_some_and(|head| head.eq_ignore_ascii_case(words))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Decompresses MariaDB's: a byte whose low three bits say how many bytes of a length follow, then zlib
/// (`binlog_buf_compress`, MariaDB source).
fn decompressed(mut fields: Fields<'_>) -> Option<String> {
    let length = usize::from(fields.byte()? & 0x07);
    fields.take(length)?;
    let mut text = Vec::new();
    ZlibDecoder::new(fields.0).take(LONGEST_LOOK_BYTES).read_to_end(&mut text).ok()?;
    Some(lossy(&text))
}
