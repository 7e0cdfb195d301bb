//! What a runbook says, and what later steps get.

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::{StepId, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.verify-restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The server that the backup was restored into, and that nothing else has written to.
    pub target: TargetName,
    /// The backup.
    pub backup: BackupUri,
    /// The step of this run that restored it: how long it took is what the prediction is made from.
    pub restored_by: StepId,
    /// The server whose recovery is predicted, by the size that it has now. Absent: a server of the backup's size. One
    /// that can't be reached is a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<TargetName>,
    /// Whether to store the verdict beside the backup, where `backup.find` and `backup.prune` see it.
    #[serde(default = "record")]
    pub record: bool,
}

fn record() -> bool {
    true
}

/// Outputs of `mysql.verify-restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The backup.
    pub backup: BackupUri,
    /// Tables that were compared.
    pub tables: u64,
    /// Rows that were counted.
    pub rows: u64,
    /// Tables whose checksums were compared with those of the dump's consistent point.
    pub checksums: u64,
    /// How long the restore took, in milliseconds.
    #[schemars(extend("x-volatile" = true))]
    pub restore_ms: u64,
    /// Data and indexes of the server that was restored.
    pub data_bytes: u64,
    /// Throughput of the restore: data and indexes, in bytes per second.
    #[schemars(extend("x-volatile" = true))]
    pub bytes_per_second: Option<u64>,
    /// Data and indexes of the server whose recovery is predicted.
    pub production_bytes: u64,
    /// How long a restore of that size takes on a machine like this, in milliseconds.
    #[schemars(extend("x-volatile" = true))]
    pub predicted_restore_ms: Option<u64>,
}
