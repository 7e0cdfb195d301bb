//! A journal in a local file: one line a record, synced before it is confirmed.
//!
//! A torn last line is dropped and any other damage is refused. Whole lines missing at the end look like an earlier
//! crash (decision 0013).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::chain::{Batch, Position};
use super::line::LineError;
use super::{Event, Journal, JournalError, Record};
use crate::host::Clock;

/// A journal in a local file. The run's lock must be held: two writers would break each other's chain.
pub struct FileJournal {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    tail: Arc<Mutex<Tail>>,
}

/// The end of the file, where the next line goes.
struct Tail {
    file: File,
    position: Position,
    stopped: bool,
}

/// What stands in a journal file.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBack {
    /// The records, all proven by the chain.
    pub records: Vec<Record>,
    /// Bytes after the last whole line: a write that a crash cut short. They were never confirmed.
    pub torn_bytes: u64,
    whole_bytes: u64,
    end: Position,
}

impl FileJournal {
    /// Makes a new, empty journal, and makes its name durable.
    ///
    /// # Errors
    /// Also when the file is there already: a journal is never overwritten.
    pub fn create(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let path = path.into();
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(JournalError::io(&path, "create"))?;
        file.sync_all().map_err(JournalError::io(&path, "sync"))?;
        sync_parent(&path).map_err(JournalError::io(&path, "sync"))?;
        Ok(Self::at(path, clock, Tail { file, position: Position::START, stopped: false }))
    }

    /// Opens a journal to go on with it: verifies every line, and cuts off a torn last one.
    ///
    /// # Errors
    /// Refuses damage by name, and newer formats; the file is then left as it is.
    pub fn open(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let path = path.into();
        let found = Self::look(&path)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(JournalError::io(&path, "open"))?;
        if found.torn_bytes > 0 {
            file.set_len(found.whole_bytes).map_err(JournalError::io(&path, "truncate"))?;
            file.sync_all().map_err(JournalError::io(&path, "sync"))?;
        }
        Ok(Self::at(path, clock, Tail { file, position: found.end, stopped: false }))
    }

    /// Reads a journal without changing it, also while another process writes it.
    ///
    /// # Errors
    /// As [`FileJournal::open`].
    pub fn look(path: impl AsRef<Path>) -> Result<ReadBack, JournalError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(JournalError::io(path, "read"))?;
        read_back(path, &bytes)
    }

    /// Encodes events for the place where the file ends.
    pub(super) fn encode(&self, events: Vec<Event>) -> Result<Batch, JournalError> {
        locked(&self.tail).encode(&self.path, self.clock.now(), events)
    }

    /// Writes what was encoded for its end; nothing else may have been written meanwhile.
    pub(super) async fn take(&self, batch: Batch) -> Result<Vec<Record>, JournalError> {
        let (path, tail) = (self.path.clone(), Arc::clone(&self.tail));
        run_blocking(&self.path, "write", move || {
            locked(&tail).take(&path, &batch)?;
            Ok(batch.records)
        })
        .await
    }

    /// Says why nothing more can be written.
    pub(super) fn stopped(&self) -> JournalError {
        JournalError::Stopped { path: self.path.clone() }
    }

    /// Says that an operation failed.
    pub(super) fn failed(&self, operation: &'static str, source: io::Error) -> JournalError {
        JournalError::io(&self.path, operation)(source)
    }

    /// Puts a file in the place of the real one, such as a full disk.
    #[cfg(test)]
    pub(super) fn writing_to(self, file: File) -> Self {
        locked(&self.tail).file = file;
        self
    }

    fn at(path: PathBuf, clock: Arc<dyn Clock>, tail: Tail) -> Self {
        Self { path, clock, tail: Arc::new(Mutex::new(tail)) }
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (path, tail, events, at) =
            (self.path.clone(), Arc::clone(&self.tail), events.to_vec(), self.clock.now());
        // Runs to its end even when the caller goes away, so the tail never lies about the file.
        run_blocking(&self.path, "write", move || locked(&tail).append(&path, at, events)).await
    }

    async fn read(&self) -> Result<Vec<Record>, JournalError> {
        let (path, tail) = (self.path.clone(), Arc::clone(&self.tail));
        run_blocking(&self.path, "read", move || {
            let _no_writer = locked(&tail);
            Ok(Self::look(&path)?.records)
        })
        .await
    }
}

impl Tail {
    fn append(
        &mut self,
        path: &Path,
        at: jiff::Timestamp,
        events: Vec<Event>,
    ) -> Result<Vec<Record>, JournalError> {
        let batch = self.encode(path, at, events)?;
        self.take(path, &batch)?;
        Ok(batch.records)
    }

    fn encode(&self, path: &Path, at: jiff::Timestamp, events: Vec<Event>) -> Result<Batch, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped { path: path.to_owned() });
        }
        let unwritable = |error| JournalError::io(path, "write")(io::Error::other(error));
        self.position.encode(at, events).map_err(unwritable)
    }

    /// Writes a batch that was encoded for this place.
    fn take(&mut self, path: &Path, batch: &Batch) -> Result<(), JournalError> {
        // Until the sync is confirmed nobody knows what stands there: a failure is final.
        self.stopped = true;
        self.file.write_all(&batch.bytes).map_err(JournalError::io(path, "write"))?;
        self.file.sync_data().map_err(JournalError::io(path, "sync"))?;
        (self.position, self.stopped) = (batch.end, false);
        Ok(())
    }
}

pub(super) fn read_back(path: &Path, bytes: &[u8]) -> Result<ReadBack, JournalError> {
    let lines = Position::START.read(bytes).map_err(|(line, error)| damage(path, line, error))?;
    let (torn_bytes, whole_bytes) = ((bytes.len() - lines.whole_bytes) as u64, lines.whole_bytes as u64);
    Ok(ReadBack { records: lines.records, torn_bytes, whole_bytes, end: lines.end })
}

/// Says of which journal a line is wrong.
pub(super) fn damage(path: &Path, line: u64, error: LineError) -> JournalError {
    match error {
        LineError::Damaged(why) => JournalError::Damaged { path: path.to_owned(), line, why },
        LineError::NewerFormat(found) => JournalError::NewerFormat { path: path.to_owned(), found },
    }
}

/// Makes a new name in the folder of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn locked(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run_blocking<T: Send + 'static>(
    path: &Path,
    operation: &'static str,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(JournalError::io(path, operation)(io::Error::other(error))),
    }
}
