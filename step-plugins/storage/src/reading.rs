//! Reading objects back for proof: sizes and checksums, in bounded memory, with progress and cancellation.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rekindle_backup::manifest::ObjectEntry;
use rekindle_engine::host::{Body, Key, ObjectStore, StoreErrorKind};
use rekindle_engine::id::StepId;
use rekindle_engine::step::{Progress, Reporter, StepContext, StepError};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// Progress is told once per so many bytes.
const REPORT_BYTES: u64 = 1 << 20;

/// Counts the bytes of a step that reads, and knows when to stop. Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct Meter {
    reporter: Arc<dyn Reporter>,
    step: StepId,
    cancel: CancellationToken,
    total_bytes: u64,
    done_bytes: Arc<AtomicU64>,
}

impl Meter {
    pub(crate) fn new(cx: &StepContext, total_bytes: u64) -> Self {
        Self {
            reporter: cx.reporter(),
            step: cx.step().clone(),
            cancel: cx.cancel().clone(),
            total_bytes,
            done_bytes: Arc::default(),
        }
    }

    /// Counts bytes and tells about it now and then.
    pub(crate) fn add(&self, bytes: usize, note: &str) {
        let before = self.done_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = before + bytes as u64;
        if before / REPORT_BYTES != after / REPORT_BYTES || after == self.total_bytes {
            self.reporter.progress(
                &self.step,
                Progress { bytes: after, total_bytes: Some(self.total_bytes), note: note.to_owned() },
            );
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits for work, or ends it when the step should stop.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(StepError::cancelled()),
            done = work => done,
        }
    }
}

/// What the bytes of an object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { size_bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) }
    }

    /// Says what differs from what was promised; nothing when nothing does.
    pub(crate) fn differs_from(&self, promised: &ObjectEntry) -> Option<String> {
        if self.size_bytes != promised.size_bytes {
            let (is, was) = (self.size_bytes, promised.size_bytes);
            Some(format!("`{}` has {is} bytes, but {was} were written", promised.name))
        } else if self.sha256 != promised.sha256 {
            Some(format!(
                "`{}` is damaged: its sha256 is {}, but {} was written",
                promised.name, self.sha256, promised.sha256
            ))
        } else {
            None
        }
    }
}

/// Hashes as bytes pass by.
#[derive(Default)]
pub(crate) struct Hasher {
    hash: Sha256,
    size_bytes: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Digest {
        Digest { size_bytes: self.size_bytes, sha256: hex::encode(self.hash.finalize()) }
    }
}

/// Reads an object whole and gives its digest; `None` when it is not there.
pub(crate) async fn digest(
    store: &dyn ObjectStore,
    key: &Key,
    meter: &Meter,
) -> Result<Option<Digest>, StepError> {
    let reading = async {
        let Some(mut body) = open(store, key).await? else { return Ok(None) };
        let mut hasher = Hasher::default();
        while let Some(chunk) = next(&mut body, store, key).await? {
            hasher.update(&chunk);
            meter.add(chunk.len(), key.as_str());
        }
        Ok(Some(hasher.finish()))
    };
    meter.unless_cancelled(reading).await
}

/// Opens an object; `None` when it is not there.
pub(crate) async fn open(store: &dyn ObjectStore, key: &Key) -> Result<Option<Body>, StepError> {
    match store.get(key, None).await {
        Ok(body) => Ok(Some(body)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn next(body: &mut Body, store: &dyn ObjectStore, key: &Key) -> Result<Option<Bytes>, StepError> {
    body.next().await.map_err(|error| broken(store, key, &error))
}

/// A stream that breaks off may be whole next time: what is on disk is judged by its bytes.
pub(crate) fn broken(store: &dyn ObjectStore, key: &Key, error: &io::Error) -> StepError {
    StepError::transient(format!("failed to read `{key}` in {}: {error}", store.url()))
}

/// Reads a small object; `None` when it is not there.
pub(crate) async fn read_small(
    store: &dyn ObjectStore,
    key: &Key,
    limit: usize,
) -> Result<Option<Vec<u8>>, StepError> {
    let Some(body) = open(store, key).await? else { return Ok(None) };
    match body.collect(limit).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(StepError::permanent(format!("`{key}` in {} is {error}", store.url())))
        }
        Err(error) => Err(broken(store, key, &error)),
    }
}
