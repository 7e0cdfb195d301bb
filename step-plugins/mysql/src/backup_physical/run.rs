//! One physical backup: look, copy, prove, index.

use rekindle_backup::dump::WrittenMembers;
use rekindle_backup::inventory::Inventory;
use rekindle_backup::layout::{BackupUri, MANIFEST, index_name};
use rekindle_backup::manifest::{ConsistentPoint, DumpIndex, MANIFEST_FORMAT, ObjectEntry, ObjectRole, Tool};
use rekindle_backup::physical::{Method, Physical, StreamFormat};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode, StoreErrorKind};
use rekindle_engine::step::{StepContext, StepError};

use super::{Outputs, Params, cold, hot};

/// An index has some 100 bytes for each 4 MiB of files.
const INDEX_LIMIT_BYTES: usize = 1 << 30;

/// What a copy gave.
pub(super) struct Made {
    pub(super) format: StreamFormat,
    pub(super) object: WrittenMembers,
    pub(super) point: ConsistentPoint,
    pub(super) inventory: Inventory,
    pub(super) tool: Tool,
    pub(super) physical: Physical,
}

/// The keys of a backup.
pub(super) struct Keys {
    backup: BackupUri,
    pub(super) index: Key,
    manifest: Key,
}

impl Keys {
    pub(super) fn of(params: &Params, backup: BackupUri) -> Result<Self, StepError> {
        let (index, manifest) = (key(&backup, &index_name(&params.name))?, key(&backup, MANIFEST)?);
        Ok(Self { backup, index, manifest })
    }

    pub(super) fn object(&self, params: &Params, format: StreamFormat) -> Result<Key, StepError> {
        key(&self.backup, &params.object_name(format))
    }
}

fn key(backup: &BackupUri, name: &str) -> Result<Key, StepError> {
    backup.key(name).map_err(|error| {
        StepError::permanent(error.to_string()).help("check `id`, and the cluster's name in the environment")
    })
}

/// Refuses to touch a backup that exists: published objects never change.
pub(super) async fn refuse_published(store: &dyn ObjectStore, keys: &Keys) -> Result<(), StepError> {
    if store.head(&keys.manifest).await?.is_none() {
        return Ok(());
    }
    Err(StepError::permanent(format!("{} is published already: nothing is added to it", keys.backup))
        .help("leave `id` out, or name a new one"))
}

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    params.check()?;
    // Before anything else: an earlier attempt may have left the server stopped.
    if params.mode == Method::Cold {
        cold::start_what_was_left(params, cx).await?;
    }
    let keys = Keys::of(params, params.backup(cx))?;
    let store = cx.store(&params.store).await?;
    refuse_published(store.as_ref(), &keys).await?;
    // An index describes a whole object: the old one goes before its object is replaced.
    store.delete(&keys.index).await?;
    let started_at = cx.world().clock.now();
    let made = match params.mode {
        Method::Hot => hot::run(params, cx, store.as_ref(), &keys).await?,
        Method::Cold => cold::run(params, cx, store.as_ref(), &keys).await?,
    };
    let index = DumpIndex {
        format: MANIFEST_FORMAT,
        object: ObjectEntry {
            name: params.object_name(made.format),
            size_bytes: made.object.size_bytes,
            sha256: made.object.sha256,
            role: ObjectRole::Files,
        },
        uncompressed_bytes: made.object.text_bytes,
        started_at,
        consistent_point: made.point,
        inventory: made.inventory,
        members: made.object.members,
        tool: made.tool,
        physical: Some(made.physical),
    };
    let text = serde_json::to_vec_pretty(&index)
        .map_err(|error| StepError::permanent(format!("the index can't be written as JSON: {error}")))?;
    store.put(&keys.index, Body::from_bytes(text), PutMode::Replace).await?;
    outputs(&index, &keys)
}

/// Looks whether a finished backup is there.
pub(super) async fn find_finished(params: &Params, cx: &StepContext) -> Result<Option<Outputs>, StepError> {
    params.check()?;
    let keys = Keys::of(params, params.backup(cx))?;
    let store = cx.store(&params.store).await?;
    let body = match store.get(&keys.index, None).await {
        Err(error) if matches!(error.kind, StoreErrorKind::Corrupt | StoreErrorKind::NotFound) => {
            return Ok(None);
        }
        body => body?,
    };
    let text = match body.collect(INDEX_LIMIT_BYTES).await {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
        text => {
            text.map_err(|error| StepError::transient(format!("failed to read `{}`: {error}", keys.index)))?
        }
    };
    // An index that can't be read proves nothing: the backup is made anew.
    let Ok(index) = serde_json::from_slice::<DumpIndex>(&text) else { return Ok(None) };
    let object = key(&keys.backup, &index.object.name)?;
    let found = match store.head(&object).await {
        Err(error) if error.kind == StoreErrorKind::Corrupt => None,
        found => found?.map(|info| info.size_bytes),
    };
    if found != Some(index.object.size_bytes) || index.physical.is_none() {
        return Ok(None);
    }
    outputs(&index, &keys).map(Some)
}

fn outputs(index: &DumpIndex, keys: &Keys) -> Result<Outputs, StepError> {
    let physical = index.physical.as_ref();
    Ok(Outputs {
        object: key(&keys.backup, &index.object.name)?.to_string(),
        index: keys.index.to_string(),
        size_bytes: index.object.size_bytes,
        stream_bytes: index.uncompressed_bytes,
        sha256: index.object.sha256.clone(),
        files: physical.map_or(0, |physical| physical.files),
        tables: index.inventory.table_count(),
        base: physical.and_then(|physical| Some(physical.base.as_ref()?.id.clone())).unwrap_or_default(),
        to_lsn: physical.and_then(|physical| physical.to_lsn).unwrap_or(0),
        gtid: index.consistent_point.gtid.clone().unwrap_or_default(),
        recovery_point: index.consistent_point.at.unwrap_or(index.started_at),
    })
}
