//! What a runbook says, and what later steps get.

use jiff::Timestamp;
use rekindle_engine::id::StoreName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.find-in-binlogs`. A field that is absent or empty asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindInBinlogsParams {
    /// Where the archived logs lie.
    pub store: StoreName,
    /// Of which cluster; the environment's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whose logs, as the folder below `binlogs/CLUSTER/` is called; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What was done.
    pub deeds: Vec<Deed>,
    /// To which database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// To which table; dropping its database counts too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Not before this time: `2026-11-22T15:35:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<Timestamp>,
    /// Not after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub to: Option<Timestamp>,
    /// The one of this GTID, as an earlier search has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// Which one is told when there are several: `only` when absent.
    #[serde(default)]
    pub which: Which,
}

/// What is done to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// `DROP TABLE`, `DROP DATABASE`
    Drop,
    /// `TRUNCATE`
    Truncate,
    /// `ALTER TABLE`, `RENAME TABLE`
    Alter,
    /// Rows were deleted.
    Delete,
    /// Rows were changed.
    Update,
    /// Rows were added.
    Insert,
}

/// Which one of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Several are refused, with a list of them; but of several the newest is told when it is the only one that left
    /// no row, a `DROP` or `TRUNCATE`.
    #[default]
    Only,
    /// The last one.
    Latest,
    /// The first one.
    Earliest,
}

/// Outputs of `mysql.find-in-binlogs`: the one that was asked for, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindInBinlogsOutputs {
    /// Its GTID; empty when it has none.
    pub gtid: String,
    /// When it was committed, in whole seconds (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The server's folder below `binlogs/CLUSTER/`.
    pub server: String,
    /// Its log.
    pub log: String,
    /// Where the transaction begins there.
    pub start: u64,
    /// Where the transaction ends there.
    pub end: u64,
    /// What was done: `DROP shop.orders`, `DELETE shop.orders`.
    pub what: String,
    /// The statement, when the log has it: its first 200 characters.
    pub statement: String,
    /// How many transactions fit.
    pub count: u64,
    /// The last 20 of them, the latest last.
    pub found: Vec<Found>,
}

/// A transaction that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Its GTID; empty when it has none.
    pub gtid: String,
    /// When it was committed (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What was done.
    pub what: String,
    /// How much of the log it takes: the more rows, the more.
    pub size_bytes: u64,
}
