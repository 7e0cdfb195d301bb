//! An index of a cluster's backups, `backups/CLUSTER/index.json`: what their manifests, verdicts and marks said when it
//! was written.
//!
//! It is no truth, only a memory: an entry counts while the objects it was read from are listed with the same sizes,
//! times and stamps. Manifests, verdicts and marks say when they were written, so no bytes come back after others, and
//! a stamp that is listed stands for one state. Where lists tell no stamps, what was written shortly before the look is
//! not remembered: it could have been written again in the same second. What does not count is read.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rekindle_engine::host::{Body, Key, ObjectInfo, ObjectStore, PutMode, Stamp, StoreErrorKind};
use rekindle_engine::id::StoreName;
use serde::{Deserialize, Serialize};

use super::{Catalogue, CatalogueError, Listed, Summary, Trust, read_small, scan, unwritable};
use crate::layout::{BackupUri, KEEP_MARK, MANIFEST};
use crate::mark::Mark;
use crate::sealed;
use crate::verdict::{VERDICTS, Verdict};

const NAME: &str = "index.json";
/// 3: summaries say where the data stand in the binary logs.
const FORMAT: u32 = 3;
/// What is younger than this and has no stamp is not remembered. Long enough that the clocks of the store and of this machine, which
/// may be minutes apart, do not matter.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// What is known of the backups of one cluster, by id.
#[derive(Default)]
pub(super) struct Index(BTreeMap<String, Entry>);

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    entries: Vec<Entry>,
}

/// One backup whose objects could all be read.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: String,
    summary: Summary,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
    read_from: Vec<ReadFrom>,
}

impl Index {
    /// Gives the cluster that an object is the index of.
    pub(super) fn cluster_of(key: &Key) -> Option<&str> {
        key.as_str()
            .strip_prefix("backups/")?
            .strip_suffix(NAME)?
            .strip_suffix('/')
            .filter(|at| !at.contains('/'))
    }

    /// Reads the index of a cluster; one that is damaged, of another format or gone knows nothing.
    pub(super) async fn load(
        store: &dyn ObjectStore,
        cluster: &str,
        key: &Key,
    ) -> Result<Self, CatalogueError> {
        let bytes = match read_small(store, &whole(cluster), key, NAME).await {
            // Only a memory: what is in the way of it alone is no trouble of the store.
            Err(CatalogueError::Store(error))
                if !matches!(
                    error.kind,
                    StoreErrorKind::NotFound | StoreErrorKind::Archived | StoreErrorKind::Denied
                ) =>
            {
                return Err(error.into());
            }
            Err(_) => return Ok(Self::default()),
            Ok(bytes) => bytes,
        };
        let stored = sealed::open::<Stored>(&bytes).ok().filter(|stored| stored.format == FORMAT);
        let entries = stored.into_iter().flat_map(|stored| stored.entries);
        Ok(Self(entries.map(|entry| (entry.id.clone(), entry)).collect()))
    }

    /// Gives what it knows of a backup, if the backup is still as it was.
    pub(super) fn listed(
        &self,
        uri: &BackupUri,
        objects: &[ObjectInfo],
        stored_at: Timestamp,
    ) -> Option<Listed> {
        let entry = self.0.get(&uri.id)?;
        let read_from = ReadFrom::of(uri, objects);
        (read_from == entry.read_from).then(|| Listed {
            uri: uri.clone(),
            summary: Ok(entry.summary.clone()),
            verdicts: entry.verdicts.clone(),
            damaged_verdicts: Vec::new(),
            mark: entry.mark.clone().map(Ok),
            size_bytes: objects.iter().map(|object| object.size_bytes).sum(),
            stored_at,
            read_from,
        })
    }

