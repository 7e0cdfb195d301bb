//! What a runbook says, and what is found.

use jiff::Timestamp;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::BackupKind;
use rekindle_engine::id::{StoreName, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.assess`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The server that takes the writes.
    pub primary: TargetName,
    /// The servers that follow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<TargetName>,
    /// Where backups lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreName>,
    /// Also let the primary check every table (`CHECK TABLE … QUICK`). It reads indexes, and a server that finds InnoDB
    /// damaged may stop itself.
    #[serde(default)]
    pub check_tables: bool,
}

/// What is to be done, as the user's guide tells the cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Everything is up and follows.
    Nothing,
    /// A part is lost, another is alive: recover that part only.
    Component,
    /// Nothing is alive: rebuild all of it from a backup.
    WholeCluster,
    /// The primary is up, but its data are not what they should be: bring back what is lost from a backup.
    DataCorruption,
}

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It takes the writes.
    Primary,
    /// It follows.
    Replica,
}

/// How a replica follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicationState {
    /// Its source: `host:port`.
    pub source: String,
    /// How far it is behind, as it knows.
    pub seconds_behind: Option<u64>,
    /// Why it has not caught up; absent when it has.
    pub problem: Option<String>,
}

/// How one server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerState {
    /// Which.
    pub target: TargetName,
    /// What it is for.
    pub role: Role,
    /// Whether it answers.
    pub up: bool,
    /// Why it can't be used, or what is wrong with it.
    pub problem: Option<String>,
    /// `VERSION()`.
    pub version: Option<String>,
    /// `@@read_only`.
    pub read_only: Option<bool>,
    /// The restore or the replay that it is in the middle of.
    pub restoring: Option<String>,
    /// Its position: `gtid_executed` (MySQL) or `gtid_current_pos` (MariaDB).
    pub gtid: Option<String>,
    /// How it follows; absent when it follows nobody.
    pub replication: Option<ReplicationState>,
}

/// The newest backup of its kind that is of everything and that a verification has proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewestBackup {
    /// Which.
    pub uri: BackupUri,
    /// How it was made, and so which runbook restores it.
    pub kind: BackupKind,
    /// The point in time that restoring it leads to (UTC).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
    /// How long ago that was.
    #[schemars(extend("x-volatile" = true))]
    pub age_seconds: u64,
}

/// A backup that archived binary logs bring forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replayable {
    /// The newest verified backup of everything of its kind, in its store.
    pub uri: BackupUri,
    /// How it was made: a physical one only where the logs bring it further than any logical one.
    pub kind: BackupKind,
    /// The last point in time that it can be brought to (UTC): the server had written nothing more until then.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// How long ago that was.
    #[schemars(extend("x-volatile" = true))]
    pub age_seconds: u64,
}

/// Outputs of `mysql.assess`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The case that this is.
    pub strategy: Strategy,
    /// Why.
    pub why: String,
    /// What to do, the first first.
    pub next: Vec<String>,
    /// Every server, the primary first.
    pub servers: Vec<ServerState>,
    /// What the newest verified backup has and the primary has not, and tables that are damaged.
    pub lost: Vec<String>,
    /// The newest verified backup of all stores, of whatever kind.
    pub newest_verified: Option<NewestBackup>,
    /// The newest verified backup of each kind, of all stores, the newest first.
    pub verified: Vec<NewestBackup>,
    /// The backup that archived binary logs of the same store bring furthest; absent when they bring none further.
    pub replayable: Option<Replayable>,
    /// How much time's writes would be lost if the primary's data were gone now; absent when all would be.
    #[schemars(extend("x-volatile" = true))]
    pub achievable_rpo_seconds: Option<u64>,
    /// What that is by: a replica, a backup, or a backup and archived binary logs.
    pub achievable_rpo_by: Option<String>,
    /// What could not be found out, with why: stores and archived logs that can't be read or have gaps.
    pub unknown: Vec<String>,
}
