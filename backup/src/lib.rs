//! What a backup is: its manifest, where its objects lie, what is in it, and the SQL dump format.
//!
//! Shared by the step crates that make, restore and check backups, which do not know each other.

pub mod binlog;
pub mod catalogue;
pub mod covers;
pub mod dump;
pub mod inventory;
pub mod layout;
pub mod manifest;
pub mod mark;
pub mod physical;
pub mod retention;
pub mod sealed;
pub mod sql;
pub mod verdict;
