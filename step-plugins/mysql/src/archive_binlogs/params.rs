//! What a runbook says, and what later steps get.

use jiff::Timestamp;
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.archive-binlogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveBinlogsParams {
    /// The server whose logs are archived. Always the same one of a cluster: the logs of another server are another
    /// archive.
    pub target: TargetName,
    /// Where.
    pub store: StoreName,
    /// Of which cluster; the environment's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Go on until the step is cancelled, and archive every few seconds what the server has logged, without making it
    /// begin a new log. Otherwise it begins a new one, and all others are archived once.
    #[serde(default)]
    pub follow: bool,
    /// How long to wait between two looks when following: `10s` when absent. What a disaster costs is what was
    /// written since the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<DurationText>,
    /// End well after following for this long; absent goes on until the step is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<DurationText>,
}

impl ArchiveBinlogsParams {
    /// Everything that a server has logged, once.
    pub(crate) fn once(target: TargetName, store: StoreName) -> Self {
        Self { target, store, cluster: None, follow: false, every: None, stop_after: None }
    }
}

/// Outputs of `mysql.archive-binlogs`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveBinlogsOutputs {
    /// Where: `binlogs/CLUSTER/SERVER/TIMELINE/`.
    pub prefix: String,
    /// What this run has archived, as `LOG:POSITION`, in order.
    pub segments: Vec<String>,
    /// How many transactions are in that.
    pub transactions: u64,
    /// Size of that in the store.
    pub size_bytes: u64,
    /// What was lost before it could be archived: `bin.000012 is missing: …`. A point in time after it can be reached
    /// only from a backup that is newer.
    pub gaps: Vec<String>,
    /// The last GTID in the archive; empty when there is none.
    pub last_gtid: String,
    /// When the last transaction in the archive was committed.
    #[schemars(with = "Option<String>")]
    pub last_at: Option<Timestamp>,
    /// Everything that the server logged until then is archived (UTC, by its own clock).
    #[schemars(with = "Option<String>")]
    pub covered_until: Option<Timestamp>,
    /// How old the oldest thing is that the server has logged and the archive has not, at most: 0 when there is none.
    #[schemars(extend("x-volatile" = true))]
    pub lag_seconds: u64,
    /// What a disaster would have cost at the end of this run: the time since `covered_until`.
    #[schemars(extend("x-volatile" = true))]
    pub rpo_seconds: u64,
}
