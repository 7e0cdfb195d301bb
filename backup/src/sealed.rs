//! JSON files that carry a checksum of their own bytes, so that damage to the manifest itself is found.
//!
//! ```text
//! {
//!   "checksum": "<sha256 of this file, lowercase hex, taken with 64 zeros in this place>",
//!   "format": 1,
//!   …
//! ```
//!
//! The checksum stands at a fixed place and covers every byte, white space too, so it does not depend on how
//! any program writes JSON. Without rekindle:
//! `sed '2s/"[0-9a-f]\{64\}"/"000…0"/' manifest.json | sha256sum` prints it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

const OWN_FIELD: &[u8] = b"\n  \"checksum\": ";
const BEFORE: &[u8] = b"{\n  \"checksum\": \"";
const NO_DIGITS: &[u8; 64] = &[b'0'; 64];

/// Why bytes are no intact sealed file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are not those that were written.
    #[error("its bytes do not match its own checksum: it was damaged or changed after it was written")]
    Damaged,
    /// The bytes are as written, but mean nothing to us.
    #[error("it is intact but can't be read: {0}")]
    Unreadable(String),
}

/// Writes a value as a sealed file. The value must be a map that is not empty, without a field `checksum` of its own.
///
/// # Errors
/// When the value is no such map or can't be written as JSON.
pub fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>, SealError> {
    // Written as it is, never as a tree of values: an index of many backups takes more room so than anything else.
    let fields =
        serde_json::to_vec_pretty(value).map_err(|error| SealError::Unreadable(error.to_string()))?;
    let Some(fields) = fields.strip_prefix(b"{").filter(|fields| fields.starts_with(b"\n")) else {
        return Err(SealError::Unreadable("only a map with something in it can be sealed".to_owned()));
    };
    // Fields of the map alone are indented by so much, and texts have no line breaks of their own.
    if memchr::memmem::find(fields, OWN_FIELD).is_some() {
        return Err(SealError::Unreadable("it has a field `checksum` of its own".to_owned()));
    }
    let mut bytes = Vec::with_capacity(BEFORE.len() + 64 + fields.len() + 3);
    bytes.extend_from_slice(BEFORE);
    bytes.extend_from_slice(NO_DIGITS);
    bytes.extend_from_slice(b"\",");
    bytes.extend_from_slice(fields);
    bytes.push(b'\n');
    let digits = hex::encode(Sha256::digest(&bytes));
    bytes[BEFORE.len()..BEFORE.len() + 64].copy_from_slice(digits.as_bytes());
    Ok(bytes)
}

/// Reads a sealed file after checking every byte of it.
pub fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SealError> {
    let digits = checksum(bytes)?;
    let mut hash = Sha256::new();
    hash.update(BEFORE);
    hash.update(NO_DIGITS);
    hash.update(&bytes[BEFORE.len() + 64..]);
    if hex::encode(hash.finalize()) != digits {
        return Err(SealError::Damaged);
    }
    serde_json::from_slice(bytes).map_err(|error| SealError::Unreadable(error.to_string()))
}

/// Gives the checksum that a sealed file says it has.
fn checksum(bytes: &[u8]) -> Result<&str, SealError> {
    let digits = bytes.strip_prefix(BEFORE).and_then(|rest| rest.get(..64));
    digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(SealError::Damaged)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn example() -> BTreeMap<String, String> {
        [("id", "a"), ("name", "ü \" 🦀")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_sealed_file_reads_back_as_written() {
        let bytes = seal(&example()).unwrap();
        let mut read: BTreeMap<String, String> = open(&bytes).unwrap();
        assert_eq!(read.remove("checksum").unwrap().len(), 64);
        assert_eq!(read, example());
    }

    #[test]
    fn every_changed_byte_is_found() {
        let bytes = seal(&example()).unwrap();
        for at in 0..bytes.len() {
            // 0x20 turns letters into their other case and back, 0x01 digits into digits.
            for change in [0xff, 0x20, 0x01] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                assert_eq!(
                    open::<BTreeMap<String, String>>(&damaged),
                    Err(SealError::Damaged),
                    "byte {at} ^ {change:#x}"
                );
            }
        }
    }

    #[test]
    fn missing_and_added_bytes_are_found() {
        let bytes = seal(&example()).unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(open::<Value>(&bytes[..cut]), Err(SealError::Damaged), "cut at {cut}");
        }
        assert_eq!(open::<Value>(&[&bytes[..], b"\n"].concat()), Err(SealError::Damaged));
    }

    #[test]
    fn intact_bytes_of_another_shape_are_told_apart_from_damage() {
        let bytes = seal(&example()).unwrap();
        assert!(matches!(open::<BTreeMap<String, u32>>(&bytes), Err(SealError::Unreadable(_))));
    }

    #[test]
    fn only_a_map_can_be_sealed() {
        assert!(matches!(seal(&["a list"]), Err(SealError::Unreadable(_))));
        assert!(matches!(seal(&BTreeMap::<String, u32>::new()), Err(SealError::Unreadable(_))));
    }

    #[test]
    fn a_checksum_of_the_value_itself_is_refused_and_one_further_in_is_not() {
        let own = serde_json::json!({ "a": 1, "checksum": "mine" });
        assert!(matches!(seal(&own), Err(SealError::Unreadable(_))));
        let inner = serde_json::json!({ "a": { "checksum": "mine" }, "b": "\n  \"checksum\": " });
        let read: Value = open(&seal(&inner).unwrap()).unwrap();
        assert_eq!(read["a"], inner["a"]);
    }
}
