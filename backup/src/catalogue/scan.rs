//! Looks through a store: its objects in, what is a backup and what is not out.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, ObjectStore, StoreError, StoreErrorKind};
use rekindle_engine::id::StoreName;
use tokio::sync::Semaphore;

use super::index::{Index, ReadFrom};
use super::{
    Catalogue, CatalogueError, Listed, Shown, Summary, Unpublished, load_manifest, load_mark, read_sealed,
};
use crate::layout::{BackupUri, KEEP_MARK, MANIFEST};
use crate::verdict::{Level, Verdict};

/// How many backups are looked at side by side: most of the time goes by on the way to the store.
const AT_ONCE: usize = 64;
/// How much of their manifests may be in memory at once, as it lies in the store. Those of many tables are large.
const AT_ONCE_KIB: u32 = 8 << 10;

/// Whether what was read before may stand for what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Where the objects have not changed since, an index tells what they say, also what can't be read now. For choosing:
    /// what is chosen is read.
    Index,
    /// Every manifest, verdict and mark is read. For choosing again.
    Nothing,
    /// The same, and an index tells of what can't be read now, as far as that has not changed since. For removing:
    /// what is archived must go when its time has come, and nobody reads it back for that.
    IndexOfUnreadable,
}

/// Lists the backups of one cluster or of all, the oldest of each first, with the help of indexes.
///
/// # Errors
/// When the store can't be listed or read.
pub async fn list_backups(
    store: &dyn ObjectStore,
    name: &StoreName,
    cluster: Option<&str>,
) -> Result<Vec<Listed>, CatalogueError> {
    Ok(scan(store, name, cluster, Trust::Index).await?.backups)
}

/// Lists backups, and what lies beside them without being one.
///
/// A backup of which something is archived, or may not be read, is one whose manifest can't be read now; it hides no
/// other.
///
/// # Errors
/// When the store can't be listed or read, or nothing in it may be read.
pub async fn scan(
    store: &dyn ObjectStore,
    name: &StoreName,
    cluster: Option<&str>,
    trust: Trust,
) -> Result<Catalogue, CatalogueError> {
    let prefix = cluster.map_or_else(|| "backups/".to_owned(), BackupUri::cluster_prefix);
    let mut groups: BTreeMap<BackupUri, Vec<ObjectInfo>> = BTreeMap::new();
    let (mut index_keys, mut indexes) = (BTreeMap::new(), BTreeMap::new());
    for object in store.list(&prefix).await? {
        if let Some(uri) = owner(name, &object.key) {
            groups.entry(uri).or_default().push(object);
        } else if let Some(cluster) = Index::cluster_of(&object.key) {
            index_keys.insert(cluster.to_owned(), object.key);
        }
    }
    if trust == Trust::Index {
        for (cluster, key) in &index_keys {
            indexes.insert(cluster.clone(), Index::load(store, cluster, key).await?);
        }
    }
    let mut catalogue = Catalogue::default();
    let mut unknown = Vec::new();
    for (uri, objects) in groups {
        let manifest_key = uri.key(MANIFEST)?;
        let Some(manifest) = objects.iter().find(|object| object.key == manifest_key) else {
            let newest = objects.iter().map(|object| object.modified).max().unwrap_or(Timestamp::MAX);
            catalogue.unpublished.push(Unpublished { uri, objects, newest });
            continue;
        };
        let stored_at = manifest.modified;
        match indexes.get(&uri.cluster).and_then(|index| index.listed(&uri, &objects, stored_at)) {
            Some(listed) => catalogue.backups.push(listed),
            None => unknown.push((uri, objects, stored_at)),
        }
    }
    catalogue.is_remembered = unknown.is_empty();
    let mut looked_at = look_at_all(store, unknown).await?;
    if trust != Trust::Nothing {
        remember_unreadable(store, &mut looked_at, &index_keys, indexes).await?;
    }
    catalogue.backups.extend(looked_at);
    unless_all_denied(&catalogue.backups)?;
    catalogue.backups.sort_by_cached_key(|listed| {
        (listed.uri.cluster.clone(), listed.recovery_point(), listed.uri.id.clone())
    });
    Ok(catalogue)
}

/// A backup to look at: what is listed of it, and when its manifest was stored.
type Unknown = (BackupUri, Vec<ObjectInfo>, Timestamp);

