//! What a manifest says of a physical backup.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of the stream of a server's files, beyond its size and checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Physical {
    /// Whether the server ran meanwhile.
    pub method: Method,
    /// What the stream is.
    pub format: StreamFormat,
    /// Files in it.
    pub files: u64,
    /// Size of the stream, and about of the files that it unpacks to.
    pub stream_bytes: u64,
    /// The position in InnoDB's log from which on changes are in it: 0 in a full backup. Absent in a cold one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_lsn: Option<u64>,
    /// The checkpoint up to which an incremental backup on top of this one need not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_lsn: Option<u64>,
    /// The last position in InnoDB's log that was copied; preparing leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_lsn: Option<u64>,
    /// What it is an increment to; absent in a full backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// What tells the data directory from others: positions in InnoDB's log mean something in one of them only.
    pub lineage: String,
    /// Whether the inventory is all there is: names were the same before and after. Otherwise tables were made or
    /// dropped meanwhile, and the inventory has what was there both times.
    pub inventory_is_whole: bool,
}

/// The backup that an incremental one is of no use without, in the same store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Base {
    /// Its id.
    pub id: String,
    /// sha256 of its stream's object: another backup that came to have its id is none.
    pub sha256: String,
}

/// Whether a server ran while its files were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// It ran; preparing the files makes them consistent.
    #[default]
    Hot,
    /// It was stopped, and is started again.
    Cold,
}

/// What a stream of files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamFormat {
    /// Of `mariadb-backup`, for `mbstream -x`.
    Mbstream,
    /// Of `xtrabackup`, for `xbstream -x`.
    Xbstream,
    /// Of GNU tar.
    Tar,
}

impl StreamFormat {
    /// Gives the word for it, which is also the ending of an object's name before `.gz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mbstream => "mbstream",
            Self::Xbstream => "xbstream",
            Self::Tar => "tar",
        }
    }
}
