//! Names that nothing else has.

use std::hash::{BuildHasher as _, RandomState};

/// Makes a mark that no other write has: 32 small hexadecimal digits.
pub(crate) fn new_mark() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// Gives a number that nobody can foresee: each `RandomState` has fresh random keys.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
