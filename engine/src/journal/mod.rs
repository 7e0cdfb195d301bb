//! The append-only events of a run; the only truth about it.
//!
//! Receives [`Event`]s from the driver, makes them durable as [`Record`]s, and yields them again to whoever
//! resumes, reports on or lists runs. Also what lies around a journal on disk: the directory of a run, and the
//! locks that keep two processes from driving the same thing.

mod chain;
mod error;
mod event;
mod file;
mod file_name;
mod line;
mod lock;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod runs;
mod stored;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

pub use error::JournalError;
pub use event::{
    Event, JOURNAL_FORMAT, Outcome, Record, Resolution, RunnerIdentity, SourceCommit, StepFinding,
};
pub use file::{FileJournal, ReadBack};
pub use lock::{
    Fence, FenceError, GroupLease, GroupLocks, Hold, Holder, Holders, LEASE_FORMAT, Lease, LeaseFiles,
    LeaseStore, Liveness, Lock, LockError, LockOwner, NoFence, Revision, Waiting, Wanted, waiting,
};
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryJournal;
pub use runs::{RunDirectory, Runs, RunsError, new_run_id};
pub use stored::{JOURNALS, StoreJournal, StoreLeases, StoredRuns};

pub(crate) use file_name::file_name;

/// Keeps the events of one run.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Gives the events their numbers and time and makes them durable before it returns. They share one sync.
    ///
    /// # Errors
    /// After an error nothing more can be written, and the run must stop: what was not confirmed may or may not
    /// be there.
    async fn append(&self, events: &[Event]) -> Result<Vec<Record>, JournalError>;

    /// Reads everything that is durable, in order.
    async fn read(&self) -> Result<Vec<Record>, JournalError>;
}
