//! Who holds a group: a record, the rules by which it changes hands, and the place it is kept in.
//!
//! Pure: time, liveness and what other runs wait for come from outside.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Holders, Liveness, LockError, LockOwner, Waiting};
use crate::id::RunId;
use crate::journal::RunnerIdentity;

/// The record's format; a reader refuses a newer one.
pub const LEASE_FORMAT: u32 = 1;

/// How long a lease lasts without renewal.
pub(super) const LASTS: Duration = Duration::from_mins(1);
/// How often a runner renews its lease.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How much of a lease must be left for a destroy step to begin, and how much longer than it lasts it must have stayed
/// as it is before others take it: what a renewal and an effect may take on their way.
pub(super) const MARGIN: Duration = Duration::from_secs(15);

/// Who holds a group. The record outlives its holders, so that no token is given twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// [`LEASE_FORMAT`].
    pub format: u32,
    /// The group's name.
    pub group: String,
    /// The fencing token: one more each time the group is taken, by whomever.
    pub token: u64,
    /// The run that it was taken for with this token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Nobody when it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
}

/// A run that holds a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which.
    pub run: RunId,
    /// The process that took it.
    pub runner: RunnerIdentity,
    /// How.
    pub hold: Hold,
}

/// How a run holds a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Hold {
    /// Its process renews it.
    Held {
        /// When others may take it, unless it is renewed before.
        expires_at: Timestamp,
    },
    /// Its process has ended, and it waits for a person: nobody else may start meanwhile.
    Kept {
        /// What it waits for.
        waiting: Waiting,
    },
}

/// One state of a stored record: an opaque text that differs whenever the record does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(pub String);

/// A place for leases, beside the journals.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Reads a group's lease with its revision; nothing when there never was one.
    ///
    /// # Errors
    /// Refuses damage and newer formats by name.
    async fn read(&self, group: &str) -> Result<Option<(Lease, Revision)>, LockError>;

    /// Writes a lease if what is stored is still `expected` (absent: if nothing is stored). It is durable, and all
    /// others see it, when this returns the new revision. Gives nothing when something else is stored meanwhile.
    ///
    /// # Errors
    /// After an error the lease may or may not be written.
    async fn replace(
        &self,
        lease: &Lease,
        expected: Option<&Revision>,
    ) -> Result<Option<Revision>, LockError>;

    /// Tells for how long a group's lease has stayed as it is, by the one clock of the place that it is kept in: never
    /// more than it has. Nothing where that can't be told.
    async fn unchanged_for(&self, _group: &str) -> Option<Duration> {
        None
    }
}

impl Lease {
    /// Says whether somebody holds the group who can't be looked for from here.
    pub(super) fn is_held_elsewhere(&self, holders: &dyn Holders) -> bool {
        self.holder.as_ref().is_some_and(|holder| match &holder.hold {
            Hold::Held { .. } => holders.liveness(&holder.runner) == Liveness::Elsewhere,
            Hold::Kept { .. } => false,
        })
    }

    /// Says whether this is what `owner` got with `token`: not a later one, nor one from a record that was made
    /// anew after somebody removed the file.
    pub(super) fn is_of(&self, owner: &LockOwner, token: u64) -> bool {
        self.token == token
            && self
                .holder
                .as_ref()
                .is_some_and(|holder| holder.run == owner.run && holder.runner == owner.runner)
    }

    /// Says why `owner` can't have the group now; nothing when it can.
    ///
    /// Of a holder on this machine, whose clock is ours, the lease lasts as long as it says. Of one elsewhere it does
    /// until it has stayed as it is for its length: `left` is what is missing of that.
    pub(super) async fn refuses(
        &self,
        owner: &LockOwner,
        now: Timestamp,
        left: Duration,
        holders: &dyn Holders,
    ) -> Option<LockError> {
        let holder = self.holder.as_ref()?;
        let what = what(&self.group);
        let same_run = holder.run == owner.run;
        match &holder.hold {
            Hold::Held { .. } if same_run && holder.runner == owner.runner => None,
            Hold::Held { expires_at } => {
                let liveness = holders.liveness(&holder.runner);
                let says_it_lasts = now < later(*expires_at, MARGIN);
                let lasts = match liveness {
                    Liveness::Gone => false,
                    Liveness::Alive => says_it_lasts,
                    Liveness::Elsewhere => !left.is_zero(),
                };
                if lasts {
                    let owner =
                        Box::new(LockOwner { run: holder.run.clone(), runner: holder.runner.clone() });
                    // Its own run waits for it in any case, and others when one of the two clocks is wrong.
                    let is_waited_for = same_run || !says_it_lasts;
                    return Some(if liveness == Liveness::Elsewhere && is_waited_for {
                        LockError::Lasting { what, owner, until: later(now, left) }
                    } else {
                        LockError::Held { what, owner: Some(owner) }
                    });
                }
                if same_run {
                    return None;
                }
                // It may have died between writing down that it waits, and keeping its lock for that.
                let waiting = holders.waiting(&holder.run).await.filter(|waiting| !is_over(waiting, now))?;
                Some(LockError::Kept { what, run: holder.run.clone(), waiting })
            }
            Hold::Kept { waiting } if same_run || is_over(waiting, now) => None,
            Hold::Kept { waiting } => {
                Some(LockError::Kept { what, run: holder.run.clone(), waiting: waiting.clone() })
            }
        }
    }
}

/// Gives the lease that follows `before` when `owner` takes the group.
pub(super) fn taken(group: &str, before: Option<&Lease>, owner: &LockOwner, now: Timestamp) -> Lease {
    let token = before.map_or(0, |lease| lease.token) + 1;
    let (group, run) = (group.to_owned(), Some(owner.run.clone()));
    Lease { format: LEASE_FORMAT, group, token, run, holder: Some(held(owner, now)) }
}

/// Gives a holder whose lease is fresh.
pub(super) fn held(owner: &LockOwner, now: Timestamp) -> Holder {
    let (run, runner) = (owner.run.clone(), owner.runner.clone());
    Holder { run, runner, hold: Hold::Held { expires_at: later(now, LASTS) } }
}

/// How a group is called in messages.
pub(in crate::journal) fn what(group: &str) -> String {
    format!("the group `{group}`")
}

fn is_over(waiting: &Waiting, now: Timestamp) -> bool {
    waiting.until().is_some_and(|until| now >= until)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
