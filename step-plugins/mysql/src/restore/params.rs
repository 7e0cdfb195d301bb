//! What a restore is told and what it tells.

use jiff::Timestamp;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::TargetName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The backup, as `backup.find` names it.
    pub backup: BackupUri,
    /// The server to load.
    pub target: TargetName,
    /// The dump inside the backup.
    #[serde(default = "full")]
    pub object: String,
    /// Replace what the server holds. Without it a server that holds databases is left as it is.
    #[serde(default)]
    pub overwrite: bool,
    /// Whether the restore goes into the server's binary log, and so to its replicas.
    #[serde(default)]
    pub binlog: BinlogUse,
}

/// What a restore does with the server's binary log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BinlogUse {
    /// Writes nothing into it, then empties it and sets the backup's GTID position: the beginning of a cluster.
    #[default]
    Off,
    /// Writes everything into it, and leaves the position alone.
    On,
}

fn full() -> String {
    "full.sql.gz".to_owned()
}

/// Outputs of `mysql.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The backup.
    pub backup: BackupUri,
    /// Tables that were loaded.
    pub tables: u64,
    /// Rows that were loaded.
    pub rows: u64,
    /// Statements that were sent.
    pub statements: u64,
    /// Size of the SQL text.
    pub text_bytes: u64,
    /// The GTID position that the server is at now: the backup's. Empty when the backup has none, when it was
    /// not restored whole, and with `binlog: on`.
    pub gtid: String,
    /// The point in time that the data are of (RFC 3339).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
}
