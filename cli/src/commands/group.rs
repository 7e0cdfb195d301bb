//! The lock of a run's concurrency group: taken before it is driven, given back or kept after.

use std::sync::Arc;

use async_trait::async_trait;
use rekindle_engine::host::Clock;
use rekindle_engine::id::RunId;
use rekindle_engine::journal::{
    Event, GroupLease, GroupLocks, Holders, Liveness, LockError, LockOwner, RunnerIdentity, Runs, Waiting,
    Wanted, waiting,
};
use rekindle_engine::plan::Group;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use crate::failure::Failure;
use crate::output;

/// What can be known of other runs.
struct OtherRuns(Place);

#[async_trait]
impl Holders for OtherRuns {
    fn liveness(&self, runner: &RunnerIdentity) -> Liveness {
        rekindle_host::liveness(runner)
    }

    async fn waiting(&self, run: &RunId) -> Option<Waiting> {
        waiting(&self.0.other(run).await?.records().ok()?)
    }
}

/// Takes the group for a run, or says who has it and what to type.
pub(super) async fn take(
    place: &Place,
    group: &Group,
    owner: &LockOwner,
    clock: &Arc<dyn Clock>,
    cancel: &CancellationToken,
) -> Result<GroupLease, Failure> {
    let locks = GroupLocks {
        store: place.leases(),
        clock: Arc::clone(clock),
        holders: Arc::new(OtherRuns(place.clone())),
    };
    let wanted = Wanted { group: &group.name, on_conflict: group.on_conflict, owner };
    let waits = |held: &LockError| output::error(&format!("waiting: {held}\nhelp: {}\n", held.help()));
    let lease = locks.acquire(wanted, cancel, waits).await.map_err(|error| locked(&error))?;
    if let Some(before) = last_token(place.runs(), &owner.run)
        && lease.token() > before + 1
        // A resume that was refused takes the group too.
        && lease.previous() != Some(&owner.run)
    {
        output::error(&format!(
            "warning: other runs of the group `{}` went on since run {} was last driven; what it found then may \
             not be true any more\n",
            group.name, owner.run
        ));
    }
    Ok(lease)
}

/// Gives the group back, unless the run waits for a person: then it keeps the group.
pub(super) async fn give_back(runs: &Runs, lease: Option<GroupLease>, run: &RunId) {
    let Some(lease) = lease else { return };
    let given = match runs.waiting(run) {
        Some(waiting) => lease.keep(waiting).await,
        None => lease.release().await,
    };
    if let Err(error) = given {
        // Not lost for long: this process ends, and then the next run may take it.
        output::error(&format!("warning: {error}\n"));
    }
}

/// Says why a lock can't be had.
pub(super) fn locked(error: &LockError) -> Failure {
    Failure::input(error.to_string()).help(error.help())
}

/// Gives the token under which a run was driven last.
fn last_token(runs: &Runs, run: &RunId) -> Option<u64> {
    let records = runs.open(run).ok()?.records().ok()?;
    records.iter().rev().find_map(|record| match &record.event {
        Event::RunStarted { fence, .. } | Event::RunResumed { fence, .. } => Some(*fence),
        _ => None,
    })?
}
