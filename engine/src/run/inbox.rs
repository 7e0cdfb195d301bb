//! Answers from other processes: a folder in the run's directory.
//!
//! Receives the answers that `rekindle approve` and `reject` leave while another process drives the run and so holds
//! its lock; yields them to that process, which checks them, journals them, and takes the file away. Only the
//! journal counts: an answer that stays in the folder is none.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Approvals, Awaited, Verdict};
use crate::host::Clock;
use crate::journal::RunDirectory;

/// How often the folder is looked into while a step waits for approval.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// An answer is far smaller; more is not ours.
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024;
/// More people than that don't answer at once.
const MOST_ANSWERS: usize = 100;

/// The answers that wait for the process that drives a run.
#[derive(Debug, Clone)]
pub struct Inbox {
    folder: PathBuf,
}

/// Why an answer can't be left.
#[derive(Debug, thiserror::Error)]
#[error("failed to leave the answer in {}: {source}", path.display())]
pub struct InboxError {
    path: PathBuf,
    source: io::Error,
}

/// An answer that was left.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
}

impl Left {
    /// Says whether nobody has taken it yet.
    pub fn waits(&self) -> bool {
        self.path.exists()
    }

    /// Takes it back; false when it had been taken.
    pub fn withdraw(self) -> bool {
        std::fs::remove_file(self.path).is_ok()
    }
}

impl Inbox {
    /// Names the folder; it is made when there is something to put into it.
    pub fn of(run: &RunDirectory) -> Self {
        Self { folder: run.approvals_path() }
    }

    /// Leaves an answer, whole or not at all. One process leaves one answer at a time.
    pub fn put(&self, verdict: &Verdict) -> Result<Left, InboxError> {
        let path = self.folder.join(format!("{}.json", std::process::id()));
        let failed = |source| InboxError { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let unfinished = path.with_extension("new");
        let text = serde_json::to_vec(verdict).map_err(|error| failed(io::Error::other(error)))?;
        File::create(&unfinished).and_then(|mut file| file.write_all(&text)).map_err(failed)?;
        std::fs::rename(&unfinished, &path).map_err(failed)?;
        Ok(Left { path })
    }

    /// Reads what was left. What can't be read is passed over: it is not ours.
    fn look(&self) -> Vec<(PathBuf, Verdict)> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: PathBuf| Some((read(&path)?, path)).map(|(verdict, path)| (path, verdict));
        paths.into_iter().take(MOST_ANSWERS).filter_map(read).collect()
    }
}

fn read(path: &Path) -> Option<Verdict> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(ANSWER_LIMIT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Hears what other processes leave in the folder; nobody answers here.
pub struct InboxApprovals {
    inbox: Inbox,
    clock: Arc<dyn Clock>,
}

impl InboxApprovals {
    /// Listens to this folder.
    pub fn new(inbox: Inbox, clock: Arc<dyn Clock>) -> Self {
        Self { inbox, clock }
    }
}

#[async_trait]
impl Approvals for InboxApprovals {
    fn attended(&self, _: &[Awaited]) -> bool {
        false
    }

    async fn next(&self, awaited: &[Awaited]) -> Option<Verdict> {
        loop {
            for (path, verdict) in self.inbox.look() {
                let open =
                    |awaited: &Awaited| (&awaited.step, awaited.request) == (&verdict.step, verdict.request);
                if awaited.iter().any(open) {
                    return Some(verdict);
                }
                // To a question that is closed. Whoever left it sees that it is gone, and that the journal has none.
                let _ = std::fs::remove_file(path);
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    fn settled(&self, verdict: &Verdict, _: Result<(), &str>) {
        for (path, left) in self.inbox.look() {
            if left == *verdict {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}
