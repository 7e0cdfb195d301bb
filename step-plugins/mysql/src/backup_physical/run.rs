//! One physical backup: look, copy, prove, index.

use rekindle_backup::dump::WrittenMembers;
use rekindle_backup::inventory::Inventory;
use rekindle_backup::manifest::{ConsistentPoint, DumpIndex, MANIFEST_FORMAT, ObjectEntry, ObjectRole, Tool};
use rekindle_backup::physical::{Method, Physical, StreamFormat};
use rekindle_engine::step::{StepContext, StepError};

use super::{Outputs, Params, cold, hot};
use crate::backup_part::BackupPart;

/// What a copy gave.
pub(super) struct Made {
    pub(super) format: StreamFormat,
    pub(super) object: WrittenMembers,
    pub(super) point: ConsistentPoint,
    pub(super) inventory: Inventory,
    pub(super) tool: Tool,
    pub(super) physical: Physical,
}

/// Names the part of the backup that the stream is.
pub(super) fn part(params: &Params, cx: &StepContext) -> Result<BackupPart, StepError> {
    BackupPart::of(cx, &params.store, params.id.as_ref(), &params.name)
}

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    params.check()?;
    // Before anything else: an earlier attempt may have left the server stopped.
    if params.mode == Method::Cold {
        cold::start_what_was_left(params, cx).await?;
    }
    let part = part(params, cx)?;
    let store = cx.store(&params.store).await?;
    part.refuse_published(store.as_ref()).await?;
    // An index describes a whole object: the old one goes before its object is replaced.
    store.delete(&part.index).await?;
    let started_at = cx.world().clock.now();
    let made = match params.mode {
        Method::Hot => hot::run(params, cx, store.as_ref(), &part).await?,
        Method::Cold => cold::run(params, cx, store.as_ref(), &part).await?,
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
    part.put_index(store.as_ref(), &index).await?;
    outputs(&index, &part)
}

/// Looks whether a finished backup is there.
pub(super) async fn find_finished(params: &Params, cx: &StepContext) -> Result<Option<Outputs>, StepError> {
    params.check()?;
    let part = part(params, cx)?;
    let store = cx.store(&params.store).await?;
    let index = part.find_finished(store.as_ref()).await?.filter(|index| index.physical.is_some());
    index.map(|index| outputs(&index, &part)).transpose()
}

fn outputs(index: &DumpIndex, part: &BackupPart) -> Result<Outputs, StepError> {
    let physical = index.physical.as_ref();
    Ok(Outputs {
        object: part.object(&index.object.name)?.to_string(),
        index: part.index.to_string(),
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
