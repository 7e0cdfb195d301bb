//! Advisory locks: one runner for a concurrency group, one process for a run directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{RunnerIdentity, file_name};
use crate::host::Clock;
use crate::id::RunId;
use crate::runbook::OnConflict;

/// How often a waiting runner looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// An owner's JSON is far smaller; more is not ours.
const OWNER_LIMIT_BYTES: u64 = 16 * 1024;

/// Who holds a lock; stands in the lock file for the message to the one who comes second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    /// The run it is held for.
    pub run: RunId,
    /// The process that holds it.
    pub runner: RunnerIdentity,
}

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{what} is locked: {}", describe(owner.as_deref()))]
    Held {
        /// `the group recover/production`, `the run 2026…`.
        what: String,
        /// Who, when the lock file tells.
        owner: Option<Box<LockOwner>>,
    },
    /// The operator stopped waiting.
    #[error("stopped waiting for {what}")]
    Cancelled {
        /// What was waited for.
        what: String,
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

fn describe(owner: Option<&LockOwner>) -> String {
    owner.map_or_else(
        || "another process holds it".to_owned(),
        |LockOwner { run, runner }| {
            format!("run {run} of pid {} on host {} holds it", runner.pid, runner.host)
        },
    )
}

/// A lock that is held until it is dropped, or until the process ends in any way.
///
/// The kernel's `flock` is the lock; the file's content only says who has it. The file goes away on release.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// A concurrency group to lock.
pub struct GroupLock<'a> {
    /// `<state>/locks`.
    pub folder: &'a Path,
    /// The group's name, any text.
    pub group: &'a str,
    /// What to do when it is taken.
    pub on_conflict: OnConflict,
    /// Who wants it.
    pub owner: &'a LockOwner,
}

impl Lock {
    /// Takes a group's lock; with [`OnConflict::Wait`] it waits, telling `on_wait` once for whom.
    pub async fn acquire(
        wanted: GroupLock<'_>,
        clock: Arc<dyn Clock>,
        cancel: &CancellationToken,
        on_wait: impl Fn(&LockError),
    ) -> Result<Self, LockError> {
        let what = format!("the group `{}`", wanted.group);
        let path = wanted.folder.join(format!("{}.lock", file_name(wanted.group)));
        std::fs::create_dir_all(wanted.folder).map_err(io_error(&what, &path))?;
        let mut told = false;
        loop {
            let held = match Self::try_acquire(&path, &what, wanted.owner) {
                Err(held @ LockError::Held { .. }) => held,
                other => return other,
            };
            match wanted.on_conflict {
                OnConflict::Fail => return Err(held),
                OnConflict::Wait => {
                    if !std::mem::replace(&mut told, true) {
                        on_wait(&held);
                    }
                    tokio::select! {
                        () = cancel.cancelled() => return Err(LockError::Cancelled { what }),
                        () = clock.sleep(LOOK_AGAIN) => {}
                    }
                }
            }
        }
    }

    /// Takes a lock file now, or says who has it. `what` names it in messages.
    pub fn try_acquire(path: &Path, what: &str, owner: &LockOwner) -> Result<Self, LockError> {
        let fail = || io_error(what, path);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(fail())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { what: what.to_owned(), owner: read_owner(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(fail()(error)),
            }
            // Its last holder may have removed the file between our open and our lock; then what we hold is
            // nobody's name any more, and the next one would make, and lock, another file.
            if is_still_named(&file, path).map_err(fail())? {
                write_owner(&mut file, owner).map_err(fail())?;
                return Ok(Self { file, path: path.to_owned() });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while held, so nobody else's file can be hit. Both failures leave a file that locks nothing.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn is_still_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_owner(file: &mut File, owner: &LockOwner) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(owner)?)
}

fn read_owner(file: &mut File) -> Option<Box<LockOwner>> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(OWNER_LIMIT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn io_error(what: &str, path: &Path) -> impl FnOnce(io::Error) -> LockError {
    let (what, path) = (what.to_owned(), path.to_owned());
    move |source| LockError::Io { what, path, source }
}
