//! Looks at every object of a backup; what is wrong is collected, by name.

use std::sync::Arc;

use rekindle_backup::catalogue::{self, CatalogueError, Shown};
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{Manifest, ObjectEntry, ObjectRole};
use rekindle_backup::verdict::Level;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{StepContext, StepError};

use super::{content, files};
use crate::reading::{self, Meter};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// One object or fact each; empty when all is well.
    pub(super) problems: Vec<String>,
    /// Objects read.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Looks at a backup. Trouble of the store is an error; trouble of the backup is a finding.
pub(super) async fn look(
    store: &Arc<dyn ObjectStore>,
    uri: &BackupUri,
    level: Level,
    cx: &StepContext,
) -> Result<Found, StepError> {
    let mut found = Found::default();
    let Shown { listed, manifest } = catalogue::show(&**store, uri).await?;
    // A verdict that can't be read proves nothing; verifying at its level writes it anew.
    found.problems.extend(listed.damaged_verdicts.iter().filter_map(damage));
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => match damage(&error) {
            Some(problem) => {
                found.problems.push(problem);
                return Ok(found);
            }
            None => return Err(error.into()),
        },
    };
    let meter = Meter::new(cx, manifest.size_bytes());
    for object in &manifest.objects {
        let problems = match (level, object.role) {
            (
                Level::Content | Level::Restore,
                ObjectRole::Full | ObjectRole::Databases | ObjectRole::Tables | ObjectRole::Schema,
            ) => content::look_into(store, uri, &manifest, object, &meter).await?,
            (Level::Content | Level::Restore, ObjectRole::Files) => {
                files::look_into(store, uri, &manifest, object, &meter).await?
            }
            (Level::Objects, _)
            | (
                Level::Content | Level::Restore,
                ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions,
            ) => reading::problem(&**store, uri, object, &meter).await?.into_iter().collect(),
        };
        found.objects += 1;
        found.bytes += object.size_bytes;
        found.problems.extend(problems);
        if manifest.encryption.is_some() {
            found.problems.extend(reading::openness(&**store, uri, object).await?);
        }
    }
    found.problems.extend(holds_a_dump(&manifest));
    found.problems.extend(files::broken_chain(&**store, uri, &manifest).await?);
    Ok(found)
}

fn damage(error: &CatalogueError) -> Option<String> {
    match error {
        CatalogueError::Damaged { name, why, .. } => Some(format!("`{name}` is damaged: {why}")),
        CatalogueError::NotFound(_)
        | CatalogueError::Newer { .. }
        | CatalogueError::Key(_)
        | CatalogueError::Store(_) => None,
    }
}

fn holds_a_dump(manifest: &Manifest) -> Option<String> {
    let is_dump = |object: &ObjectEntry| match object.role {
        ObjectRole::Full
        | ObjectRole::Databases
        | ObjectRole::Tables
        | ObjectRole::Schema
        | ObjectRole::Files => true,
        ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions => false,
    };
    (!manifest.objects.iter().any(is_dump)).then(|| "the manifest names no dump".to_owned())
}
