//! Steps' own words, kept beside the journal.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::Clock;
use crate::id::StepId;
use crate::journal::RunDirectory;

/// The most one step's log may hold in one process; what comes after is left out, and the log says so.
const LOG_LIMIT_BYTES: usize = 16 << 20;
/// Longer lines are cut.
const LINE_LIMIT_BYTES: usize = 8 << 10;

/// Keeps lines that steps log. Secrets are masked before. Losing one must not fail a run, so nothing is returned.
pub trait StepLogs: Send + Sync {
    /// Keeps a line.
    fn line(&self, step: &StepId, line: &str);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLogs;

impl StepLogs for NoLogs {
    fn line(&self, _: &StepId, _: &str) {}
}

/// Writes `logs/<step>.log` in a run's directory: time and text, bounded in all directions.
pub struct FileLogs {
    run: RunDirectory,
    clock: Arc<dyn Clock>,
    open: Mutex<BTreeMap<StepId, Log>>,
}

struct Log {
    /// None when it can't be written: the journal and the observer still have what counts.
    file: Option<File>,
    left_bytes: usize,
}

impl FileLogs {
    /// Writes into this run's directory.
    pub fn new(run: RunDirectory, clock: Arc<dyn Clock>) -> Self {
        Self { run, clock, open: Mutex::default() }
    }
}

impl StepLogs for FileLogs {
    fn line(&self, step: &StepId, line: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let log = open.entry(step.clone()).or_insert_with(|| Log {
            file: OpenOptions::new().create(true).append(true).open(self.run.log_path(step)).ok(),
            left_bytes: LOG_LIMIT_BYTES,
        });
        let now = self.clock.now();
        for line in line.lines() {
            let cut = line.floor_char_boundary(LINE_LIMIT_BYTES);
            let more = if cut < line.len() { " …" } else { "" };
            log.write(&format!("{now} {}{more}\n", &line[..cut]));
        }
    }
}

impl Log {
    fn write(&mut self, text: &str) {
        let Some(file) = &mut self.file else { return };
        if let Some(left) = self.left_bytes.checked_sub(text.len()) {
            self.left_bytes = left;
            if file.write_all(text.as_bytes()).is_ok() {
                return;
            }
        } else {
            let _ = file.write_all(b"the log is full: what follows is left out\n");
        }
        self.file = None;
    }
}
