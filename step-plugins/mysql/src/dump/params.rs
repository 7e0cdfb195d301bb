//! What a runbook says to `mysql.dump`, and what it gets.

use std::time::Duration;

use rekindle_backup::manifest::ObjectRole;
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::StepError;
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_part::check_name;
use crate::stall::check_stall_timeout;

/// Parameters of `mysql.dump`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DumpParams {
    /// The server to dump.
    pub target: TargetName,
    /// Where the dump is written.
    pub store: StoreName,
    /// The dump's name; its object is `NAME.sql.gz`.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub name: String,
    /// What is dumped.
    #[serde(default)]
    pub scope: DumpScope,
    /// Which databases; only with `scope: databases`.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Which tables, as `database.table`; only with `scope: tables`.
    #[serde(default)]
    pub tables: Vec<String>,
    /// The backup's id; the run's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From 0 (none) to 9 (smallest); 6 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9))]
    pub compression_level: Option<u32>,
    /// Also note a checksum of every transactional table at the dump's consistent point, for a restore drill to compare
    /// with. The server reads every table a second time, and commits wait for a moment while both snapshots open.
    #[serde(default)]
    pub checksums: bool,
    /// How long the client may write nothing before it is ended and the step fails; `10m` when absent. The server may
    /// need a while before the first row of a large view, or for a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<DurationText>,
}

/// How long a client may write nothing.
const STALL_TIMEOUT: Duration = Duration::from_mins(10);

/// What is dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DumpScope {
    /// All databases of users, and the accounts.
    #[default]
    All,
    /// The databases that are named, without accounts.
    Databases,
    /// The tables that are named, with their triggers, without accounts. Restoring it touches no other table.
    Tables,
    /// All databases of users without their rows, and without accounts.
    SchemaOnly,
}

impl DumpScope {
    pub(super) fn role(self) -> ObjectRole {
        match self {
            Self::All => ObjectRole::Full,
            Self::Databases => ObjectRole::Databases,
            Self::Tables => ObjectRole::Tables,
            Self::SchemaOnly => ObjectRole::Schema,
        }
    }

    pub(super) fn has_rows(self) -> bool {
        match self {
            Self::All | Self::Databases | Self::Tables => true,
            Self::SchemaOnly => false,
        }
    }

    /// Whether events and routines are in it: they belong to no table.
    pub(super) fn has_events(self) -> bool {
        match self {
            Self::All | Self::Databases | Self::SchemaOnly => true,
            Self::Tables => false,
        }
    }
}

/// What `mysql.dump` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DumpOutputs {
    /// The object's key in the store.
    pub object: String,
    /// The key of its index.
    pub index: String,
    /// Size of the object.
    pub size_bytes: u64,
    /// Size of the SQL text.
    pub text_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// How many tables it has.
    pub tables: u64,
    /// How many rows.
    pub rows: u64,
    /// How many of the tables have a checksum.
    pub checksums: u64,
    /// The position of its data, when the server keeps GTIDs; empty otherwise.
    pub gtid: String,
    /// The point in time of its data (UTC).
    #[schemars(with = "String")]
    pub recovery_point: jiff::Timestamp,
}

impl DumpParams {
    /// Checks what the types can not.
    pub(super) fn check(&self) -> Result<(), StepError> {
        check_name(&self.name, "a dump", "full")?;
        if !self.databases.is_empty() && !self.tables.is_empty() {
            return Err(StepError::permanent(
                "`databases` and `tables` are both given, and a dump is of one of them",
            )
            .help("make two backups, or dump the databases of the tables whole"));
        }
        if (self.scope == DumpScope::Databases) == self.databases.is_empty() {
            return Err(StepError::permanent(
                "`databases` names the databases of `scope: databases`, and of no other scope",
            )
            .help("set both, or neither"));
        }
        if (self.scope == DumpScope::Tables) == self.tables.is_empty() {
            return Err(StepError::permanent(
                "`tables` names the tables of `scope: tables`, and of no other scope",
            )
            .help("set both, or neither"));
        }
        if self.checksums && !self.scope.has_rows() {
            return Err(
                StepError::permanent("a dump without rows has no `checksums`").help("leave `checksums` out")
            );
        }
        if self.compression_level.is_some_and(|level| level > 9) {
            return Err(StepError::permanent("`compression_level` is from 0 to 9"));
        }
        check_stall_timeout(self.stall_timeout)
    }

    /// Gives how long the client may write nothing.
    pub(super) fn stall_timeout(&self) -> Duration {
        self.stall_timeout.map_or(STALL_TIMEOUT, |limit| limit.0)
    }

    pub(super) fn object_name(&self) -> String {
        format!("{}.sql.gz", self.name)
    }
}
