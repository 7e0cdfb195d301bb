//! Reading objects back for proof: sizes and checksums, in bounded memory, with progress and cancellation.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{ObjectEntry, ObjectRole};
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

/// What keeps an object from being read, and is no trouble of its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Missing,
    /// What lies there is not what was written.
    Damaged(String),
}

impl Flaw {
    /// Says it of an object.
    pub(crate) fn of(&self, name: &str) -> String {
        match self {
            Self::Missing => format!("`{name}` is missing"),
            Self::Damaged(why) => format!("`{name}` is damaged: {why}"),
        }
    }
}

/// Reads an object whole and says what is wrong with it; nothing when it is what was promised.
pub(crate) async fn problem(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    promised: &ObjectEntry,
    meter: &Meter,
) -> Result<Option<String>, StepError> {
    let key = uri.key(&promised.name).map_err(|error| StepError::permanent(error.to_string()))?;
    Ok(match digest(store, &key, meter).await? {
        Ok(digest) => digest.differs_from(promised),
        Err(flaw) => Some(flaw.of(&promised.name)),
    })
}

/// Says that an object lies open where it should be encrypted, as one from before does; nothing when it does not.
pub(crate) async fn openness(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    object: &ObjectEntry,
) -> Result<Option<String>, StepError> {
    if object.role == ObjectRole::Instructions {
        return Ok(None);
    }
    let key = uri.key(&object.name).map_err(|error| StepError::permanent(error.to_string()))?;
    match store.is_encrypted(&key).await {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(format!("`{}` lies there unencrypted", object.name))),
        // Damage and absence are told by who reads it.
        Err(error) if matches!(error.kind, StoreErrorKind::Corrupt | StoreErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads an object whole and gives its digest.
pub(crate) async fn digest(
    store: &dyn ObjectStore,
    key: &Key,
    meter: &Meter,
) -> Result<Result<Digest, Flaw>, StepError> {
    let reading = async {
        let mut body = match open(store, key).await? {
            Ok(body) => body,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let mut hasher = Hasher::default();
        loop {
            match body.next().await {
                Ok(Some(chunk)) => {
                    hasher.update(&chunk);
                    meter.add(chunk.len(), key.as_str());
                }
                Ok(None) => return Ok(Ok(hasher.finish())),
                Err(error) => return broken(store, key, &error).map(Err),
            }
        }
    };
    meter.unless_cancelled(reading).await
}

/// Opens an object.
pub(crate) async fn open(store: &dyn ObjectStore, key: &Key) -> Result<Result<Body, Flaw>, StepError> {
    match store.get(key, None).await {
        Ok(body) => Ok(Ok(body)),
        Err(error) => match error.kind {
            StoreErrorKind::NotFound => Ok(Err(Flaw::Missing)),
            StoreErrorKind::Corrupt => Ok(Err(Flaw::Damaged(error.why))),
            _ => Err(error.into()),
        },
    }
}

/// Judges a stream that broke off: one whose bytes are not those that were stored is damaged; any other may be whole
/// next time.
pub(crate) fn broken(store: &dyn ObjectStore, key: &Key, error: &io::Error) -> Result<Flaw, StepError> {
    match error.kind() {
        io::ErrorKind::InvalidData => Ok(Flaw::Damaged(error.to_string())),
        _ => Err(StepError::transient(format!("failed to read `{key}` in {}: {error}", store.url()))),
    }
}

/// Reads a small object; one that is larger counts as damaged.
pub(crate) async fn read_small(
    store: &dyn ObjectStore,
    key: &Key,
    limit: usize,
) -> Result<Result<Vec<u8>, Flaw>, StepError> {
    let body = match open(store, key).await? {
        Ok(body) => body,
        Err(flaw) => return Ok(Err(flaw)),
    };
    match body.collect(limit).await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) => broken(store, key, &error).map(Err),
    }
}