    /// Says of a backup that was looked at what could not be read now, as far as these objects are still as they were:
    /// one that was marked since is not forgotten for that.
    pub(super) fn fill_in(&self, listed: &mut Listed) {
        let Some(entry) = self.0.get(&listed.uri.id) else { return };
        let is_unchanged =
            |name: &str| entry.read_from.iter().any(|one| one.name == name && listed.read_from.contains(one));
        let unchanged: Vec<&Verdict> =
            entry.verdicts.iter().filter(|verdict| is_unchanged(&verdict.level.object_name())).collect();
        let (has_manifest, has_mark) = (is_unchanged(MANIFEST), is_unchanged(KEEP_MARK));
        if has_manifest && matches!(listed.summary, Err(CatalogueError::Store(_))) {
            listed.summary = Ok(entry.summary.clone());
        }
        if has_mark && matches!(listed.mark, Some(Err(CatalogueError::Store(_)))) {
            listed.mark = entry.mark.clone().map(Ok);
        }
        for verdict in unchanged {
            let name = format!("/{}", verdict.level.object_name());
            let is_it = |error: &CatalogueError| matches!(error, CatalogueError::Store(error) if error.key.ends_with(&name));
            if listed.damaged_verdicts.iter().any(is_it) {
                listed.damaged_verdicts.retain(|error| !is_it(error));
                listed.verdicts.push(verdict.clone());
            }
        }
        listed.verdicts.sort_by_key(|verdict| verdict.level);
    }
}

/// An object that the catalogue reads of a backup, as it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadFrom {
    name: String,
    size_bytes: u64,
    modified: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<String>,
}

impl ReadFrom {
    /// Finds manifest, verdicts and mark among the objects of a backup.
    pub(super) fn of(uri: &BackupUri, objects: &[ObjectInfo]) -> Vec<Self> {
        let prefix = uri.prefix();
        let small = objects.iter().filter_map(|object| {
            let name = object.key.as_str().strip_prefix(&prefix)?;
            let counts = name == MANIFEST || name == KEEP_MARK || name.starts_with(VERDICTS);
            let (size_bytes, modified) = (object.size_bytes, object.modified);
            let stamp = object.stamp.as_ref().map(|Stamp(stamp)| stamp.clone());
            counts.then(|| Self { name: name.to_owned(), size_bytes, modified, stamp })
        });
        small.collect()
    }

    /// Tells whether other bytes would be listed otherwise.
    fn is_told_apart(&self, looked_at: Timestamp) -> bool {
        self.stamp.is_some() || looked_at.duration_since(self.modified) > RECENT
    }
}

/// Lets the index of a cluster tell of every backup that is there, by reading those that it does not tell of.
///
/// # Errors
/// When the store can't be listed, read or written. Nothing depends on it.
pub async fn refresh_index(
    store: &dyn ObjectStore,
    name: &StoreName,
    cluster: &str,
    now: Timestamp,
) -> Result<(), CatalogueError> {
    let found = scan(store, name, Some(cluster), Trust::Index).await?;
    if found.is_remembered {
        return Ok(());
    }
    write_index(store, cluster, &found, now).await
}

/// Remembers what a look at a cluster's backups, begun at `looked_at`, has found. What could not be read, or is too
/// young, is left out: it is read anew.
///
/// # Errors
/// When the store can't be written. Nothing depends on it.
pub async fn write_index(
    store: &dyn ObjectStore,
    cluster: &str,
    catalogue: &Catalogue,
    looked_at: Timestamp,
) -> Result<(), CatalogueError> {
    let mut entries = Vec::new();
    for listed in catalogue.backups.iter().filter(|listed| listed.uri.cluster == cluster) {
        let mark = match &listed.mark {
            None => None,
            Some(Ok(mark)) => Some(mark.clone()),
            Some(Err(_)) => continue,
        };
        let Ok(summary) = &listed.summary else { continue };
        if !listed.damaged_verdicts.is_empty()
            || !listed.read_from.iter().all(|one| one.is_told_apart(looked_at))
        {
            continue;
        }
        entries.push(Entry {
            id: listed.uri.id.clone(),
            summary: summary.clone(),
            verdicts: listed.verdicts.clone(),
            mark,
            read_from: listed.read_from.clone(),
        });
    }
    let uri = whole(cluster);
    let bytes =
        sealed::seal(&Stored { format: FORMAT, entries }).map_err(|error| unwritable(&uri, NAME, &error))?;
    let key = Key::new(format!("{}{NAME}", BackupUri::cluster_prefix(cluster)))?;
    store.put(&key, Body::from_bytes(bytes), PutMode::Replace).await?;
    Ok(())
}

/// Names all backups of a cluster together, for messages.
fn whole(cluster: &str) -> BackupUri {
    BackupUri { store: "".into(), cluster: cluster.to_owned(), id: "*".to_owned() }
}
