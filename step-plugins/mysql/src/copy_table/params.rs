//! What a runbook says, and what later steps get.

use rekindle_engine::id::TargetName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.copy-table`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyTableParams {
    /// The server that has the table.
    pub from: TargetName,
    /// The server that is to get it.
    pub to: TargetName,
    /// Its database. Where `to` has none of that name, it is created as it is at `from`.
    pub database: String,
    /// Its name at `from`.
    pub table: String,
    /// Its name at `to`, where there is none of that name yet. Its foreign keys and triggers are left behind.
    #[serde(rename = "as")]
    pub new_name: String,
}

/// Outputs of `mysql.copy-table`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyTableOutputs {
    /// The database and the new name: `shop.orders_recovered`.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// The checksum that both tables have: equal for equal rows, whatever their order.
    pub checksum: String,
}
