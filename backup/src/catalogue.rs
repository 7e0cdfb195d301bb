//! What backups a store holds: only what has a manifest is one, and a damaged manifest is told, not hidden.

mod marks;

use std::collections::BTreeMap;

use jiff::Timestamp;
use rekindle_engine::host::{
    Body, Encryption, Key, KeyError, ObjectInfo, ObjectStore, PutMode, StoreError, StoreErrorKind,
};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::StepError;
use serde::de::DeserializeOwned;

pub use marks::{StoredMark, load_mark, store_mark, why_kept};

use crate::layout::{BackupUri, KEEP_MARK, MANIFEST};
use crate::manifest::{MANIFEST_FORMAT, Manifest};
use crate::mark::{self, Mark};
use crate::sealed::{self, SealError};
use crate::verdict::{self, Level, Verdict};

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

/// A backup in a store.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Which.
    pub uri: BackupUri,
    /// What it says of itself, or why that can't be known.
    pub manifest: Result<Manifest, CatalogueError>,
    /// Verdicts of verifications.
    pub verdicts: Vec<Verdict>,
    /// Verdict objects that can't be read, with why.
    pub damaged_verdicts: Vec<CatalogueError>,
    /// What people said of it, or why that can't be known.
    pub mark: Option<Result<Mark, CatalogueError>>,
    /// The room that all its objects take in the store, extra ones included.
    pub size_bytes: u64,
    /// When its manifest was stored, by the store's clock.
    pub stored_at: Timestamp,
}

impl Listed {
    /// Gives the point in time that it restores. When the manifest can't be read: the time in the id, or when
    /// the manifest was stored.
    pub fn recovery_point(&self) -> Timestamp {
        match &self.manifest {
            Ok(manifest) => manifest.recovery_point(),
            Err(_) => time_in(&self.uri.id).unwrap_or(self.stored_at),
        }
    }

    /// Gives the levels at which it is proven good, mildest first.
    pub fn proven(&self) -> Vec<Level> {
        if self.manifest.is_err() { Vec::new() } else { verdict::proven(&self.verdicts) }
    }

    /// Gives why it is marked to be kept; pruning never removes such a one. A mark that can't be read keeps too.
    pub fn kept(&self) -> Option<String> {
        self.mark.as_ref().and_then(why_kept)
    }

    /// Gives its labels: those of the manifest with those of its mark over them.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let none = BTreeMap::new();
        let manifest = self.manifest.as_ref().map_or(&none, |manifest| &manifest.labels);
        match &self.mark {
            Some(Ok(said)) => mark::laid_over(manifest, &said.labels),
            Some(Err(_)) | None => manifest.clone(),
        }
    }

    /// Tells whether a verification found it bad, and none has found it good since.
    pub fn has_failed(&self) -> bool {
        self.manifest.is_err() || verdict::has_failed(&self.verdicts)
    }
}

/// Objects that lie where a backup would, without a manifest: of a run that goes on, or that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublished {
    /// What the backup would be called.
    pub uri: BackupUri,
    /// Its objects.
    pub objects: Vec<ObjectInfo>,
    /// When the youngest of them was written.
    pub newest: Timestamp,
}

/// Everything under `backups/`.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Backups, by cluster, the oldest first.
    pub backups: Vec<Listed>,
    /// What is no backup (yet), by uri.
    pub unpublished: Vec<Unpublished>,
}

/// Lists the backups of one cluster or of all, the oldest of each first.
pub async fn list_backups(
    store: &dyn ObjectStore,
    name: &StoreName,
    cluster: Option<&str>,
) -> Result<Vec<Listed>, CatalogueError> {
    Ok(scan(store, name, cluster).await?.backups)
}

