//! Any text as a file name.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Longer names are cut and get a hash: most file systems take 255 bytes, and a suffix follows.
const LONGEST: usize = 120;

/// Gives a file name that is different for different texts: safe characters as they are, others as `%2F`.
pub(crate) fn file_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST - 17);
        let _ = write!(name, "-{}", &hex::encode(Sha256::digest(text.as_bytes()))[..16]);
    }
    name
}
