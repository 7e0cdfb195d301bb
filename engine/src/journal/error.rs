//! What can be wrong with a journal.

use std::path::{Path, PathBuf};

use super::{JOURNAL_FORMAT, RunnerIdentity};
use crate::host::StoreError;
use crate::id::RunId;

/// Why a journal can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("failed to {operation} the journal {}: {source}", path.display())]
    Io {
        /// Which journal.
        path: PathBuf,
        /// `create`, `open`, `read`, `write`, `sync`, `truncate`.
        operation: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// Something else than a torn last line is wrong with it: it is not safe to go on from it.
    #[error("the journal {} is damaged at line {line}: {why}", path.display())]
    Damaged {
        /// Which journal.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with the line.
        why: String,
    },
    /// A newer version of the program wrote it.
    #[error(
        "the journal {} has format {found}, and this version reads formats up to {JOURNAL_FORMAT}: \
         use the version that wrote it, or a newer one",
        path.display()
    )]
    NewerFormat {
        /// Which journal.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// An earlier write failed, so what stands at its end is not known.
    #[error("the journal {} can't be written any more after an earlier failure", path.display())]
    Stopped {
        /// Which journal.
        path: PathBuf,
    },
    /// The store of the journal said no.
    #[error("the journal can't be kept: {0}")]
    Store(#[from] StoreError),
    /// Another runner drives the run by now.
    #[error("the run {run} was taken over{}: it has an event {seq} that this runner did not write", by_whom(by.as_deref()))]
    TakenOver {
        /// Which run.
        run: RunId,
        /// The number of the event.
        seq: u64,
        /// Who wrote it, where that can be told.
        by: Option<Box<RunnerIdentity>>,
    },
    /// The store lacks events that this machine knows to be confirmed.
    #[error(
        "{store} has lost events of the run {run}: this machine has {last} of them, and the store other ones or fewer"
    )]
    Lost {
        /// Which run.
        run: RunId,
        /// The store's URL.
        store: String,
        /// The number of the last event that is known here.
        last: u64,
    },
}

fn by_whom(by: Option<&RunnerIdentity>) -> String {
    by.map_or_else(String::new, |by| format!(" by pid {} on host {}", by.pid, by.host))
}

impl JournalError {
    /// Says what to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } | Self::Stopped { .. } => {
                Some("make the state directory writable (is the disk full?), then resume the run")
            }
            Self::Damaged { .. } => {
                Some("put back a copy of the journal, or start a new run: nobody can tell what was done")
            }
            Self::Store(_) => Some("bring the store within reach, then resume the run"),
            Self::TakenOver { .. } => Some(
                "this runner stopped at once and destroyed nothing more; `rekindle runs show` tells how the run goes on",
            ),
            Self::Lost { .. } => Some(
                "bring the objects back (a versioned bucket has them), or start a new run: nobody can tell what was done",
            ),
            Self::NewerFormat { .. } => None,
        }
    }

    pub(super) fn io(path: &Path, operation: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, operation, source }
    }
}
