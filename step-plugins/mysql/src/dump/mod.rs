//! `mysql.dump`: a logical backup, streamed from the flavour's own client program into a store.
//!
//! Receives a target, a store and a scope; yields one gzip object of several members and its index. Nothing
//! touches a disk on the way, and the object exists only once the client ended well and its trailer was seen.

mod accounts;
mod beside;
mod choose;
mod client;
mod command;
mod failure;
mod params;
mod privileges;
mod run;
mod snapshot;
mod step;
mod stream;
mod survey;
mod unchanged;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::seed as seed_for_tests;

pub(crate) use accounts::ACCOUNTS_OF_SERVERS;
pub(crate) use client::Client;
pub use params::{DumpOutputs, DumpParams, DumpScope};
pub(crate) use privileges::without_grant_option;
pub(crate) use snapshot::open_snapshot;
pub use step::Dump;
