//! What a runbook says to `mysql.import-dump`, and what it gets.

use jiff::Timestamp;
use rekindle_backup::manifest::{Flavour, ObjectRole};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_part::check_name;

/// Parameters of `mysql.import-dump`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// The dump: a file, from rekindle's working directory, or an object `{ store, key }`. Plain SQL, gzip or zstd, as
    /// its first bytes tell.
    pub from: From,
    /// The point in time that its data are of. A dump does not say it, and everything that is promised about the
    /// backup depends on it.
    #[schemars(with = "String")]
    pub taken_at: Timestamp,
    /// Where the backup is made.
    pub store: StoreName,
    /// The backup's id; the run's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The dump's name in the backup; its object is `NAME.sql.gz`.
    #[serde(default = "full")]
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub name: String,
    /// Whether it is of everything on its server (`all`): restoring it then replaces everything, and sets the position
    /// that it states. `databases`, the default, replaces those that are in it.
    #[serde(default)]
    pub scope: ImportScope,
    /// The database that its tables belong to, when it names none: as of `mysqldump shop` without `--databases`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The server it is of, when its header does not say it: `mariadb` or `mysql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavour: Option<Flavour>,
    /// The version of that server, when its header does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Take a dump without its last line, `-- Dump completed`: nothing else tells that it is whole. Dumps made with
    /// `--skip-comments` have none.
    #[serde(default)]
    pub allow_missing_trailer: bool,
}

/// Where a dump is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum From {
    /// A file.
    File(String),
    /// An object.
    Object {
        /// Its store.
        store: StoreName,
        /// Its whole name there.
        key: String,
    },
}

/// How much of its server a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImportScope {
    /// Everything.
    All,
    /// Some databases.
    #[default]
    Databases,
}

impl ImportScope {
    pub(super) fn role(self) -> ObjectRole {
        match self {
            Self::All => ObjectRole::Full,
            Self::Databases => ObjectRole::Databases,
        }
    }
}

fn full() -> String {
    "full".to_owned()
}

/// Outputs of `mysql.import-dump`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportOutputs {
    /// The key of its object in the store.
    pub object: String,
    /// The key of its index.
    pub index: String,
    /// Size of the object.
    pub size_bytes: u64,
    /// Size of its text.
    pub text_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// Databases in it.
    pub databases: u64,
    /// Tables in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
    /// The position that it states; empty when it states none.
    pub gtid: String,
}

impl ImportParams {
    /// Checks what the types can not.
    pub(super) fn check(&self) -> Result<(), StepError> {
        check_name(&self.name, "a dump", "full")?;
        if matches!(&self.from, From::File(path) if path.is_empty()) {
            return Err(StepError::permanent("`from` is empty").help("write the path of a dump"));
        }
        if self.database.as_deref() == Some("") {
            return Err(
                StepError::permanent("`database` is empty").help("leave it out, or name the database")
            );
        }
        Ok(())
    }

    pub(super) fn object_name(&self) -> String {
        format!("{}.sql.gz", self.name)
    }
}
