//! Where things lie in an object that age has encrypted: its first bytes and its size in, sizes and ranges out.
//!
//! ```text
//! age-encryption.org/v1            the header: text, of another length for every object, as age adds noise to it
//! -> X25519 …                      a stanza for each recipient, and one that means nothing
//! --- MAC
//! 16 bytes                         the nonce
//! chunks of 64 KiB + 16 bytes      the last one shorter, or full
//! ```
//!
//! The source of all this is the specification, <https://c2sp.org/age>.

use std::ops::Range;

use rekindle_engine::host::{Encryption, StoreErrorKind};

use crate::failure::Failure;

/// The format, as it names itself.
pub(super) const FORMAT: &str = Encryption::AGE;

/// The first line of an encrypted object, whatever the version.
const MAGIC: &[u8] = b"age-encryption.org/";

/// The longest header that is read: more than 32 recipients need.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

const NONCE_BYTES: usize = 16;
const TAG_BYTES: u64 = 16;

/// What one chunk holds.
pub(super) const CHUNK_BYTES: u64 = 64 << 10;

/// What one chunk takes in the store.
const STORED_CHUNK_BYTES: u64 = CHUNK_BYTES + TAG_BYTES;

/// What the first bytes of an object tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is not encrypted: older than the encryption of its store, or written open.
    Plain,
    /// It is encrypted; its chunks begin here.
    Encrypted(usize),
    /// More bytes are needed to tell.
    Unknown,
}

/// Judges an object by its first bytes; `is_all` when there are no more.
///
/// A damaged first line must not make an encrypted object pass for a plain one, so that what is nearly that line, or
/// nothing at all, is damage: no backup has an empty object.
pub(super) fn beginning(bytes: &[u8], is_all: bool) -> Result<Beginning, Failure> {
    let compared = bytes.len().min(MAGIC.len());
    let equal = bytes.iter().zip(MAGIC).filter(|(one, other)| one == other).count();
    if compared < MAGIC.len() && !is_all {
        return Ok(Beginning::Unknown);
    }
    if equal < MAGIC.len() {
        let is_near = equal * 2 >= compared && (equal == compared || equal > 2);
        return if is_near { Err(damaged()) } else { Ok(Beginning::Plain) };
    }
    match version(&bytes[MAGIC.len()..]) {
        Some(b"v1") => {}
        // A later one may change anything behind its line.
        Some([b'v', number @ ..]) if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => {
            return Err(Failure::invalid(format!("it is encrypted in another format than {FORMAT}")));
        }
        None if !is_all && bytes.len() < MAX_HEADER_BYTES => return Ok(Beginning::Unknown),
        Some(_) | None => return Err(damaged()),
    }
    match header_end(bytes) {
        Some(end) if bytes.len() >= end + NONCE_BYTES => Ok(Beginning::Encrypted(end + NONCE_BYTES)),
        _ if is_all || bytes.len() >= MAX_HEADER_BYTES => Err(damaged()),
        _ => Ok(Beginning::Unknown),
    }
}

fn damaged() -> Failure {
    Failure::new(StoreErrorKind::Corrupt, "the header of its encryption is damaged or cut off")
}

/// Gives the rest of a line.
fn version(bytes: &[u8]) -> Option<&[u8]> {
    bytes.iter().position(|byte| *byte == b'\n').map(|end| &bytes[..end])
}

/// The last line of a header: `--- `, a MAC of 32 bytes in base64 without padding, a newline
/// (<https://c2sp.org/age>, "Header MAC").
const MAC_LINE_BYTES: usize = 4 + 43 + 1;

/// Finds the end of the line that begins with `---`: stanzas begin with `->`, and their bodies are base64. A newline
/// elsewhere than at its one place is one of the bytes that follow, behind a line that is damaged.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let last_line = bytes.windows(5).position(|five| five == b"\n--- ")? + 1;
    let line = bytes.get(last_line..last_line + MAC_LINE_BYTES)?;
    let newline = line.iter().position(|byte| *byte == b'\n')?;
    (newline + 1 == MAC_LINE_BYTES).then_some(last_line + MAC_LINE_BYTES)
}

/// Where the chunks of an encrypted object lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Where the first one begins in the object.
    start: u64,
    /// Where the last one ends: the object's size.
    end: u64,
}

impl Chunks {
    /// Looks whether chunks can lie so: at least one, the last one with its tag, and none without contents but the only
    /// one.
    pub(super) fn new(start: u64, end: u64) -> Result<Self, Failure> {
        let stored = end.saturating_sub(start);
        let last = stored % STORED_CHUNK_BYTES;
        let too_short = stored == 0 || (last != 0 && last < TAG_BYTES);
        if too_short || (last == TAG_BYTES && stored > last) {
            return Err(Failure::new(StoreErrorKind::Corrupt, "its encrypted bytes are cut off"));
        }
        Ok(Self { start, end })
    }

    /// Gives the size of what was encrypted.
    pub(super) fn plain_bytes(self) -> u64 {
        let stored = self.end - self.start;
        stored - stored.div_ceil(STORED_CHUNK_BYTES) * TAG_BYTES
    }

    /// Gives the number of the chunk that holds a byte.
    pub(super) fn of_byte(at: u64) -> u64 {
        at / CHUNK_BYTES
    }

    /// Gives the bytes of the object that hold a range, not empty, of what was encrypted: whole chunks.
    pub(super) fn stored(self, range: &Range<u64>) -> Range<u64> {
        let first = Self::of_byte(range.start);
        let behind = range.end.div_ceil(CHUNK_BYTES);
        let at = |chunk: u64| (self.start + chunk * STORED_CHUNK_BYTES).min(self.end);
        at(first)..at(behind)
    }
}

/// Gives the size that an object may have in the store when what it holds has at most so many bytes.
pub(super) fn most_stored_bytes(plain_bytes: usize) -> usize {
    let tags = (plain_bytes as u64 / CHUNK_BYTES + 1) * TAG_BYTES;
    let around = usize::try_from(tags).unwrap_or(usize::MAX).saturating_add(MAX_HEADER_BYTES + NONCE_BYTES);
    plain_bytes.saturating_add(around)
}
