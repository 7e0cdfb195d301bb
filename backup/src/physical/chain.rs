//! A full backup and the increments on top of it: from the newest to the files in the order they are needed.

use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;

use super::{Base, Physical};
use crate::catalogue::{CatalogueError, load_manifest};
use crate::layout::BackupUri;
use crate::manifest::{Manifest, ObjectEntry, ObjectRole};

/// Preparing some hundred increments takes longer than any copy; more is a mistake, or a ring.
const LONGEST_CHAIN: usize = 500;

/// One backup of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// Which.
    pub uri: BackupUri,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its stream.
    pub object: ObjectEntry,
    /// What its manifest says of the stream.
    pub physical: Physical,
}

/// Why the files of a backup can't be had whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChainError {
    /// It is no physical backup.
    #[error("{0} is no physical backup: it has no files of a server")]
    NotPhysical(BackupUri),
    /// An increment's base is not there, or not what it was.
    #[error("{uri} is an increment to `{base}`, {why}")]
    Broken {
        /// The increment.
        uri: BackupUri,
        /// The base's id.
        base: String,
        /// What is wrong with the base.
        why: String,
    },
    /// The catalogue can't tell.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl From<ChainError> for StepError {
    fn from(error: ChainError) -> Self {
        let message = error.to_string();
        match error {
            ChainError::NotPhysical(_) => Self::permanent(message)
                .help("`mysql.restore` loads logical backups; `rekindle backups list` shows of which kind each is"),
            ChainError::Broken { .. } => Self::permanent(message).help(
                "without its base it can't be restored: copy the base back from another store, or use an older backup",
            ),
            ChainError::Catalogue(error) => error.into(),
        }
    }
}

impl Link {
    /// Reads the manifest of one.
    ///
    /// # Errors
    /// When there is none, or it has no stream of files.
    pub async fn load(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Self, ChainError> {
        let manifest = load_manifest(store, uri).await?;
        let object = manifest.objects.iter().find(|object| object.role == ObjectRole::Files).cloned();
        match (object, manifest.physical.clone()) {
            (Some(object), Some(physical)) => Ok(Self { uri: uri.clone(), manifest, object, physical }),
            _ => Err(ChainError::NotPhysical(uri.clone())),
        }
    }

    /// Gives what an increment to this one says of it.
    pub fn as_base(&self) -> Base {
        Base { id: self.uri.id.clone(), sha256: self.object.sha256.clone() }
    }

    /// Loads what this one is an increment to; nothing when it is full.
    async fn base(&self, store: &dyn ObjectStore) -> Result<Option<Self>, ChainError> {
        let Some(expected) = &self.physical.base else { return Ok(None) };
        let found = check_base(store, &self.uri, expected).await?;
        let fits = found.physical.to_lsn == self.physical.from_lsn
            && found.physical.lineage == self.physical.lineage
            && found.physical.format == self.physical.format;
        if fits {
            Ok(Some(found))
        } else {
            Err(self.broken("which ends where this one does not begin".to_owned()))
        }
    }

    fn broken(&self, why: String) -> ChainError {
        let base = self.physical.base.as_ref().map(|base| base.id.clone()).unwrap_or_default();
        ChainError::Broken { uri: self.uri.clone(), base, why }
    }
}

/// Loads the base of the increment `uri`, which lies in the same store, and proves that it is the one it was.
///
/// # Errors
/// [`ChainError::Broken`] when it is gone, damaged or another one.
pub async fn check_base(store: &dyn ObjectStore, uri: &BackupUri, base: &Base) -> Result<Link, ChainError> {
    let broken = |why: String| ChainError::Broken { uri: uri.clone(), base: base.id.clone(), why };
    let base_uri = BackupUri { id: base.id.clone(), ..uri.clone() };
    let link = match Link::load(store, &base_uri).await {
        Ok(link) => link,
        Err(ChainError::Catalogue(CatalogueError::NotFound(_))) => {
            return Err(broken("which is not in this store".to_owned()));
        }
        Err(ChainError::Catalogue(CatalogueError::Damaged { name, why, .. })) => {
            return Err(broken(format!("whose `{name}` is damaged: {why}")));
        }
        Err(ChainError::NotPhysical(_)) => return Err(broken("which is no physical backup".to_owned())),
        Err(error) => return Err(error),
    };
    if link.object.sha256 == base.sha256 {
        Ok(link)
    } else {
        Err(broken("which is another backup of that name".to_owned()))
    }
}

/// Loads a backup with everything it builds on, the full one first.
///
/// # Errors
/// [`ChainError::Broken`] by name when a base is missing; what the catalogue says otherwise.
pub async fn load_chain(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Vec<Link>, ChainError> {
    let mut chain = vec![Link::load(store, uri).await?];
    while let Some(last) = chain.last() {
        let Some(base) = last.base(store).await? else { break };
        if chain.len() >= LONGEST_CHAIN {
            return Err(last.broken(format!("after {LONGEST_CHAIN} increments without a full backup")));
        }
        chain.push(base);
    }
    chain.reverse();
    Ok(chain)
}
