//! The manifest as it follows from what the dumps and the server's facts say; nothing is proven yet.

use jiff::Timestamp;
use rekindle_backup::inventory::Inventory;
use rekindle_backup::layout::{BackupUri, index_name};
use rekindle_backup::manifest::{
    BackupKind, DumpIndex, MANIFEST_FORMAT, Manifest, ObjectEntry, ObjectRole, ServerFacts, Tool,
};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;
use serde::de::DeserializeOwned;

use super::{PublishParams, instructions};
use crate::reading::{Digest, Flaw, read_small};

/// The largest index or facts that are read: an index of a terabyte has some 50 MiB.
const MAX_INDEX_BYTES: usize = 512 << 20;

/// What is to be published.
pub(super) struct Draft {
    /// The manifest, complete but for `finished_at`.
    pub(super) manifest: Manifest,
    /// The text of `RESTORE.txt`; its entry is in the manifest.
    pub(super) instructions: String,
}

/// Reads what `mysql.dump` and `mysql.inspect` left.
pub(super) async fn draft(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    params: &PublishParams,
    finished_at: Timestamp,
) -> Result<Draft, StepError> {
    let mut objects = Vec::new();
    let mut indexes = Vec::new();
    for name in &params.objects {
        let index_name = index_name(name);
        let missing = format!("the dump `{name}` is not finished: there is no `{index_name}` in {uri}");
        let help = format!(
            "let a `mysql.dump` or `mysql.backup-physical` with `name: {name}` and the same store run before this step"
        );
        let (index, digest) = read::<DumpIndex>(store, uri, &index_name, &missing, &help).await?;
        if index.format > MANIFEST_FORMAT {
            let format = index.format;
            return Err(StepError::permanent(format!("`{index_name}` has format {format}, a newer one")));
        }
        objects.push(index.object.clone());
        objects.push(entry(&index_name, digest, ObjectRole::Index));
        indexes.push(index);
    }
    let missing = format!("there is no `{}` in {uri}", params.facts);
    let help = "let a `mysql.inspect` with the same store run before this step";
    let (server, digest) = read::<ServerFacts>(store, uri, &params.facts, &missing, help).await?;
    objects.push(entry(&params.facts, digest, ObjectRole::Facts));

    let mut manifest = manifest(uri, params, server, &indexes, finished_at)?;
    manifest.encryption = store.encryption().cloned();
    let instructions = instructions::text(&manifest, &objects);
    objects.push(instructions::entry(&instructions));
    for object in &objects {
        uri.key(&object.name).map_err(|error| StepError::permanent(error.to_string()))?;
    }
    manifest.objects = objects;
    Ok(Draft { manifest, instructions })
}

fn entry(name: &str, digest: Digest, role: ObjectRole) -> ObjectEntry {
    ObjectEntry { name: name.to_owned(), size_bytes: digest.size_bytes, sha256: digest.sha256, role }
}

async fn read<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    name: &str,
    missing: &str,
    help: &str,
) -> Result<(T, Digest), StepError> {
    let key = uri.key(name).map_err(|error| StepError::permanent(error.to_string()))?;
    let bytes = read_small(store, &key, MAX_INDEX_BYTES).await?.map_err(|flaw| match flaw {
        Flaw::Missing => StepError::permanent(missing).help(help),
        Flaw::Damaged(_) => StepError::permanent(format!("{} in {uri}", flaw.of(name))).help(help),
    })?;
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| StepError::permanent(format!("`{name}` of {uri} can't be read: {error}")))?;
    Ok((value, Digest::of(&bytes)))
}

/// Dumps with data say what the backup holds; a schema says it only where there is nothing better.
fn rank(index: &DumpIndex) -> u8 {
    match index.object.role {
        ObjectRole::Full | ObjectRole::Files => 0,
        ObjectRole::Databases | ObjectRole::Tables => 1,
        ObjectRole::Schema => 2,
        ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions => 3,
    }
}

fn manifest(
    uri: &BackupUri,
    params: &PublishParams,
    server: ServerFacts,
    indexes: &[DumpIndex],
    finished_at: Timestamp,
) -> Result<Manifest, StepError> {
    let no_dump = || StepError::permanent("`objects` names no dump");
    let main = indexes.iter().min_by_key(|index| rank(index)).ok_or_else(no_dump)?;
    let started_at = indexes.iter().map(|index| index.started_at).min().ok_or_else(no_dump)?;
    // Several dumps of chosen databases or tables make up one backup together.
    let mut inventory = Inventory::default();
    for index in indexes.iter().filter(|index| rank(index) == rank(main)) {
        inventory.add(&index.inventory);
    }
    let mut tools: Vec<Tool> = indexes.iter().map(|index| index.tool.clone()).collect();
    tools.push(Tool {
        name: "rekindle".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: String::new(),
    });
    Ok(Manifest {
        format: MANIFEST_FORMAT,
        id: uri.id.clone(),
        kind: kind(params, indexes)?,
        cluster: uri.cluster.clone(),
        server,
        started_at,
        finished_at,
        consistent_point: main.consistent_point.clone(),
        objects: Vec::new(),
        inventory,
        tools,
        physical: main.physical.clone(),
        labels: params.labels.clone(),
        encryption: None,
    })
}

/// Streams of files and dumps are of different points in time and are restored differently: never in one backup.
fn kind(params: &PublishParams, indexes: &[DumpIndex]) -> Result<BackupKind, StepError> {
    let streams = indexes.iter().filter(|index| index.physical.is_some()).count();
    let kind = match (streams, indexes.len()) {
        (0, _) => BackupKind::Logical,
        (1, 1) => BackupKind::Physical,
        _ => {
            return Err(StepError::permanent("`objects` names a stream of files and something else")
                .help("publish the stream of a `mysql.backup-physical` as a backup of its own"));
        }
    };
    match params.kind {
        Some(said) if said != kind => {
            Err(StepError::permanent("`kind` is not what the objects are").help("leave `kind` out"))
        }
        Some(_) | None => Ok(kind),
    }
}
