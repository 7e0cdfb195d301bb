//! A journal in memory, for tests: it can die after any event.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Event, Journal, JournalError, Record};
use crate::host::Clock;

/// Keeps records in memory. Clones of its records outlive it, as a disk outlives a process.
pub struct MemoryJournal {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    records: Vec<Record>,
    dies_after: Option<usize>,
}

impl MemoryJournal {
    /// Makes an empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, Vec::new())
    }

    /// Makes one that holds what an earlier process left.
    pub fn with(clock: Arc<dyn Clock>, records: Vec<Record>) -> Self {
        Self { clock, state: Mutex::new(State { records, dies_after: None }) }
    }

    /// Lets the journal take events until it holds `count` records; everything after fails, as if the process
    /// had died there.
    #[must_use]
    pub fn fail_after(self, count: usize) -> Self {
        self.locked().dies_after = Some(count);
        self
    }

    /// Gives what is durable.
    pub fn records(&self) -> Vec<Record> {
        self.locked().records.clone()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        let at = self.clock.now();
        let mut state = self.locked();
        let mut added = Vec::new();
        for event in events {
            if state.dies_after.is_some_and(|count| state.records.len() >= count) {
                let dead = io::Error::other("the journal died, as the test wanted");
                return Err(JournalError::Io {
                    path: PathBuf::from("memory"),
                    operation: "write",
                    source: dead,
                });
            }
            let record = Record { seq: state.records.len() as u64 + 1, at, event: event.clone() };
            state.records.push(record.clone());
            added.push(record);
        }
        Ok(added)
    }

    async fn read(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.records())
    }
}
