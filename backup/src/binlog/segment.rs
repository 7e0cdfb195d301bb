//! A segment: a stretch of one binary log that was archived. Its entry is what makes it exist, as a manifest does.
//!
//! Most segments are whole logs. Where a log is archived while the server still writes it, it comes in several, each a
//! sound log of its own: the format description of its log, then whole transactions.

use jiff::Timestamp;
use rekindle_engine::host::Encryption;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gtid::GtidSet;
use crate::manifest::{Flavour, ServerFacts, Tool};

/// The entry's format; a reader refuses a newer one.
pub const SEGMENT_FORMAT: u32 = 1;

/// Which server writes a log, so that the logs of two servers with the same names never meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerIdentity {
    /// Its family.
    pub flavour: Flavour,
    /// `VERSION()`.
    pub version: String,
    /// `@@server_id`.
    pub server_id: u32,
    /// `@@server_uuid` (MySQL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// `@@gtid_domain_id` (MariaDB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid_domain_id: Option<u32>,
    /// `@@server_uid` (MariaDB 10.11). Only noted: it is made of the port and the network card, so that a container
    /// has another one after each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uid: Option<String>,
}

impl ServerIdentity {
    /// Gives the name of the folder of its logs: MySQL's UUID, or MariaDB's domain and server id.
    pub fn folder(&self) -> String {
        folder(self.flavour, self.server_uuid.as_deref(), self.gtid_domain_id, self.server_id)
    }

    /// Gives the folder of the server that a backup was taken from.
    pub fn folder_of(server: &ServerFacts) -> String {
        folder(server.flavour, server.server_uuid.as_deref(), server.gtid_domain_id, server.server_id)
    }
}

fn folder(flavour: Flavour, uuid: Option<&str>, domain: Option<u32>, server_id: u32) -> String {
    match (flavour, uuid) {
        (Flavour::Mysql, Some(uuid)) => format!("mysql-{}", uuid.to_ascii_lowercase()),
        (Flavour::Mysql, None) => format!("mysql-server-{server_id}"),
        (Flavour::Mariadb, _) => format!("mariadb-{}-{server_id}", domain.unwrap_or(0)),
    }
}

/// The last event of a segment. The server is asked for it again before anything is put behind it: only the log that
/// was archived has it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastEvent {
    /// Where it begins in the server's log.
    pub position: u64,
    /// sha256 of its bytes, lowercase hex.
    pub sha256: String,
}

/// The entry of a segment, stored beside it once that is proven whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// [`SEGMENT_FORMAT`].
    pub format: u32,
    /// The cluster it is of.
    pub cluster: String,
    /// The server that wrote it.
    pub server: ServerIdentity,
    /// Which series of logs of that server: names begin anew after `RESET MASTER`.
    pub timeline: String,
    /// The log's name on the server.
    pub log: String,
    /// The number at the end of that name.
    pub number: u64,
    /// Where it begins in the server's log: 4 at the log's beginning.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// Whether the log ends there too.
    pub ends_log: bool,
    /// When the log was begun (UTC, by the server's clock).
    #[schemars(with = "String")]
    pub log_created_at: Timestamp,
    /// Its last event.
    pub last_event: LastEvent,
    /// How many transactions are in it.
    pub transactions: u64,
    /// Whether one of them can't be replayed as statements; absent where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindered: Option<bool>,
    /// The earliest commit in it, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub first_at: Option<Timestamp>,
    /// The latest commit in it, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_at: Option<Timestamp>,
    /// The server had written nothing more at this time, by its own clock (UTC).
    #[schemars(with = "String")]
    pub covered_until: Timestamp,
    /// The GTIDs of everything before it; absent when the server keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtids_before: Option<String>,
    /// The GTIDs of everything up to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtids_after: Option<String>,
    /// Its first GTID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_gtid: Option<String>,
    /// Its last GTID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gtid: Option<String>,
    /// The object that holds it, below the same prefix, compressed by gzip.
    pub object: String,
    /// The object's size.
    pub size_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// Size of what was compressed.
    pub log_bytes: u64,
    /// The segment before it, as `LOG:FROM`; absent when it is the first, or what was before it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When it was archived (UTC, by the runner's clock).
    #[schemars(with = "String")]
    pub archived_at: Timestamp,
    /// What read it.
    pub tool: Tool,
    /// How its object is encrypted; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

impl Segment {
    /// Names it: `LOG:FROM`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.log, self.from)
    }

    /// Reads the GTIDs of everything before it.
    pub fn before(&self) -> Option<GtidSet> {
        GtidSet::read(self.server.flavour, self.gtids_before.as_deref()?)
    }

    /// Reads the GTIDs of everything up to its end.
    pub fn after_it(&self) -> Option<GtidSet> {
        GtidSet::read(self.server.flavour, self.gtids_after.as_deref()?)
    }
}

/// How far the archive of a timeline reaches, kept beside its segments and replaced each time: a server that writes
/// nothing has no new segment, and yet nothing of it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Covered {
    /// [`SEGMENT_FORMAT`].
    pub format: u32,
    /// The log that the server wrote.
    pub log: String,
    /// Where it stood.
    pub position: u64,
    /// The last segment then, as `LOG:FROM`.
    pub last: String,
    /// When, by the server's clock (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
}
