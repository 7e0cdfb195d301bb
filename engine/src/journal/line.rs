//! One record as one line of text, chained to the line before it.
//!
//! `{"sum":"<16 hex>","seq":…,"at":…,"event":…}` where `sum` is the start of the SHA-256 over the previous line's
//! sum and the rest of this line. A changed, lost, repeated or moved line breaks the chain.

use sha2::{Digest, Sha256};

use super::{JOURNAL_FORMAT, Record};

const PREFIX: &[u8] = br#"{"sum":""#;
const SUM_LENGTH: usize = 16;

/// The sum a line ends the chain with: 16 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum([u8; SUM_LENGTH]);

impl Sum {
    /// What the first line is chained to.
    pub(super) const START: Self = Self([b'0'; SUM_LENGTH]);

    fn after(self, rest: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(rest);
        let mut sum = Self::START;
        for (pair, byte) in sum.0.chunks_exact_mut(2).zip(hasher.finalize()) {
            pair[0] = hex_digit(byte >> 4);
            pair[1] = hex_digit(byte & 0xf);
        }
        sum
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Why a line can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// It is not what was written.
    Damaged(String),
    /// It begins a journal of a newer format.
    NewerFormat(u64),
}

/// Writes a record as a line with its newline, and gives the sum for the next one.
pub(super) fn encode(previous: Sum, record: &Record) -> Result<(Vec<u8>, Sum), serde_json::Error> {
    let json = serde_json::to_vec(record)?;
    // The record's own `{` gives way to the sum.
    let mut rest = json;
    rest[0] = b',';
    let sum = previous.after(&rest);
    let mut line = Vec::with_capacity(PREFIX.len() + SUM_LENGTH + 2 + rest.len());
    line.extend_from_slice(PREFIX);
    line.extend_from_slice(&sum.0);
    line.push(b'"');
    line.extend_from_slice(&rest);
    line.push(b'\n');
    Ok((line, sum))
}

/// Reads a line (without its newline) that must follow `previous` and have the number `seq`.
pub(super) fn decode(previous: Sum, seq: u64, line: &[u8]) -> Result<(Record, Sum), LineError> {
    let damaged = |why: String| LineError::Damaged(why);
    let (sum, rest) = line
        .strip_prefix(PREFIX)
        .and_then(|tail| tail.split_at_checked(SUM_LENGTH))
        .and_then(|(sum, tail)| Some((sum, tail.strip_prefix(b"\"")?)))
        .filter(|(_, rest)| rest.first() == Some(&b','))
        .ok_or_else(|| damaged("it does not begin with a checksum".to_owned()))?;
    let expected = previous.after(rest);
    if sum != expected.0 {
        return Err(damaged(
            "its checksum does not fit what stands there and in the lines before it".to_owned(),
        ));
    }
    let mut json = rest.to_vec();
    json[0] = b'{';
    refuse_newer(&json)?;
    let record: Record =
        serde_json::from_slice(&json).map_err(|error| damaged(format!("it is no known event: {error}")))?;
    if record.seq != seq {
        return Err(damaged(format!("it has number {} where {seq} is due", record.seq)));
    }
    Ok((record, expected))
}

/// Looks at the format before the events, which a newer format may have changed.
fn refuse_newer(json: &[u8]) -> Result<(), LineError> {
    let value: serde_json::Value = serde_json::from_slice(json)
        .map_err(|error| LineError::Damaged(format!("it is no JSON: {error}")))?;
    match value.pointer("/event/format").and_then(serde_json::Value::as_u64) {
        Some(found)
            if found > u64::from(JOURNAL_FORMAT)
                && value.pointer("/event/type").and_then(serde_json::Value::as_str)
                    == Some("run_started") =>
        {
            Err(LineError::NewerFormat(found))
        }
        Some(_) | None => Ok(()),
    }
}
