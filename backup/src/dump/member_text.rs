//! One gzip member of a dump object, by itself: its bytes and its index entry in, proven text and statements out.

use std::io::Read as _;
use std::ops::Range;

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::Contents;
use crate::manifest::Member;
use crate::sql::{Kind, LexError, PieceKind, Splitter};

/// Why the bytes are not the member that the index describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberDamage {
    /// The index has no sha256 of it.
    #[error("the index has no sha256 of it")]
    Unproven,
    /// They are other bytes.
    #[error("its sha256 is {found}, and the index says {expected}")]
    Hash {
        /// As the index says.
        expected: String,
        /// As it is.
        found: String,
    },
    /// It is as it was written, and still no member: the index is not of this object.
    #[error("it does not decompress to the {expected} bytes that the index says: {why}")]
    Text {
        /// As the index says.
        expected: u64,
        /// What came instead.
        why: String,
    },
    /// Its text is no SQL.
    #[error("{0}")]
    Sql(LexError),
}

/// A statement of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatement {
    /// What it does; an `INSERT` has 0 rows.
    pub kind: Kind,
    /// Where its bytes are in the member's text, without delimiter.
    pub range: Range<usize>,
    /// The line of the member's text that it begins on, from 1.
    pub line: u64,
    /// Which section of the text it is in, from 0: each begins with a comment that announces it.
    pub section: usize,
}

/// The text of a member whose bytes are proven, split into statements.
#[derive(Debug)]
pub struct MemberText {
    text: Vec<u8>,
    /// Its statements in order.
    pub statements: Vec<MemberStatement>,
    /// Whether `-- Dump completed` is the last thing in it.
    pub trailer_is_last: bool,
}

impl MemberText {
    /// Proves, decompresses and splits the bytes of a member.
    ///
    /// # Errors
    /// When they are not the bytes that were written, or no SQL.
    pub fn open(bytes: &[u8], member: &Member) -> Result<Self, MemberDamage> {
        Self::split(decompress(bytes, member)?).map_err(MemberDamage::Sql)
    }

    fn split(text: Vec<u8>) -> Result<Self, LexError> {
        let mut splitter = Splitter::over(text);
        let mut contents = Contents::default();
        let (mut statements, mut section) = (Vec::new(), 0);
        while splitter.advance()? {
            let piece = splitter.piece();
            if Contents::begins_section(&piece) {
                section += 1;
            }
            if piece.kind != PieceKind::Statement {
                contents.accept(&piece);
                continue;
            }
            let kind = contents.accept_head(&piece);
            // The text of a member is in memory as a whole.
            let begin = usize::try_from(piece.offset).unwrap_or(usize::MAX);
            let range = begin..begin.saturating_add(piece.sql.len());
            statements.push(MemberStatement { kind, range, line: piece.line, section });
        }
        let trailer_is_last = contents.trailer_is_last();
        Ok(Self { text: splitter.into_text(), statements, trailer_is_last })
    }

    /// Gives the bytes of one of its statements.
    pub fn sql(&self, statement: &MemberStatement) -> &[u8] {
        self.text.get(statement.range.clone()).unwrap_or_default()
    }

    /// Gives the whole text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

fn decompress(bytes: &[u8], member: &Member) -> Result<Vec<u8>, MemberDamage> {
    let expected = member.sha256.as_ref().ok_or(MemberDamage::Unproven)?;
    let found = hex::encode(Sha256::digest(bytes));
    if found != *expected {
        return Err(MemberDamage::Hash { expected: expected.clone(), found });
    }
    let wrong = |why: String| MemberDamage::Text { expected: member.text_bytes, why };
    let size = usize::try_from(member.text_bytes).map_err(|error| wrong(error.to_string()))?;
    let mut text = Vec::with_capacity(size);
    let mut decoder = GzDecoder::new(bytes);
    // One byte more than there should be tells that there is more.
    (&mut decoder)
        .take(member.text_bytes.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    if text.len() != size {
        return Err(wrong(format!("it has {} or more", text.len())));
    }
    if !decoder.into_inner().is_empty() {
        return Err(wrong("something follows it".to_owned()));
    }
    Ok(text)
}
