//! Locks of processes, and leases of groups on a clock that tests move.

mod damage;
mod group;
mod process;
mod race;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::owner;
use crate::id::RunId;
use crate::journal::{
    GroupLease, GroupLocks, Holders, LeaseFiles, Liveness, LockError, LockOwner, RunnerIdentity, Waiting,
    Wanted,
};
use crate::runbook::OnConflict;
use crate::testing::FakeClock;

/// Two machines that reach the same folder.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) clock: Arc<FakeClock>,
    pub(super) known: Arc<Known>,
}

/// What this machine knows of others.
#[derive(Default)]
pub(super) struct Known {
    pub(super) gone: Mutex<BTreeSet<u32>>,
    pub(super) waiting: Mutex<BTreeMap<RunId, Waiting>>,
}

#[async_trait]
impl Holders for Known {
    fn liveness(&self, runner: &RunnerIdentity) -> Liveness {
        match self.gone.lock().unwrap().contains(&runner.pid) {
            true => Liveness::Gone,
            false if runner.host == "db-1" => Liveness::Alive,
            false => Liveness::Elsewhere,
        }
    }

    async fn waiting(&self, run: &RunId) -> Option<Waiting> {
        self.waiting.lock().unwrap().get(run).cloned()
    }
}

/// A run `run-PID` that is driven by process PID.
pub(super) fn run(pid: u32) -> LockOwner {
    LockOwner { run: format!("run-{pid}").as_str().into(), ..owner(pid) }
}

pub(super) fn decision() -> Waiting {
    Waiting::Decision { steps: vec!["restore".into()] }
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, clock: Arc::new(FakeClock::manual()), known: Arc::default() }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn locks(&self) -> GroupLocks {
        GroupLocks {
            store: Arc::new(LeaseFiles::new(self.path())),
            clock: self.clock.clone(),
            holders: self.known.clone(),
        }
    }

    pub(super) async fn take(&self, owner: &LockOwner) -> Result<GroupLease, LockError> {
        let wanted = Wanted { group: "recover/prod", on_conflict: OnConflict::Fail, owner };
        self.locks().acquire(wanted, &CancellationToken::new(), |_| {}).await
    }

    /// Says why a run can't have it, and what it is told to do.
    pub(super) async fn refusal(&self, owner: &LockOwner) -> String {
        match self.take(owner).await {
            Ok(lease) => panic!("it was taken with token {}", lease.token()),
            Err(error) => format!("{error}\n{}", error.help()),
        }
    }

    /// The process dies: its clock stands for ever, its lease stays.
    pub(super) fn dies(&self, owner: &LockOwner, lease: GroupLease) {
        drop(lease);
        self.known.gone.lock().unwrap().insert(owner.runner.pid);
    }
}
