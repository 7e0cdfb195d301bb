//! A lease as text: one line of JSON, and a line with the start of its SHA-256, so that a flipped bit is found.

use std::io;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{LEASE_FORMAT, Lease};

const SUM_LENGTH: usize = 16;

/// Why a text is no lease that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::journal) enum TextError {
    /// It is not what was written.
    Damaged(String),
    /// A newer version wrote it.
    Newer(u64),
}

/// Writes a lease.
pub(in crate::journal) fn write(lease: &Lease) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(lease)?;
    let sum = sum(&bytes);
    bytes.push(b'\n');
    bytes.extend_from_slice(sum.as_bytes());
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the lease of a group.
pub(in crate::journal) fn read(bytes: &[u8], group: &str) -> Result<Lease, TextError> {
    let damaged = |why: String| TextError::Damaged(why);
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let value: Value =
        serde_json::from_slice(first).map_err(|error| damaged(format!("it is no JSON: {error}")))?;
    // Looked at before the rest: a newer format may have another checksum.
    match value.get("format").and_then(Value::as_u64) {
        Some(found) if found > u64::from(LEASE_FORMAT) => return Err(TextError::Newer(found)),
        Some(_) | None => {}
    }
    let ends = lines.next().is_some_and(<[u8]>::is_empty) && lines.next().is_none();
    if second != sum(first).as_bytes() || !ends {
        return Err(damaged("its checksum does not fit what stands there".to_owned()));
    }
    let lease: Lease =
        serde_json::from_value(value).map_err(|error| damaged(format!("it is no lease: {error}")))?;
    if lease.group != group {
        return Err(damaged(format!("it is of the group `{}`", lease.group)));
    }
    Ok(lease)
}

fn sum(line: &[u8]) -> String {
    let mut sum = hex::encode(Sha256::digest(line));
    sum.truncate(SUM_LENGTH);
    sum
}
