//! `mysql.reset-replication`: points a replica at its source by GTID and proves that it catches up.
//!
//! **What must be true before.** The replica's data are what the source had at the replica's position: an empty
//! pair, or both loaded from the same backup. A replica that survived the disaster may have transactions that
//! the backup has not; its data are then of another history, which no position can mend. That is refused by
//! name before anything is changed: such a replica is loaded from the backup first (`mysql.restore`), or it is
//! the better source.
//!
//! **What proves it.** The source writes one transaction that changes no data (`FLUSH USER_RESOURCES`), so that
//! there is one to wait for also when its binary log is empty; the replica reaches the source's position of that
//! moment, with both its threads running and without an error.

mod params;
mod run;
mod shown;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod tests;

pub use self::params::{ResetReplicationOutputs, ResetReplicationParams, SourceAddress, SourceTls};
pub(crate) use self::run::ResetReplication;