/// Looks at backups side by side, in bounded memory.
async fn look_at_all(store: &dyn ObjectStore, unknown: Vec<Unknown>) -> Result<Vec<Listed>, CatalogueError> {
    let room = Semaphore::new(AT_ONCE_KIB as usize);
    let room = &room;
    let looking = futures_util::stream::iter(unknown).map(|(uri, objects, stored_at)| async move {
        let key = uri.key(MANIFEST)?;
        let size_bytes = objects.iter().find(|one| one.key == key).map_or(0, |manifest| manifest.size_bytes);
        let size_kib = u32::try_from(size_bytes / 1024 + 1).unwrap_or(u32::MAX).min(AT_ONCE_KIB);
        // It is never closed.
        let _room = room.acquire_many(size_kib).await.ok();
        // Only what a list says is kept: manifests are large, and there are many.
        let shown = look(store, uri, &objects, stored_at).await?;
        Ok::<_, CatalogueError>(shown.map(|shown| shown.listed))
    });
    looking.buffer_unordered(AT_ONCE).try_filter_map(async |listed| Ok(listed)).try_collect().await
}

/// Puts what an index tells in the place of what can't be read now; `indexes` were read already.
async fn remember_unreadable(
    store: &dyn ObjectStore,
    looked_at: &mut [Listed],
    index_keys: &BTreeMap<String, Key>,
    mut indexes: BTreeMap<String, Index>,
) -> Result<(), CatalogueError> {
    for listed in looked_at.iter_mut().filter(|listed| listed.is_unreadable_now()) {
        let cluster = &listed.uri.cluster;
        let Some(key) = index_keys.get(cluster) else { continue };
        if !indexes.contains_key(cluster) {
            indexes.insert(cluster.clone(), Index::load(store, cluster, key).await?);
        }
        if let Some(index) = indexes.get(cluster) {
            index.fill_in(listed);
        }
    }
    Ok(())
}

/// One object that may not be read is a trouble of its backup; when that goes for all of them it is one of the store.
fn unless_all_denied(backups: &[Listed]) -> Result<(), CatalogueError> {
    let mut denied = backups.iter().map(|listed| match &listed.summary {
        Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::Denied => Some(error),
        Ok(_) | Err(_) => None,
    });
    match denied.next().flatten() {
        Some(first) if denied.all(|denied| denied.is_some()) => Err(first.clone().into()),
        Some(_) | None => Ok(()),
    }
}

/// Tells whether an error is about one object that can't be read now, and not about the store.
fn is_of_the_object(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::Archived | StoreErrorKind::Denied)
}

/// Finds the backup that an object belongs to: `backups/CLUSTER/ID/…`.
fn owner(store: &StoreName, key: &Key) -> Option<BackupUri> {
    let mut parts = key.as_str().strip_prefix("backups/")?.splitn(3, '/');
    let (cluster, id, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(BackupUri { store: store.clone(), cluster: cluster.to_owned(), id: id.to_owned() })
}

/// Reads manifest and verdicts; nothing when the backup is removed meanwhile.
pub(super) async fn look(
    store: &dyn ObjectStore,
    uri: BackupUri,
    objects: &[ObjectInfo],
    stored_at: Timestamp,
) -> Result<Option<Shown>, CatalogueError> {
    let manifest = match load_manifest(store, &uri).await {
        Err(CatalogueError::NotFound(_)) => return Ok(None),
        // The store's trouble is not the backup's.
        Err(CatalogueError::Store(error)) if !is_of_the_object(&error) => return Err(error.into()),
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
                Err(CatalogueError::Store(error)) if !is_of_the_object(&error) => return Err(error.into()),
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
            // Nobody knows what it says: it keeps.
            Err(CatalogueError::Store(error)) if is_of_the_object(&error) => Some(Err(error.into())),
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    let listed = Listed {
        summary: manifest.as_ref().map(Summary::from).map_err(Clone::clone),
        verdicts,
        damaged_verdicts,
        mark,
        size_bytes: objects.iter().map(|object| object.size_bytes).sum(),
        stored_at,
        read_from: ReadFrom::of(&uri, objects),
        uri,
    };
    Ok(Some(Shown { listed, manifest }))
}
