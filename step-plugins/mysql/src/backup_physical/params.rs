//! What a runbook says to `mysql.backup-physical`, and what it gets.

use std::time::Duration;

use rekindle_backup::physical::{Method, StreamFormat};
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::StepError;
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_part::check_name;
use crate::stall::check_stall_timeout;

/// The word that means the newest backup that can be built on.
pub(super) const LATEST: &str = "latest";

/// Parameters of `mysql.backup-physical`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The server, whose files are on this machine.
    pub target: TargetName,
    /// Where the backup is written.
    pub store: StoreName,
    /// The stream's name; its object is `NAME.mbstream.gz`, `NAME.xbstream.gz` or `NAME.tar.gz`.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub name: String,
    /// `hot` copies a running server; `cold` stops it, archives its files and starts it again.
    #[serde(default)]
    pub mode: Method,
    /// What to make an increment to: `backup://STORE/CLUSTER/ID` in the same store, or `latest`. A full backup when
    /// absent or empty. Only with `mode: hot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The backup's id; the run's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From 0 (none) to 9 (smallest); 6 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9))]
    pub compression_level: Option<u32>,
    /// How long the program may write nothing before it is ended and the step fails; `30m` when absent. An increment
    /// reads large tables without writing anything where nothing in them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<DurationText>,
}

/// How long a program may write nothing.
const STALL_TIMEOUT: Duration = Duration::from_mins(30);

/// What `mysql.backup-physical` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The object's key in the store.
    pub object: String,
    /// The key of its index.
    pub index: String,
    /// Size of the object.
    pub size_bytes: u64,
    /// Size of the stream.
    pub stream_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// Files in it.
    pub files: u64,
    /// Tables in it.
    pub tables: u64,
    /// The id of the backup that it is an increment to; empty when it is full.
    pub base: String,
    /// Where an increment to it begins; 0 in a cold backup.
    pub to_lsn: u64,
    /// The position of its data, when the server keeps GTIDs; empty otherwise.
    pub gtid: String,
    /// The point in time of its data (UTC).
    #[schemars(with = "String")]
    pub recovery_point: jiff::Timestamp,
}

impl Params {
    /// Checks what the types can not.
    pub(super) fn check(&self) -> Result<(), StepError> {
        check_name(&self.name, "a backup's stream", "base")?;
        if self.mode == Method::Cold && self.base().is_some() {
            return Err(StepError::permanent("a cold backup is always full: it has no `base`")
                .help("take `base` away, or use `mode: hot`"));
        }
        if self.compression_level.is_some_and(|level| level > 9) {
            return Err(StepError::permanent("`compression_level` is from 0 to 9"));
        }
        check_stall_timeout(self.stall_timeout)
    }

    /// Gives what it is to be an increment to.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref().filter(|base| !base.is_empty())
    }

    /// Gives how long the program may write nothing.
    pub(super) fn stall_timeout(&self) -> Duration {
        self.stall_timeout.map_or(STALL_TIMEOUT, |limit| limit.0)
    }

    pub(super) fn object_name(&self, format: StreamFormat) -> String {
        format!("{}.{}.gz", self.name, format.as_str())
    }
}
