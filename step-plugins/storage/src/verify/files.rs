//! The `content` level of a physical backup: its stream is read once, every chunk of it with its checksum.

use std::io;
use std::sync::Arc;

use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{Manifest, ObjectEntry};
use rekindle_backup::physical::{ChainError, CheckError, Physical, check_stream, load_chain};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;

use super::content::{Counted, disagreement, index_of, read_whole};
use crate::reading::{self, Digest, Meter};

/// Reads a stream whole and gives what is wrong with it.
pub(super) async fn look_into(
    store: &Arc<dyn ObjectStore>,
    uri: &BackupUri,
    manifest: &Manifest,
    object: &ObjectEntry,
    meter: &Meter,
) -> Result<Vec<String>, StepError> {
    let name = &object.name;
    let Some(physical) = manifest.physical.clone() else {
        return Ok(vec![format!("the manifest does not say what the stream `{name}` is")]);
    };
    let key = uri.key(name).map_err(|error| StepError::permanent(error.to_string()))?;
    let body = match reading::open(&**store, &key).await? {
        Ok(body) => body,
        Err(flaw) => return Ok(vec![flaw.of(name)]),
    };
    let mut problems = Vec::new();
    match index_of(&**store, uri, manifest, object).await? {
        Some(index) => problems.extend(disagreement(manifest, object, &index)),
        None => problems.push(format!("`{name}` has no index that can be read")),
    }
    problems
        .extend(read_whole(store, &key, body, object, meter, move |counted| read(counted, &physical)).await?);
    Ok(problems)
}

/// Checks the stream, then reads on to the end of the object, so that its checksum is known either way.
fn read(mut counted: Counted, physical: &Physical) -> io::Result<(Digest, Option<String>)> {
    let content = match check_stream(&mut counted, physical.format, |_| Ok(())) {
        Ok(contents) if contents.files != physical.files => {
            Some(format!("it has {} files instead of {}", contents.files, physical.files))
        }
        Ok(_) => None,
        // Trouble with reading is none of the backup.
        Err(CheckError::Read(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
        Err(error) => Some(error.to_string()),
    };
    Ok((counted.finish()?, content))
}

/// Tells what is wrong with what an increment builds on: without it the increment is worth nothing.
pub(super) async fn broken_chain(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    manifest: &Manifest,
) -> Result<Option<String>, StepError> {
    if manifest.physical.is_none() {
        return Ok(None);
    }
    match load_chain(store, uri).await {
        Ok(_) => Ok(None),
        Err(error @ (ChainError::Broken { .. } | ChainError::NotPhysical(_))) => Ok(Some(error.to_string())),
        Err(error @ ChainError::Catalogue(_)) => Err(error.into()),
    }
}
