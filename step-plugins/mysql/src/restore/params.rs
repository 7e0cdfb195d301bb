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
    /// The GTID position that the server is at now: the backup's. Empty when the backup has none.
    pub gtid: String,
    /// The point in time that the data are of (RFC 3339).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
}
