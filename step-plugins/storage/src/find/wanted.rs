//! What a backup has to hold to be chosen, and which of its dumps that lies in.

use rekindle_backup::catalogue::Summary;
use rekindle_backup::covers::Covers;
use rekindle_backup::inventory::table_named;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{DumpIndex, Manifest, ObjectEntry, ObjectRole};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::verify::index_of;

/// What a backup has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// All databases of the server.
    Server,
    /// All of this database.
    Database(String),
    /// This table, as `database.table`.
    Table(String),
    /// Whatever it is.
    Anything,
}

impl Wanted {
    /// Tells whether a backup may hold it; of one of everything, only the manifest says whether it does.
    pub(super) fn may_be_in(&self, summary: &Summary) -> bool {
        match self {
            Self::Server => summary.covers.is_whole(),
            Self::Database(name) => summary.covers.may_hold_database(name),
            Self::Table(name) => summary.covers.may_hold_table(name),
            Self::Anything => true,
        }
    }

    /// Tells whether a backup holds it.
    pub(super) fn is_in(&self, manifest: &Manifest) -> bool {
        let covers = Covers::of(manifest);
        let databases = &manifest.inventory.databases;
        match self {
            Self::Server => covers.is_whole(),
            Self::Database(name) => covers.may_hold_database(name) && databases.contains_key(name),
            Self::Table(name) => {
                let find = |database: &str, table: &str| databases.get(database)?.tables.get(table);
                covers.may_hold_table(name) && table_named(name, find).is_some()
            }
            Self::Anything => true,
        }
    }

    fn is_in_dump(&self, role: ObjectRole, index: &DumpIndex) -> bool {
        let databases = &index.inventory.databases;
        match self {
            Self::Database(name) => role == ObjectRole::Databases && databases.contains_key(name),
            Self::Table(name) => {
                table_named(name, |database, table| databases.get(database)?.tables.get(table)).is_some()
            }
            Self::Server | Self::Anything => true,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str("the whole server"),
            Self::Database(name) => write!(f, "the database `{name}`"),
            Self::Table(name) => write!(f, "the table `{name}`"),
            Self::Anything => f.write_str("anything"),
        }
    }
}

/// Names the object that what is wanted is restored from; empty when there is none.
///
/// A backup of everything has one. Where several dumps of some databases or tables make up one backup, their indexes
/// say what is in which.
pub(super) async fn object(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    manifest: &Manifest,
    wanted: &Wanted,
) -> Result<String, StepError> {
    let mut data: Vec<&ObjectEntry> =
        manifest.objects.iter().filter(|one| rank(one.role).is_some()).collect();
    data.sort_by_key(|one| rank(one.role));
    let Some(first) = data.first() else { return Ok(String::new()) };
    let is_part = |one: &&&ObjectEntry| rank(one.role) == Some(1);
    let parts: Vec<_> = data.iter().filter(is_part).collect();
    if rank(first.role) == Some(1) && parts.len() > 1 {
        for part in parts {
            let index = index_of(store, uri, manifest, part).await?;
            if index.is_some_and(|index| wanted.is_in_dump(part.role, &index)) {
                return Ok(part.name.clone());
            }
        }
    }
    Ok(first.name.clone())
}

/// Orders what can be restored: first what has most. Nothing for what has no data.
fn rank(role: ObjectRole) -> Option<u8> {
    match role {
        ObjectRole::Full | ObjectRole::Files => Some(0),
        ObjectRole::Databases | ObjectRole::Tables => Some(1),
        ObjectRole::Schema => Some(2),
        ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions => None,
    }
}
