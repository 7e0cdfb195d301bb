//! A journal whose batches are objects of a store, each created only if absent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::super::chain::Batch;
use super::super::{Event, FileJournal, Journal, JournalError, Lock, Record, RunnerIdentity};
use crate::host::{Body, Key, ObjectStore, PutMode, StoreErrorKind};
use crate::id::RunId;

pub(super) const EVENTS: &str = "runs/events/";

/// A journal in a store, with a copy in a local file.
pub struct StoreJournal {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    run: RunId,
    copy: FileJournal,
    /// True from before a write until it is known to be there.
    stopped: Mutex<bool>,
    /// Nobody else writes the copy meanwhile.
    _lock: Lock,
}

impl StoreJournal {
    /// Goes on where the copy ends, which is where the store ends.
    pub(super) fn new(store: Arc<dyn ObjectStore>, run: RunId, copy: FileJournal, lock: Lock) -> Self {
        let stopped = Mutex::new(false);
        Self { inner: Arc::new(Inner { store, run, copy, stopped, _lock: lock }) }
    }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn append(&self, events: &[Event]) -> Result<Vec<Record>, JournalError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (inner, events) = (Arc::clone(&self.inner), events.to_vec());
        // Runs to its end even when the caller goes away, so that the copy is not behind the store.
        match tokio::spawn(async move { inner.append(events).await }).await {
            Ok(result) => result,
            Err(error) => Err(self.inner.copy.failed("write", std::io::Error::other(error))),
        }
    }

    async fn read(&self) -> Result<Vec<Record>, JournalError> {
        self.inner.copy.read().await
    }
}

impl Inner {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Record>, JournalError> {
        let mut stopped = self.stopped.lock().await;
        if *stopped {
            return Err(self.copy.stopped());
        }
        let batch = self.copy.encode(events)?;
        let Some(first) = batch.records.first().map(|record| record.seq) else { return Ok(Vec::new()) };
        let key = batch_key(&self.run, first)
            .map_err(|error| self.copy.failed("write", std::io::Error::other(error)))?;
        // After a failure nobody knows whether the store has it: what comes next could follow nothing.
        *stopped = true;
        let bytes = Bytes::copy_from_slice(&batch.bytes);
        if let Err(error) = self.store.put(&key, Body::from_bytes(bytes), PutMode::IfAbsent).await {
            return Err(match error.kind {
                StoreErrorKind::AlreadyExists => self.taken_over(&key, first, &batch).await,
                _ => error.into(),
            });
        }
        let records = self.copy.take(batch).await?;
        *stopped = false;
        Ok(records)
    }

    /// Says who wrote the event that this runner wanted to write.
    async fn taken_over(&self, key: &Key, seq: u64, ours: &Batch) -> JournalError {
        let theirs = super::read(self.store.as_ref(), key).await.ok().flatten();
        let by = theirs
            .and_then(|bytes| ours.begin.read(&bytes).ok())
            .and_then(|lines| lines.records.into_iter().find_map(|record| runner_in(record.event)));
        JournalError::TakenOver { run: self.run.clone(), seq, by: by.map(Box::new) }
    }
}

fn runner_in(event: Event) -> Option<RunnerIdentity> {
    match event {
        Event::RunStarted { runner, .. } | Event::RunResumed { runner, .. } => Some(runner),
        _ => None,
    }
}

pub(super) fn batch_key(run: &RunId, first: u64) -> Result<Key, crate::host::KeyError> {
    Key::new(format!("{EVENTS}{run}/{first:012}.jsonl"))
}
