//! What is restored: the manifest, the dump object in it, and the index that finds its parts.

use std::borrow::Cow;
use std::sync::Arc;

use rekindle_backup::catalogue;
use rekindle_backup::dump::Outline;
use rekindle_backup::inventory::{Database, Inventory};
use rekindle_backup::layout::index_name;
use rekindle_backup::manifest::{DumpIndex, Manifest, ObjectEntry, ObjectRole};
use rekindle_engine::host::{Key, ObjectStore};
use rekindle_engine::step::{StepContext, StepError};
use sha2::{Digest as _, Sha256};

use super::Params;
use crate::connection::Server;
use crate::dump::without_grant_option;
use crate::flavour::{ServerVersion, flavour_name};

/// An index has some 300 bytes for each 4 MiB of text.
const INDEX_LIMIT_BYTES: usize = 1 << 30;

/// What is restored.
pub(super) struct Source {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) manifest: Manifest,
    pub(super) object: ObjectEntry,
    /// What a dump of less than everything holds; the manifest says it of the whole.
    pub(super) partial: Option<Inventory>,
}

impl Source {
    pub(super) async fn find(params: &Params, cx: &StepContext) -> Result<Self, StepError> {
        let store = cx.store(&params.backup.store).await?;
        let manifest = catalogue::load_manifest(store.as_ref(), &params.backup).await?;
        let dumps = |object: &&ObjectEntry| {
            matches!(
                object.role,
                ObjectRole::Full | ObjectRole::Databases | ObjectRole::Tables | ObjectRole::Schema
            )
        };
        let named = manifest.objects.iter().filter(dumps).find(|object| object.name == params.object);
        let Some(object) = named.cloned() else {
            let all: Vec<_> = manifest.objects.iter().filter(dumps).map(|o| o.name.as_str()).collect();
            return Err(StepError::permanent(format!("{} has no dump `{}`", params.backup, params.object))
                .help(format!("it has {}", all.join(", "))));
        };
        let partial = match object.role {
            ObjectRole::Full => None,
            ObjectRole::Databases
            | ObjectRole::Tables
            | ObjectRole::Schema
            | ObjectRole::Files
            | ObjectRole::Index
            | ObjectRole::Facts
            | ObjectRole::Instructions => Some(index(store.as_ref(), params, None).await?.inventory),
        };
        Ok(Self { store, manifest, object, partial })
    }

    /// Reads the index of the object, if it proves every byte of it: only then can its parts be used one by one.
    ///
    /// What stands in the way of that is no failure, only slower: the object has a checksum of its own.
    pub(super) async fn parts(&self, params: &Params, cx: &StepContext) -> Option<(DumpIndex, Outline)> {
        let name = index_name(params.object.strip_suffix(".sql.gz").unwrap_or(&params.object));
        let entry = self.manifest.objects.iter().find(|object| object.name == name)?;
        let found = match index(self.store.as_ref(), params, Some(entry)).await {
            Ok(found) => found,
            Err(error) => {
                cx.warn(&format!("the dump is loaded by one session: {error}"));
                return None;
            }
        };
        let is_same =
            found.object.sha256 == self.object.sha256 && found.object.size_bytes == self.object.size_bytes;
        let outline = if is_same { Outline::of(&found) } else { None };
        outline.map(|outline| (found, outline))
    }

    /// Gives where the object is.
    pub(super) fn key(&self, params: &Params) -> Result<Key, StepError> {
        params.backup.key(&self.object.name).map_err(|error| StepError::permanent(error.to_string()))
    }

    /// Gives what the server must hold in the end.
    pub(super) fn inventory(&self) -> &Inventory {
        self.partial.as_ref().unwrap_or(&self.manifest.inventory)
    }

    /// Names what is restored of a dump of some tables: all of them, and never the databases that they are in.
    pub(super) fn named<'a>(&self, params: &'a Params) -> Cow<'a, Params> {
        if self.object.role != ObjectRole::Tables || params.is_partial() {
            return Cow::Borrowed(params);
        }
        let of_database = |(name, database): (&String, &Database)| {
            database.tables.keys().map(|table| format!("{name}.{table}")).collect::<Vec<_>>()
        };
        let tables = self.inventory().databases.iter().flat_map(of_database).collect();
        Cow::Owned(Params { tables, ..params.clone() })
    }

    /// Tells whether this database is replaced by the restore.
    pub(super) fn replaces(&self, database: &str) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.databases.contains_key(database))
    }

    /// Refuses an account that would fail at the accounts of the backup, after everything else is loaded.
    pub(super) async fn check_grant_option(&self, server: &mut Server) -> Result<(), StepError> {
        if self.object.role != ObjectRole::Full || self.manifest.server.users.is_empty() {
            return Ok(());
        }
        let Some(account) = without_grant_option(server).await? else { return Ok(()) };
        let target = server.session.target();
        Err(StepError::permanent(format!(
            "the account {account} of `{target}` has no WITH GRANT OPTION on *.*"
        ))
        .help(format!(
            "the backup has accounts, which it can't give their privileges; run `GRANT ALL PRIVILEGES ON *.* \
                 TO {account} WITH GRANT OPTION`"
        )))
    }

    pub(super) fn check_flavour(&self, server: &Server) -> Result<(), StepError> {
        let from = &self.manifest.server;
        if server.version.flavour == from.flavour {
            return Ok(());
        }
        let target = server.session.target();
        let is_of = format!("{} {}", flavour_name(from.flavour), from.version);
        Err(StepError::permanent(format!("`{target}` is {}, and the backup is of {is_of}", server.version))
            .help("restore to a server of the same flavour: dumps of one are not sound for the other"))
    }

    /// Says that a server is older than the one that was backed up, if it is.
    pub(super) fn is_of_newer(&self, server: &Server) -> Option<String> {
        let from = &self.manifest.server;
        let found = ServerVersion::read(&from.version, flavour_name(from.flavour))?;
        let series = |version: &ServerVersion| (version.number.0, version.number.1);
        (series(&found) > series(&server.version)).then(|| {
            format!(
                "`{}` is {}, and the backup is of {found}: what only the newer one knows, as collations, types and options \
                 of tables, is refused in the middle of the load; a restore drill on a server as old as this one tells",
                server.session.target(),
                server.version
            )
        })
    }
}

/// The code of an account that can't make the accounts of a backup.
pub(super) const MISSING_PRIVILEGE: &str = "rekindle::restore::missing_privilege";

async fn index(
    store: &dyn ObjectStore,
    params: &Params,
    expected: Option<&ObjectEntry>,
) -> Result<DumpIndex, StepError> {
    let name = index_name(params.object.strip_suffix(".sql.gz").unwrap_or(&params.object));
    let key = params.backup.key(&name).map_err(|error| StepError::permanent(error.to_string()))?;
    let text = store.get(&key, None).await?.collect(INDEX_LIMIT_BYTES).await;
    let text = text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => StepError::permanent(format!("`{key}` is damaged: {error}")).help(
            "`rekindle run verify` tells which objects are damaged; restore another backup or its copy",
        ),
        _ => StepError::transient(format!("failed to read `{key}`: {error}")),
    })?;
    if expected.is_some_and(|entry| entry.sha256 != hex::encode(Sha256::digest(&text))) {
        return Err(StepError::permanent(format!("`{key}` is damaged: its sha256 is not the manifest's")));
    }
    serde_json::from_slice(&text)
        .map_err(|error| StepError::permanent(format!("`{key}` can't be read: {error}")))
}
