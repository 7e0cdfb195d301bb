//! Taking a group: receives who wants it, yields a lease with a fencing token, or who has it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::lease::{taken, what};
use super::watch::Watch;
use super::{GroupLease, LeaseStore, LockError, LockOwner, Waiting};
use crate::host::Clock;
use crate::id::RunId;
use crate::journal::RunnerIdentity;
use crate::runbook::OnConflict;

/// How often a waiting runner looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Whether a process still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs on this machine.
    Alive,
    /// It ran on this machine since its last boot, and does not any more.
    Gone,
    /// It belongs to another machine, container or boot: nobody can tell from here.
    Elsewhere,
}

/// Takes groups for runs. Cheap to clone.
#[derive(Clone)]
pub struct GroupLocks {
    /// Where the leases are.
    pub store: Arc<dyn LeaseStore>,
    /// Time, for expiry and renewal.
    pub clock: Arc<dyn Clock>,
    /// What is known of whoever holds one.
    pub holders: Arc<dyn Holders>,
}

/// Tells what is known of the holder of a group.
#[async_trait]
pub trait Holders: Send + Sync {
    /// Says whether a process still lives.
    fn liveness(&self, runner: &RunnerIdentity) -> Liveness;

    /// Says what a run whose runner is gone waits for, if it does.
    async fn waiting(&self, run: &RunId) -> Option<Waiting>;
}

/// The wish for a group.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The group's name, any text.
    pub group: &'a str,
    /// What to do when it is taken.
    pub on_conflict: OnConflict,
    /// Who wants it.
    pub owner: &'a LockOwner,
}

impl GroupLocks {
    /// Takes a group; with [`OnConflict::Wait`] it waits, telling `on_wait` once for whom.
    ///
    /// A group is free when nobody holds it, when its holder's process is gone or has not renewed its lease in
    /// time, and for the run that keeps it. Each taking has a higher token. What a runner of the same run holds on
    /// another machine is waited for in any case, and so is a lease of another machine that has run out by this one's
    /// clock only: it runs out when that machine is gone, and is renewed, which ends the wait, when it is not.
    pub async fn acquire(
        &self,
        wanted: Wanted<'_>,
        cancel: &CancellationToken,
        on_wait: impl Fn(&LockError),
    ) -> Result<GroupLease, LockError> {
        let mut told = false;
        let (mut watch, mut first_seen) = (Watch::default(), None);
        loop {
            let refused = match self.try_acquire(wanted, &mut watch).await {
                Err(LockError::Lasting { what, owner, until }) => {
                    let seen = watch.seen().cloned();
                    if *first_seen.get_or_insert(seen.clone()) == seen {
                        LockError::Lasting { what, owner, until }
                    } else {
                        // Renewed meanwhile: whoever holds it lives.
                        let same_run = owner.run == wanted.owner.run;
                        let held = LockError::Held { what, owner: Some(owner) };
                        if same_run || wanted.on_conflict == OnConflict::Fail {
                            return Err(held);
                        }
                        held
                    }
                }
                Err(refused @ (LockError::Held { .. } | LockError::Kept { .. }))
                    if wanted.on_conflict == OnConflict::Wait =>
                {
                    refused
                }
                other => return other,
            };
            if !std::mem::replace(&mut told, true) {
                on_wait(&refused);
            }
            tokio::select! {
                () = cancel.cancelled() => {
                    return Err(LockError::Cancelled { what: what(wanted.group) });
                }
                () = self.clock.sleep(LOOK_AGAIN) => watch.passed(LOOK_AGAIN),
            }
        }
    }

    async fn try_acquire(&self, wanted: Wanted<'_>, watch: &mut Watch) -> Result<GroupLease, LockError> {
        let holders = self.holders.as_ref();
        loop {
            let found = self.store.read(wanted.group).await?;
            let now = self.clock.now();
            if let Some((lease, revision)) = &found {
                let left = if lease.is_held_elsewhere(holders) {
                    watch.look(wanted.group, revision, self.store.as_ref()).await
                } else {
                    Duration::ZERO
                };
                if let Some(refused) = lease.refuses(wanted.owner, now, left, holders).await {
                    return Err(refused);
                }
            }
            let before = found.as_ref().map(|(lease, _)| lease);
            let lease = taken(wanted.group, before, wanted.owner, now);
            let expected = found.as_ref().map(|(_, revision)| revision);
            // Refused when somebody was faster: then it is looked at again.
            if self.store.replace(&lease, expected).await?.is_some() {
                let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
                let previous = before.and_then(|before| before.run.clone());
                return Ok(GroupLease::new(store, clock, wanted.owner.clone(), &lease, previous));
            }
        }
    }
}
