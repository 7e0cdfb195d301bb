//! What keeps runs out of each other's way: one process for a run directory, one run for a concurrency group.
//!
//! [`Lock`] is the kernel's `flock` on a run's directory: it goes away with its process. A group is held by a
//! [`Lease`], a record in the journal's place that any machine which reaches the place can read: who holds the
//! group, until when, and under which fencing token. [`GroupLocks::acquire`] takes one, a [`GroupLease`] renews it
//! while the run goes on, and its [`Fence`] lets the driver see, right before a step destroys something, that the
//! lease is still its own. Decision 0008 has the reasons.

mod error;
mod fence;
mod files;
mod group;
mod held;
mod lease;
mod process;
mod text;
mod waiting;
mod watch;

use serde::{Deserialize, Serialize};

use super::RunnerIdentity;
use crate::id::RunId;

pub use error::LockError;
pub use fence::{Fence, FenceError, NoFence};
pub use files::LeaseFiles;
pub use group::{GroupLocks, Holders, Liveness, Wanted};
pub use held::GroupLease;
pub(in crate::journal) use lease::what;
pub use lease::{Hold, Holder, LEASE_FORMAT, Lease, LeaseStore, Revision};
pub use process::Lock;
pub(in crate::journal) use process::owner_in;
pub(in crate::journal) use text::{TextError, read as read_lease, write as write_lease};
pub use waiting::{Waiting, waiting};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    /// The run it is held for.
    pub run: RunId,
    /// The process that holds it.
    pub runner: RunnerIdentity,
}
