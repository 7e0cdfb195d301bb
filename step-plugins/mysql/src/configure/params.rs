//! What a runbook says, and what later steps get.

use std::collections::BTreeMap;

use rekindle_engine::id::TargetName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Parameters of `mysql.configure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigureParams {
    /// The server.
    pub target: TargetName,
    /// Global variables and what they are to be: `{ binlog_expire_logs_seconds: 604800, max_binlog_size: 104857600 }`.
    /// Numbers, texts, and `true` or `false`. `binlog_expire_logs_seconds` becomes whole days in `expire_logs_days`
    /// where a server knows only that.
    pub variables: BTreeMap<String, Value>,
    /// An option file to keep them in, for servers that can't do it themselves (MariaDB, MySQL 5.7). It lies on this
    /// machine, in a folder that the server reads at its start, and holds nothing else:
    /// `/etc/mysql/conf.d/rekindle.cnf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults_file: Option<String>,
}

/// Outputs of `mysql.configure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigureOutputs {
    /// What was changed; empty when everything was so already.
    pub changed: Vec<Change>,
    /// How the values outlive a restart of the server.
    pub kept: Kept,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its name on the server.
    pub name: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

impl std::fmt::Display for Change {
    /// Writes `max_binlog_size: 1073741824 → 104857600`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} → {}", self.name, self.old, self.new)
    }
}

/// How values outlive a restart of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// The server keeps them itself (`SET PERSIST`).
    Persisted,
    /// They stand in the option file.
    File,
    /// They don't: after a restart the server has its old ones.
    No,
}
