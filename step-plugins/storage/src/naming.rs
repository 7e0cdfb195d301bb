//! Names that nothing else has.

use std::hash::{BuildHasher as _, RandomState};

/// Makes a mark that no other write has: 32 small hexadecimal digits.
pub(crate) fn new_mark() -> String {
    // Each of them has fresh random keys.
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}
