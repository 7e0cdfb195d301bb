//! `mysql.backup-physical`: the files of a server as a stream, straight into a store.
//!
//! ```text
//! hot:   mariadb-backup --stream ─┐                                            ┌─ object, then its index
//! cold:  stop ─ tar ─ start       ┴─ looked at ─ gzip members ─ sha256 ─ store ┘
//! ```
//!
//! Receives a target, a store and a mode; yields one object and its index, which `backup.publish` makes the manifest
//! from. Nothing touches a disk on the way, and the object exists only once the program has ended well, has said so
//! itself, and every file in its stream came to an end.

mod base;
mod cold;
mod failure;
mod hot;
mod params;
mod run;
mod step;
mod stream;
mod survey;

#[cfg(test)]
mod tests;

pub use params::{Outputs, Params};
pub use step::BackupPhysical;
