//! The manifest: written last, if absent; without it a backup does not exist.
//!
//! The stored file carries a checksum of its own bytes as its first field (see [`crate::sealed`]), and the
//! checksums of all other objects, so any changed byte of a backup is found.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rekindle_engine::host::Encryption;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::Inventory;
use crate::physical::Physical;

/// The manifest's format; a reader refuses a newer one.
pub const MANIFEST_FORMAT: u32 = 1;

/// What a backup is made of and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// The backup's id.
    pub id: String,
    /// How it was made.
    pub kind: BackupKind,
    /// The cluster it is of.
    pub cluster: String,
    /// The server it was taken from.
    pub server: ServerFacts,
    /// When the first of its objects was begun (UTC).
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When the manifest was written (UTC).
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    /// The point in time that its data are of.
    pub consistent_point: ConsistentPoint,
    /// Every other object of the backup.
    pub objects: Vec<ObjectEntry>,
    /// What the dump holds, with rows counted at the consistent point.
    pub inventory: Inventory,
    /// The programs that made it.
    pub tools: Vec<Tool>,
    /// What a physical backup says beyond that; absent in a logical one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Physical>,
    /// Free labels: `reason: before-migration`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How all objects but `RESTORE.txt` are encrypted where this manifest lies; absent when they are not. Sizes and
    /// checksums are always those of what was encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

impl Manifest {
    /// Gives the point in time that restoring it leads to: that of its data, or when it was begun where that
    /// is not known, which is earlier.
    pub fn recovery_point(&self) -> Timestamp {
        self.consistent_point.at.unwrap_or(self.started_at)
    }

    /// Tells whether another manifest is of the same backup: each copy says how it is encrypted where it lies, and has
    /// the instructions that go with that.
    pub fn is_same_backup(&self, other: &Self) -> bool {
        let bare = |manifest: &Self| {
            let mut bare = Self { encryption: None, ..manifest.clone() };
            bare.objects.retain(|object| object.role != ObjectRole::Instructions);
            bare
        };
        bare(self) == bare(other)
    }

    /// Gives the size of all its objects, the manifest itself left out.
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size_bytes).sum()
    }
}

/// How a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// SQL text.
    Logical,
    /// The files of a server.
    Physical,
}

impl std::fmt::Display for BackupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Logical => "logical",
            Self::Physical => "physical",
        })
    }
}

/// The two families of servers; they differ in tools, statements and GTIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// MySQL and its forks that keep its statements and GTIDs.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// Which server a backup was taken from. Stored as `server.json` and in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFacts {
    /// Its family.
    pub flavour: Flavour,
    /// `VERSION()`.
    pub version: String,
    /// `@@version_comment`.
    pub version_comment: String,
    /// `@@server_id`.
    pub server_id: u32,
    /// `@@server_uuid` (MySQL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// `@@gtid_domain_id` (MariaDB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid_domain_id: Option<u32>,
    /// Whether binary logging is on.
    pub log_bin: bool,
    /// Accounts as `'user'@'host'`.
    #[serde(default)]
    pub users: Vec<String>,
    /// Global variables that a rebuilt server should have alike: character set, SQL mode, packet size, ….
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// The point in time that the data of a backup are of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsistentPoint {
    /// When, by the runner's clock, the dump's snapshot was known to be open (UTC): not earlier than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// Binary log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog_file: Option<String>,
    /// Position in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog_position: Option<u64>,
    /// GTID set (MySQL: `gtid_executed`) or position (MariaDB: `gtid_slave_pos` of the dump).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectEntry {
    /// Its name below the backup's prefix: `full.sql.gz`.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of its bytes, lowercase hex.
    pub sha256: String,
    /// What it is.
    pub role: ObjectRole,
}

/// What an object of a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectRole {
    /// The dump that restores everything.
    Full,
    /// A dump of chosen databases.
    Databases,
    /// A dump of chosen tables: of their databases it says nothing.
    Tables,
    /// A dump without rows.
    Schema,
    /// The files of a server as a stream.
    Files,
    /// The index of a dump: `full.index.json`.
    Index,
    /// `server.json`
    Facts,
    /// `RESTORE.txt`
    Instructions,
}

/// A program that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `mariadb-dump`, `rekindle`.
    pub name: String,
    /// As it tells it.
    pub version: String,
    /// The command line, without secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

/// The index of one object of data, stored beside it as `NAME.index.json` once it is proven whole.
///
/// It is what the probes of `mysql.dump` and `mysql.backup-physical` read, what `backup.publish` makes the manifest from, and what finds
/// one table inside the compressed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DumpIndex {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// The object it describes.
    pub object: ObjectEntry,
    /// Size of the SQL text, or of the stream of files.
    pub uncompressed_bytes: u64,
    /// When the dump was begun (UTC).
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// The point in time of its data.
    pub consistent_point: ConsistentPoint,
    /// What it holds.
    pub inventory: Inventory,
    /// The gzip members (RFC 1952 section 2.2) in order; together they are the whole object.
    pub members: Vec<Member>,
    /// What made it.
    pub tool: Tool,
    /// What is known of a server's files beyond that; absent when it is SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Physical>,
}

/// One gzip member of an object. Of a dump, it has whole statements only, so it can be read by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The database it belongs to; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The table whose section it is part of; absent for everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Where it begins in the object.
    pub offset: u64,
    /// Its compressed size.
    pub size_bytes: u64,
    /// Where its text begins in the SQL text.
    pub text_offset: u64,
    /// Size of its text.
    pub text_bytes: u64,
    /// CRC-32 of its text (as in the member's own trailer).
    pub crc32: u32,
    /// Rows inserted by it.
    pub rows: u64,
    /// sha256 of its bytes in the object, lowercase hex. Where every member has one they prove the whole object, and
    /// each member begins with the delimiter and the quotes of an SQL text's beginning. Older dumps have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
