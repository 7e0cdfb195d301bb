//! What backups a store holds: only what has a manifest is one, and a damaged manifest is told, not hidden.

mod index;
mod listed;
mod marks;
mod scan;

use rekindle_engine::host::{
    Body, Encryption, Key, KeyError, ObjectStore, PutMode, StoreError, StoreErrorKind,
};
use rekindle_engine::step::StepError;
use serde::de::DeserializeOwned;

pub use index::{refresh_index, write_index};
pub use listed::{Catalogue, Listed, Summary, Unpublished};
pub use marks::{StoredMark, load_mark, store_mark, why_kept};
pub use scan::{Trust, list_backups, scan};

use crate::layout::{BackupUri, MANIFEST};
use crate::manifest::{MANIFEST_FORMAT, Manifest};
use crate::sealed::{self, SealError};
use crate::verdict::Verdict;

/// The largest manifest or verdict that is read: some ten times what 100,000 tables need.
const MAX_MANIFEST_BYTES: usize = 256 << 20;

/// Why a backup can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogueError {
    /// There is no manifest, so there is no backup.
    #[error("there is no backup {0}")]
    NotFound(BackupUri),
    /// An object of the catalogue itself is not what was written.
    #[error("`{name}` of {uri} is damaged: {why}")]
    Damaged {
        /// The backup.
        uri: BackupUri,
        /// The object: `manifest.json`.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A newer rekindle wrote it.
    #[error("{uri} has format {format}, but this version reads up to {MANIFEST_FORMAT}")]
    Newer {
        /// The backup.
        uri: BackupUri,
        /// Its format.
        format: u32,
    },
    /// A name can't be a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store could not tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CatalogueError> for StepError {
    fn from(error: CatalogueError) -> Self {
        let message = error.to_string();
        match error {
            CatalogueError::Store(error) => error.into(),
            CatalogueError::NotFound(_) => {
                Self::permanent(message).help("`rekindle backups list` shows what is there")
            }
            CatalogueError::Damaged { .. } => Self::permanent(message).help(
                "use another backup or a copy in another store; RESTORE.txt beside it says how to load its \
                 dump by hand",
            ),
            CatalogueError::Newer { .. } => Self::permanent(message).help("use a newer rekindle"),
            CatalogueError::Key(_) => Self::permanent(message),
        }
    }
}

/// One backup, with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What a list says of it.
    pub listed: Listed,
    /// Its manifest, or why that can't be had.
    pub manifest: Result<Manifest, CatalogueError>,
}

/// Gives one backup with everything the catalogue knows of it.
pub async fn show(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Shown, CatalogueError> {
    let objects = store.list(&uri.prefix()).await?;
    let manifest_key = uri.key(MANIFEST)?;
    let manifest = objects.iter().find(|object| object.key == manifest_key);
    let stored_at = manifest.ok_or_else(|| CatalogueError::NotFound(uri.clone()))?.modified;
    let shown = scan::look(store, uri.clone(), &objects, stored_at).await?;
    shown.ok_or_else(|| CatalogueError::NotFound(uri.clone()))
}

/// Reads the manifest of one backup and checks it.
pub async fn load_manifest(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Manifest, CatalogueError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let key = uri.key(MANIFEST)?;
    let bytes = match read_small(store, uri, &key, MANIFEST).await {
        Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::NotFound => {
            return Err(CatalogueError::NotFound(uri.clone()));
        }
        read => read?,
    };
    let damaged = |why: String| CatalogueError::Damaged { uri: uri.clone(), name: MANIFEST.to_owned(), why };
    let Format { format } = sealed::open(&bytes).map_err(|error| damaged(error.to_string()))?;
    if format > MANIFEST_FORMAT {
        return Err(CatalogueError::Newer { uri: uri.clone(), format });
    }
    let manifest: Manifest = sealed::open(&bytes).map_err(|error| damaged(error.to_string()))?;
    if (manifest.cluster.as_str(), manifest.id.as_str()) != (uri.cluster.as_str(), uri.id.as_str()) {
        return Err(damaged(format!("it is of {}/{}", manifest.cluster, manifest.id)));
    }
    for object in &manifest.objects {
        uri.key(&object.name).map_err(|error| damaged(error.to_string()))?;
    }
    Ok(manifest)
}

/// Stores a verdict in the place of the one before.
pub async fn store_verdict(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    verdict: &Verdict,
) -> Result<(), CatalogueError> {
    let name = verdict.level.object_name();
    let bytes = sealed::seal(verdict).map_err(|error| unwritable(uri, &name, &error))?;
    store.put(&uri.key(&name)?, Body::from_bytes(bytes), PutMode::Replace).await?;
    Ok(())
}

fn unwritable(uri: &BackupUri, name: &str, error: &SealError) -> CatalogueError {
    CatalogueError::Damaged { uri: uri.clone(), name: name.to_owned(), why: error.to_string() }
}

async fn read_sealed<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    key: &Key,
    name: &str,
) -> Result<T, CatalogueError> {
    let bytes = read_small(store, uri, key, name).await?;
    sealed::open(&bytes).map_err(|error| unwritable(uri, name, &error))
}

async fn read_small(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    key: &Key,
    name: &str,
) -> Result<Vec<u8>, CatalogueError> {
    let body = store.get(key, None).await.map_err(|error| match error.kind {
        StoreErrorKind::Corrupt => {
            CatalogueError::Damaged { uri: uri.clone(), name: name.to_owned(), why: error.why }
        }
        _ => CatalogueError::Store(error),
    })?;
    let bytes = body.collect(MAX_MANIFEST_BYTES).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => {
            CatalogueError::Damaged { uri: uri.clone(), name: name.to_owned(), why: error.to_string() }
        }
        _ => CatalogueError::Store(StoreError {
            kind: StoreErrorKind::Unavailable,
            store: store.url().to_owned(),
            operation: "read",
            key: key.to_string(),
            why: error.to_string(),
        }),
    })?;
    // A configuration that says too little is no damage.
    if store.encryption().is_none() && bytes.starts_with(Encryption::AGE.as_bytes()) {
        return Err(CatalogueError::Store(StoreError {
            kind: StoreErrorKind::Denied,
            store: store.url().to_owned(),
            operation: "read",
            key: key.to_string(),
            why: "it is encrypted, and the environment does not say so: give the store its `encrypt:`, with the \
                  `identity:` that reads it"
                .to_owned(),
        }));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
