//! A journal whose batches are objects of a store, each created only if absent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::super::chain::Batch;
use super::super::{Event, Fence, FileJournal, Journal, JournalError, Lock, Record, RunnerIdentity};
use crate::host::{Body, Clock, Key, ObjectStore, PutMode, StoreErrorKind};
use crate::id::RunId;

pub(super) const EVENTS: &str = "runs/events/";
/// How often a batch is put anew, and how long the longest rest between is: some five minutes, and what the store's own
/// patience takes.
const TRIES: u32 = 24;
const LONGEST_REST: Duration = Duration::from_secs(15);

/// A journal in a store, with a copy in a local file.
pub struct StoreJournal {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    run: RunId,
    copy: FileJournal,
    /// Tells whether the run is still this runner's.
    fence: Arc<dyn Fence>,
    clock: Arc<dyn Clock>,
    /// True from before a write until it is known to be there.
    stopped: Mutex<bool>,
    /// Nobody else writes the copy meanwhile.
    _lock: Lock,
}

impl StoreJournal {
    /// Goes on where the copy ends, which is where the store ends.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        run: RunId,
        copy: FileJournal,
        (fence, clock): (Arc<dyn Fence>, Arc<dyn Clock>),
        lock: Lock,
    ) -> Self {
        let stopped = Mutex::new(false);
        Self { inner: Arc::new(Inner { store, run, copy, fence, clock, stopped, _lock: lock }) }
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
        self.put_patiently(&key, first, &batch).await?;
        let records = self.copy.take(batch).await?;
        *stopped = false;
        Ok(records)
    }

    /// Puts a batch, and puts it again while the store is out of reach and the run surely this runner's: what has gone
    /// on for hours is not to end for a store that is away for half a minute.
    async fn put_patiently(&self, key: &Key, first: u64, batch: &Batch) -> Result<(), JournalError> {
        for tries in 1.. {
            let error = match self.put(key, first, batch).await {
                Ok(()) => break,
                Err(JournalError::Store(error)) if error.kind == StoreErrorKind::Unavailable => error,
                Err(error) => return Err(error),
            };
            if tries >= TRIES {
                return Err(error.into());
            }
            if tries == 1 {
                tracing::warn!("{error}; tried again for as long as the run is surely this runner's");
            }
            self.clock.sleep(LONGEST_REST.min(Duration::from_secs(1 << tries.min(10)))).await;
            if let Err(lost) = self.fence.check().await {
                tracing::warn!("{lost}");
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn put(&self, key: &Key, first: u64, batch: &Batch) -> Result<(), JournalError> {
        let bytes = Bytes::copy_from_slice(&batch.bytes);
        match self.store.put(key, Body::from_bytes(bytes), PutMode::IfAbsent).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == StoreErrorKind::AlreadyExists => {
                match super::read(self.store.as_ref(), key).await? {
                    // The answer to a write of ours got lost. Nobody else writes the same: a runner that takes over
                    // begins with an event that names it.
                    Some(there) if there == batch.bytes => Ok(()),
                    Some(there) => Err(self.taken_over(first, &there, batch)),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says who wrote the event that this runner wanted to write.
    fn taken_over(&self, seq: u64, theirs: &[u8], ours: &Batch) -> JournalError {
        let lines = ours.begin.read(theirs).ok();
        let by = lines.and_then(|lines| lines.records.into_iter().find_map(|record| runner_in(record.event)));
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
