//! What a runbook says, and what later steps get.

use rekindle_engine::id::TargetName;
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::Account;

/// Parameters of `mysql.reset-replication`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetReplicationParams {
    /// The server that is to follow. It becomes read-only.
    pub replica: TargetName,
    /// The server that it is to follow.
    pub source: TargetName,
    /// The account that the replica uses at the source.
    pub account: Account,
    /// Where the replica finds the source, when that is not where rekindle finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<SourceAddress>,
    /// Makes the replica connect to its source over TLS, and over nothing else. MySQL 9 does so by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// The position that the replica's data are of: `steps.restore.outputs.gtid`. Set on a replica that does not
    /// have it yet; its own binary log is emptied then. One that is there or further stays where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// How long the replica may take to catch up: `5m` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up_timeout: Option<DurationText>,
}

/// Where a replica finds its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How a replica proves who its source is (`MASTER_SSL_…` and `SOURCE_SSL_…` of the servers' manuals).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceTls {
    /// `false` connects without TLS, to a source that has none. MySQL's password stays secret then, the rows do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The certificates of authorities it trusts: a file in PEM on the replica's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether the source's certificate must be of one of them and name the host it is reached by; what the server
    /// does by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
}

/// Outputs of `mysql.reset-replication`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResetReplicationOutputs {
    /// The source's position that the replica was proven to reach.
    pub source_gtid: String,
    /// The replica's position then.
    pub replica_gtid: String,
    /// How long it took to catch up, in seconds; 0 when it had already.
    pub caught_up_seconds: f64,
}
