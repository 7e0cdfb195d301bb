//! What a promised window needs: backups and how far back something was promised in, which of them it stands on out.
//! Pure.
//!
//! A point in time is reached from the last backup before it. So a window stands on the newest backup at or before its
//! start. As time passes, the next one takes that place: the oldest inside the window, which therefore stays too.
//! Without it nothing between would be left, and the window would stand on an ever older backup, with ever more binary
//! logs to keep and to replay.
//!
//! That is so for each kind of backup, since a recovery starts from one kind, and once more for the verified ones,
//! since a recovery takes only those unless told otherwise; a backup of less than everything is no start. A kind of which none was made inside the window is no
//! longer in use, and keeps nothing here while there is another.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rekindle_engine::values::DurationText;

use super::{Candidate, Standing};
use crate::manifest::BackupKind;

/// How far back something was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How far back from now.
    pub length: DurationText,
    /// What.
    pub promise: Promise,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Any point in time, by archived binary logs.
    BinaryLogs,
    /// A recovery that meets the RTO: `objectives.recovery_window`.
    Recovery,
}

impl Window {
    /// Gives its start (UTC).
    pub fn start(&self, now: Timestamp) -> Timestamp {
        let length = SignedDuration::try_from(self.length.0).unwrap_or(SignedDuration::MAX);
        now.checked_sub(length).unwrap_or(Timestamp::MIN)
    }

    /// Gives the point of the oldest backup that it stands on: binary logs are needed from there on. Nothing when all
    /// backups are younger than its start.
    pub fn stands_on(&self, backups: &[Candidate], now: Timestamp) -> Option<Timestamp> {
        let start = self.start(now);
        let backups: Vec<&Candidate> = backups.iter().collect();
        let newest = |group: Group| {
            backups
                .iter()
                .filter(|backup| group.has(backup) && backup.at <= start)
                .map(|backup| backup.at)
                .max()
        };
        groups(&backups, start).into_iter().filter_map(newest).min()
    }
}

impl fmt::Display for Window {
    /// Writes it as the reasons word it: `14d of binary logs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.promise {
            Promise::BinaryLogs => write!(f, "{} of binary logs", self.length),
            Promise::Recovery => write!(f, "recovery window of {}", self.length),
        }
    }
}

/// Backups that stand for each other in a recovery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    kind: BackupKind,
    verified: bool,
}

impl Group {
    /// Tells whether a backup is one of it, and can be restored as far as is known.
    pub(super) fn has(self, backup: &Candidate) -> bool {
        backup.series.as_ref().is_some_and(|series| series.kind == self.kind && series.covers.is_whole())
            && match backup.standing {
                Standing::Verified => true,
                Standing::Unverified => !self.verified,
                Standing::Failed | Standing::Damaged | Standing::Archived | Standing::Denied => false,
            }
    }
}

/// Gives the groups that a window which begins at `start` stands on.
pub(super) fn groups(backups: &[&Candidate], start: Timestamp) -> Vec<Group> {
    let kinds = [BackupKind::Logical, BackupKind::Physical];
    let is_in_use = |kind: &BackupKind| {
        let usable = Group { kind: *kind, verified: false };
        backups.iter().any(|backup| usable.has(backup) && backup.at > start)
    };
    let in_use: Vec<_> = kinds.into_iter().filter(is_in_use).collect();
    let kinds = if in_use.is_empty() { kinds.to_vec() } else { in_use };
    kinds.into_iter().flat_map(|kind| [false, true].map(|verified| Group { kind, verified })).collect()
}
