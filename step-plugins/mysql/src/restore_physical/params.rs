//! What a runbook says to `mysql.restore-physical`, and what it gets.

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::{StepContext, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::server_files::ServerFiles;

/// Parameters of `mysql.restore-physical`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which backup: `backup://STORE/CLUSTER/ID`. What an increment builds on is found by itself.
    pub backup: BackupUri,
    /// The server, whose files are on this machine: its `local:` in the environment says where.
    pub target: TargetName,
    /// Whether a server that runs is stopped, and files that are there are moved aside. Otherwise the data directory
    /// must be empty.
    #[serde(default)]
    pub overwrite: bool,
    /// Archive the binary logs of the server whose place is taken into this store, once it is read-only and before it is
    /// stopped. Of a server that does not run, logs in its data directory are moved aside with it, and others are
    /// archived before the restored one empties them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_to: Option<StoreName>,
    /// Leave the server fenced in the end, read-only and without events, for `mysql.replay-binlogs`, which takes the
    /// fence down: nothing is written in between, and nobody works on data that are not brought forward yet.
    #[serde(default)]
    pub stay_fenced: bool,
    /// The target is a throw-away server that a step `mysql.sandbox` made: whatever it holds is replaced, and the target's
    /// account is added to those of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxFiles>,
    /// This is a drill: when the backup does not come up, that is stored as its verdict, and it no longer counts as
    /// verified.
    #[serde(default)]
    pub drill: bool,
}

/// A throw-away server whose files are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxFiles {
    /// Its directory, as `mysql.sandbox` was told.
    pub directory: String,
    /// More options for the server on the backup's files, each `--name=value`: what it can't start without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Params {
    /// Tells whether what is there may be replaced.
    pub(super) fn replaces(&self) -> bool {
        self.overwrite || self.sandbox.is_some()
    }

    /// Finds the server whose files are replaced.
    pub(super) async fn files(&self, cx: &StepContext) -> Result<ServerFiles, StepError> {
        match &self.sandbox {
            None => ServerFiles::of(cx, &self.target),
            Some(made) => ServerFiles::of_sandbox(cx, &self.target, &made.directory, &made.options).await,
        }
    }
}

/// What `mysql.restore-physical` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The position that the server stands at, for `mysql.reset-replication`; empty when it keeps no GTIDs.
    pub gtid: String,
    /// The data directory.
    pub data_dir: String,
    /// Where the files that were there are now; empty when there were none. Remove them when you are sure.
    pub moved_aside: String,
    /// The backups that were needed, the full one first.
    pub backups: Vec<String>,
    /// `VERSION()` of the server.
    pub version: String,
    /// Tables in it.
    pub tables: u64,
    /// The point in time of its data (UTC).
    #[schemars(with = "String")]
    pub recovery_point: jiff::Timestamp,
}
