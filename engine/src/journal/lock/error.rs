//! Why a lock can't be had.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{LEASE_FORMAT, LockOwner, Waiting};
use crate::host::StoreError;
use crate::id::RunId;

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{what} is locked: {}", describe(owner.as_deref()))]
    Held {
        /// `the group recover/production`, `the run 2026…`.
        what: String,
        /// Who, when the lock tells.
        owner: Option<Box<LockOwner>>,
    },
    /// A runner on another machine has it, which may be gone.
    #[error("{what} is locked: pid {} on host {} drives the run {}, or did; its lease lasts until {until:.0}", owner.runner.pid, owner.runner.host, owner.run)]
    Lasting {
        /// As above.
        what: String,
        /// Who.
        owner: Box<LockOwner>,
        /// When it can be taken, by this machine's clock, unless it is renewed before.
        until: Timestamp,
    },
    /// A run keeps it while it waits for a person.
    #[error("{what} is locked: run {run} keeps it while it waits for {}", waiting.describe())]
    Kept {
        /// As above.
        what: String,
        /// Which run.
        run: RunId,
        /// For what.
        waiting: Waiting,
    },
    /// The operator stopped waiting.
    #[error("stopped waiting for {what}")]
    Cancelled {
        /// What was waited for.
        what: String,
    },
    /// The record of a lock is not what was written.
    #[error("the lock file {} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer version of the program wrote it.
    #[error(
        "the lock file {} has format {found}, and this version reads formats up to {LEASE_FORMAT}",
        path.display()
    )]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The store of the locks said no.
    #[error("failed to lock {what}: {source}")]
    Store {
        /// What was to be locked.
        what: String,
        /// What it said.
        source: StoreError,
    },
    /// The file system said no.
    #[error("failed to lock {what} with {}: {source}", path.display())]
    Io {
        /// What was to be locked.
        what: String,
        /// The lock file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl LockError {
    /// Says what to do.
    pub fn help(&self) -> String {
        match self {
            Self::Held { owner: Some(owner), .. } => {
                format!("wait for that run, or cancel it with `rekindle cancel {}`", owner.run)
            }
            Self::Held { owner: None, .. } => {
                "wait for that run, or cancel it with `rekindle cancel RUN`".to_owned()
            }
            Self::Lasting { .. } => {
                "if that machine is gone, its lease is not renewed any more, and this runner takes over then"
                    .to_owned()
            }
            Self::Kept { run, waiting, .. } => waiting.help(run),
            Self::Cancelled { .. } => "nothing was begun".to_owned(),
            Self::Damaged { .. } => {
                "make sure that no run of this group goes on (`rekindle runs list`), then \
                 remove the file"
                    .to_owned()
            }
            Self::NewerFormat { .. } => "use the version that wrote it, or a newer one".to_owned(),
            Self::Store { .. } => "bring the store within reach, then try again".to_owned(),
            Self::Io { .. } => "make the state directory writable: is the disk full?".to_owned(),
        }
    }

    pub(in crate::journal) fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let (what, path) = (what.to_owned(), path.to_owned());
        move |source| Self::Io { what, path, source }
    }
}

fn describe(owner: Option<&LockOwner>) -> String {
    owner.map_or_else(
        || "another process holds it".to_owned(),
        |LockOwner { run, runner }| {
            format!("run {run} of pid {} on host {} holds it", runner.pid, runner.host)
        },
    )
}
