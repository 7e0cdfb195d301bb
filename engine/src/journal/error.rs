//! What can be wrong with a journal.

use std::path::{Path, PathBuf};

use super::JOURNAL_FORMAT;

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
}

impl JournalError {
    pub(super) fn io(path: &Path, operation: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, operation, source }
    }
}
