//! What a restore is told and what it tells.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `mysql.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The backup, as `backup.find` names it.
    pub backup: BackupUri,
    /// The server to load.
    pub target: TargetName,
    /// The dump inside the backup.
    #[serde(default = "full")]
    pub object: String,
    /// Replace what the server holds. Without it a server that holds databases is left as it is.
    #[serde(default)]
    pub overwrite: bool,
    /// Whether the restore goes into the server's binary log, and so to its replicas. `off` when absent for a whole
    /// backup, `on` for a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog: Option<BinlogUse>,
    /// Databases to take out of the backup; with `tables`, everything else on the server stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Tables to take out of the backup, as `database.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Other names for what is taken out: `shop: shop_before`, `shop.orders: shop.orders_before`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Archive the server's own binary logs into this store, once it is fenced and before anything of it is replaced:
    /// a restore ends with empty logs. Only where it replaces the whole of a server that logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_to: Option<StoreName>,
    /// Leave the server fenced in the end, read-only and without events, for `mysql.replay-binlogs`, which takes the
    /// fence down: nothing is written in between, and nobody works on data that are not brought forward yet.
    #[serde(default)]
    pub stay_fenced: bool,
    /// This is a drill into a server made for it: when the backup does not load there, that is stored as its verdict, and
    /// it no longer counts as verified.
    #[serde(default)]
    pub drill: bool,
    /// How many sessions load tables side by side; twice the processors of this machine, from 2 to 8, when absent.
    /// 1 loads everything in the order of the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub parallelism: Option<usize>,
}

/// No restore has more sessions that load tables.
pub const MAX_SESSIONS: usize = 32;

impl Params {
    /// Tells whether less than the whole backup is wanted.
    pub(super) fn is_partial(&self) -> bool {
        !self.databases.is_empty() || !self.tables.is_empty()
    }

    /// Looks whether the parameters go together.
    ///
    /// # Errors
    /// When a part is to be fenced, or a server that goes on logging.
    pub(super) fn check(&self) -> Result<(), StepError> {
        if self.stay_fenced && (self.is_partial() || self.binlog() == BinlogUse::On) {
            return Err(StepError::permanent("`stay_fenced` is for a whole backup with `binlog: off`")
                .help("binary logs can be replayed onto nothing else: leave `stay_fenced` out"));
        }
        Ok(())
    }

    /// Gives what is done with the binary log.
    pub(super) fn binlog(&self) -> BinlogUse {
        self.binlog.unwrap_or(if self.is_partial() { BinlogUse::On } else { BinlogUse::Off })
    }

    /// Gives how many sessions load tables.
    pub(super) fn sessions(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        self.parallelism.map_or((2 * processors).clamp(2, 8), |wanted| wanted.clamp(1, MAX_SESSIONS))
    }
}

/// What a restore does with the server's binary log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BinlogUse {
    /// Writes nothing into it, then empties it and sets the backup's GTID position: the beginning of a cluster.
    #[default]
    Off,
    /// Writes everything into it, and leaves the position alone.
    On,
}

fn full() -> String {
    "full.sql.gz".to_owned()
}

/// Outputs of `mysql.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The backup.
    pub backup: BackupUri,
    /// Tables that were loaded.
    pub tables: u64,
    /// Rows that were loaded.
    pub rows: u64,
    /// Statements that were sent.
    pub statements: u64,
    /// Size of the SQL text.
    pub text_bytes: u64,
    /// The GTID position that the server is at now: the backup's. Empty when the backup has none, when it was
    /// not restored whole, and with `binlog: on`.
    pub gtid: String,
    /// The point in time that the data are of (RFC 3339).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
}
