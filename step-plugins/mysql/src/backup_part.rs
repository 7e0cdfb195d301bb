//! One part of a backup that is being made: an object of data, and the index that proves it.

use rekindle_backup::layout::{BackupUri, MANIFEST, index_name};
use rekindle_backup::manifest::DumpIndex;
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode, StoreErrorKind};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{PreflightContext, Problem, StepContext, StepError};

/// An index has some 200 bytes for each 4 MiB of text.
const INDEX_LIMIT_BYTES: usize = 1 << 30;

/// Where a part lies.
pub(crate) struct BackupPart {
    backup: BackupUri,
    /// The key of its index.
    pub(crate) index: Key,
    manifest: Key,
}

/// Refuses what can't be the name of a part; `what` it is, such as `a dump`, and an `example`.
///
/// # Errors
/// When it has other characters than small letters, digits, `-` and `_`, or begins with one of the last two.
pub(crate) fn check_name(name: &str, what: &str, example: &str) -> Result<(), StepError> {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let plain = |b: u8| alphanumeric(b) || b == b'-' || b == b'_';
    if name.bytes().next().is_some_and(alphanumeric) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(StepError::permanent(format!("`{name}` can't be the name of {what}"))
        .help(format!("use lowercase letters, digits, `-` and `_`, such as `{example}`")))
}

impl BackupPart {
    /// Names the part `name` of the backup `id`, or of the one that is called as the run.
    ///
    /// # Errors
    /// When that can't be a key.
    pub(crate) fn of(
        cx: &StepContext,
        store: &StoreName,
        id: Option<&String>,
        name: &str,
    ) -> Result<Self, StepError> {
        let backup = BackupUri {
            store: store.clone(),
            cluster: cx.settings().cluster().to_owned(),
            id: id.cloned().unwrap_or_else(|| cx.run().to_string()),
        };
        let (index, manifest) = (key(&backup, &index_name(name))?, key(&backup, MANIFEST)?);
        Ok(Self { backup, index, manifest })
    }

    /// Gives the key of its object.
    pub(crate) fn object(&self, name: &str) -> Result<Key, StepError> {
        key(&self.backup, name)
    }

    /// Writes its index, which makes it whole: its object is there before.
    ///
    /// # Errors
    /// When the store refuses it.
    pub(crate) async fn put_index(
        &self,
        store: &dyn ObjectStore,
        index: &DumpIndex,
    ) -> Result<(), StepError> {
        let text = serde_json::to_vec_pretty(index)
            .map_err(|error| StepError::permanent(format!("the index can't be written as JSON: {error}")))?;
        store.put(&self.index, Body::from_bytes(text), PutMode::Replace).await?;
        Ok(())
    }

    /// Refuses to touch a backup that exists: published objects never change.
    pub(crate) async fn refuse_published(&self, store: &dyn ObjectStore) -> Result<(), StepError> {
        if store.head(&self.manifest).await?.is_none() {
            return Ok(());
        }
        Err(StepError::permanent(format!("{} is published already: nothing is added to it", self.backup))
            .help("leave `id` out, or name a new one"))
    }

    /// Says why it can't be written into a store; `part` is absent while its parameters are not all known.
    pub(crate) async fn store_problem(
        part: Option<Result<Self, StepError>>,
        store: &StoreName,
        cx: &PreflightContext,
    ) -> Option<Problem> {
        let store = match cx.writable_store(store, "/store").await {
            Ok(store) => store,
            Err(problem) => return Some(problem),
        };
        let error = match part? {
            Ok(part) => part.refuse_published(store.as_ref()).await.err()?,
            Err(error) => error,
        };
        Some(Problem { pointer: Some("/store"), ..error.into() })
    }

    /// Looks whether it is there already: its index, and its object with the size that the index says.
    pub(crate) async fn find_finished(
        &self,
        store: &dyn ObjectStore,
    ) -> Result<Option<DumpIndex>, StepError> {
        if size_of(store, &self.index).await?.is_none() {
            return Ok(None);
        }
        let body = match store.get(&self.index, None).await {
            Err(error) if error.kind == StoreErrorKind::Corrupt => return Ok(None),
            body => body?,
        };
        let text = match body.collect(INDEX_LIMIT_BYTES).await {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
            text => text
                .map_err(|error| StepError::transient(format!("failed to read `{}`: {error}", self.index)))?,
        };
        // An index that can't be read proves nothing: the part is made anew.
        let Ok(index) = serde_json::from_slice::<DumpIndex>(&text) else { return Ok(None) };
        let Ok(object) = self.object(&index.object.name) else { return Ok(None) };
        let found = size_of(store, &object).await?;
        Ok((found == Some(index.object.size_bytes)).then_some(index))
    }
}

fn key(backup: &BackupUri, name: &str) -> Result<Key, StepError> {
    backup.key(name).map_err(|error| {
        StepError::permanent(error.to_string()).help("check `id`, and the cluster's name in the environment")
    })
}

/// Gives the size of an object; nothing when it is not there, or damaged: it is made anew.
async fn size_of(store: &dyn ObjectStore, key: &Key) -> Result<Option<u64>, StepError> {
    match store.head(key).await {
        Err(error) if error.kind == StoreErrorKind::Corrupt => Ok(None),
        found => Ok(found?.map(|info| info.size_bytes)),
    }
}
