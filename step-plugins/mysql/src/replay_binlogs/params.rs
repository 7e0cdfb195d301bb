//! What a runbook says, and what later steps get.

use jiff::Timestamp;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::{StoreName, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.replay-binlogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBinlogsParams {
    /// The server, which holds what the backup has and nothing else.
    pub target: TargetName,
    /// The backup that it was restored from.
    pub backup: BackupUri,
    /// Where the archived logs lie; the backup's store when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreName>,
    /// Whose logs, as the folder below `binlogs/CLUSTER/` is called. When absent or empty those of the server that the
    /// backup is of, or of the only other one that has the backup's point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// How far: exactly one of its fields.
    pub until: Until,
    /// Transactions to leave out, by GTID: the `DROP` or `DELETE` that is to be undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// Replay although logs in between are missing. What was in them is then missing from the data too, and rows that
    /// later transactions expect may not be there.
    #[serde(default)]
    pub allow_gaps: bool,
}

/// How far logs are replayed. What is empty or 0 counts as not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Until before the first transaction that was committed at this time or later: `2026-11-22T15:35:00Z` or
    /// `2026-11-22T16:35:00+01:00`, in whole seconds, with the offset or the zone said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Until after this transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// Until before this transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_gtid: Option<String>,
    /// Until `position` of this log: `bin.000012`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Until before the transaction that ends after this position of `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// As far as the archive reaches.
    #[serde(default)]
    pub end: bool,
}

/// Outputs of `mysql.replay-binlogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayBinlogsOutputs {
    /// How many transactions lie between the backup and where the server stands now, skipped ones left out.
    pub transactions: u64,
    /// The server's GTID position now; empty without GTIDs.
    pub gtid: String,
    /// The last transaction that the server has.
    #[serde(default)]
    pub last_kept: Option<Told>,
    /// The first one that it has not; absent when the archive holds none.
    #[serde(default)]
    pub first_lost: Option<Told>,
}

/// A transaction, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Its GTID; empty when it has none.
    pub gtid: String,
    /// When it was committed, in whole seconds (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Its log.
    pub log: String,
    /// Where it begins there.
    pub start: u64,
    /// Where it ends there.
    pub end: u64,
}

impl std::fmt::Display for Told {
    /// Writes `0-1-5 of 2026-11-22T15:35:00Z (bin.000012, 400 to 900)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.gtid.is_empty() {
            write!(f, "{} ", self.gtid)?;
        }
        write!(f, "of {} ({}, {} to {})", self.at, self.log, self.start, self.end)
    }
}
