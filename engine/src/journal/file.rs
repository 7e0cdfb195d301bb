//! A journal in a local file: one line a record, synced before it is confirmed.
//!
//! A torn last line is dropped and any other damage is refused. Whole lines missing at the end look like an earlier
//! crash (decision 0013).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::line::{self, LineError, Sum};
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
    next_seq: u64,
    sum: Sum,
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
    sum: Sum,
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
        Ok(Self::at(path, clock, Tail { file, next_seq: 1, sum: Sum::START, stopped: false }))
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
        let next_seq = found.records.last().map_or(1, |record| record.seq + 1);
        Ok(Self::at(path, clock, Tail { file, next_seq, sum: found.sum, stopped: false }))
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
        if self.stopped {
            return Err(JournalError::Stopped { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        let mut records = Vec::with_capacity(events.len());
        let (mut sum, mut seq) = (self.sum, self.next_seq);
        for event in events {
            let record = Record { seq, at, event };
            let (line, next) = line::encode(sum, &record)
                .map_err(|error| JournalError::io(path, "write")(io::Error::other(error)))?;
            bytes.extend_from_slice(&line);
            (sum, seq) = (next, seq + 1);
            records.push(record);
        }
        // Until the sync is confirmed nobody knows what stands there: a failure is final.
        self.stopped = true;
        self.file.write_all(&bytes).map_err(JournalError::io(path, "write"))?;
        self.file.sync_data().map_err(JournalError::io(path, "sync"))?;
        (self.sum, self.next_seq, self.stopped) = (sum, seq, false);
        Ok(records)
    }
}

pub(super) fn read_back(path: &Path, bytes: &[u8]) -> Result<ReadBack, JournalError> {
    let (mut records, mut sum, mut whole_bytes) = (Vec::new(), Sum::START, 0);
    for (index, line) in (1_u64..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        // No newline, so the write did not finish and was never confirmed.
        let Some(content) = line.strip_suffix(b"\n") else { break };
        let (record, next) = line::decode(sum, index, content).map_err(|error| match error {
            LineError::Damaged(why) => JournalError::Damaged { path: path.to_owned(), line: index, why },
            LineError::NewerFormat(found) => JournalError::NewerFormat { path: path.to_owned(), found },
        })?;
        records.push(record);
        sum = next;
        whole_bytes += line.len();
    }
    let (torn_bytes, whole_bytes) = ((bytes.len() - whole_bytes) as u64, whole_bytes as u64);
    Ok(ReadBack { records, torn_bytes, whole_bytes, sum })
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