/// Lists backups, and what lies beside them without being one.
pub async fn scan(
    store: &dyn ObjectStore,
    name: &StoreName,
    cluster: Option<&str>,
) -> Result<Catalogue, CatalogueError> {
    let prefix = cluster.map_or_else(|| "backups/".to_owned(), BackupUri::cluster_prefix);
    let mut groups: BTreeMap<BackupUri, Vec<ObjectInfo>> = BTreeMap::new();
    for object in store.list(&prefix).await? {
        if let Some(uri) = owner(name, &object.key) {
            groups.entry(uri).or_default().push(object);
        }
    }
    let mut catalogue = Catalogue::default();
    for (uri, objects) in groups {
        let manifest_key = uri.key(MANIFEST)?;
        if let Some(manifest) = objects.iter().find(|object| object.key == manifest_key) {
            let stored_at = manifest.modified;
            if let Some(listed) = look(store, uri, &objects, stored_at).await? {
                catalogue.backups.push(listed);
            }
        } else {
            let newest = objects.iter().map(|object| object.modified).max().unwrap_or(Timestamp::MAX);
            catalogue.unpublished.push(Unpublished { uri, objects, newest });
        }
    }
    catalogue.backups.sort_by(|one, other| {
        let key =
            |listed: &Listed| (listed.uri.cluster.clone(), listed.recovery_point(), listed.uri.id.clone());
        key(one).cmp(&key(other))
    });
    Ok(catalogue)
}

/// Gives one backup with everything the catalogue knows of it.
pub async fn show(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Listed, CatalogueError> {
    let objects = store.list(&uri.prefix()).await?;
    let manifest_key = uri.key(MANIFEST)?;
    let manifest = objects.iter().find(|object| object.key == manifest_key);
    let stored_at = manifest.ok_or_else(|| CatalogueError::NotFound(uri.clone()))?.modified;
    let listed = look(store, uri.clone(), &objects, stored_at).await?;
    listed.ok_or_else(|| CatalogueError::NotFound(uri.clone()))
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

/// Reads the time that the ids of runs begin with: `20261122T153500Z`.
fn time_in(id: &str) -> Option<Timestamp> {
    let time = id.get(..16)?.strip_suffix('Z')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", time).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Finds the backup that an object belongs to: `backups/CLUSTER/ID/…`.
fn owner(store: &StoreName, key: &Key) -> Option<BackupUri> {
    let mut parts = key.as_str().strip_prefix("backups/")?.splitn(3, '/');
    let (cluster, id, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(BackupUri { store: store.clone(), cluster: cluster.to_owned(), id: id.to_owned() })
}

/// Reads manifest and verdicts; nothing when the backup is removed meanwhile.
async fn look(
    store: &dyn ObjectStore,
    uri: BackupUri,
    objects: &[ObjectInfo],
    stored_at: Timestamp,
) -> Result<Option<Listed>, CatalogueError> {
    let manifest = match load_manifest(store, &uri).await {
        Err(CatalogueError::NotFound(_)) => return Ok(None),
        // The store's trouble is not the backup's.
        Err(CatalogueError::Store(error)) => return Err(error.into()),
        manifest => manifest,
    };
    let mut verdicts = Vec::new();
    let mut damaged_verdicts = Vec::new();
    for level in Level::ALL {
        let name = level.object_name();
        let key = uri.key(&name)?;
        if objects.iter().any(|object| object.key == key) {
            match read_sealed::<Verdict>(store, &uri, &key, &name).await {
                Ok(verdict) => verdicts.push(verdict),
                Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::NotFound => {}
                Err(CatalogueError::Store(error)) => return Err(error.into()),
                Err(error) => damaged_verdicts.push(error),
            }
        }
    }
    let mark_key = uri.key(KEEP_MARK)?;
    let mark = if objects.iter().any(|object| object.key == mark_key) {
        match load_mark(store, &uri).await {
            Ok(stored) => stored.map(|stored| stored.mark),
            // Too large for a mark, or not what was encrypted: a trouble of this backup.
            Err(CatalogueError::Store(error))
                if matches!(error.kind, StoreErrorKind::Invalid | StoreErrorKind::Corrupt) =>
            {
                Some(Err(CatalogueError::Damaged {
                    uri: uri.clone(),
                    name: KEEP_MARK.to_owned(),
                    why: error.why,
                }))
            }
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    Ok(Some(Listed {
        manifest,
        verdicts,
        damaged_verdicts,
        mark,
        size_bytes: objects.iter().map(|object| object.size_bytes).sum(),
        stored_at,
        uri,
    }))
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
