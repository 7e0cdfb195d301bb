//! What a runbook says, and what later steps get.

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::TargetName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answers::ExpectedAnswer;

/// Parameters of `mysql.assert`: the server, and at least one thing that must be true of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertParams {
    /// The server.
    pub target: TargetName,
    /// A backup whose inventory it must have: the same objects, and as many rows in every table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<BackupUri>,
    /// A server that must hold the same: objects, rows, and the checksum of every table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<TargetName>,
    /// Queries and what they must answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<ExpectedAnswer>,
}

/// Outputs of `mysql.assert`: what was compared and found equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssertOutputs {
    /// Databases in the inventory.
    pub databases: usize,
    /// Tables in the inventory.
    pub tables: usize,
    /// Rows in all of them.
    pub rows: u64,
    /// Tables whose checksums were compared with the other server's.
    pub checksums: usize,
    /// Queries that answered as expected.
    pub queries: usize,
}
