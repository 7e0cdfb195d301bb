//! `mysql.import-dump`: a dump that somebody else made → a part of a backup, as if `mysql.dump` had made it.
//!
//! ```text
//! file or object ─ gzip, zstd or plain ─→ pieces ─ system databases left out ─→ members ─→ store, index, facts
//!   source.rs                               text.rs
//! ```
//!
//! What is read once here is then verified, restored side by side, in parts, and proven as any other backup. Nothing
//! touches a disk on the way, and the object exists only when the text was read to its trailer.

mod params;
mod run;
mod source;
mod step;
mod text;

#[cfg(test)]
mod tests;

pub use params::{From, ImportOutputs, ImportParams, ImportScope};
pub use step::ImportDump;
