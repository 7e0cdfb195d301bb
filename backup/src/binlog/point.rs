//! Where the data of a backup stand in the binary logs of its server.

use serde::{Deserialize, Serialize};

use super::gtid::GtidSet;
use super::key::log_number;
use super::segment::ServerIdentity;
use crate::manifest::{Flavour, Manifest};

/// The point of a backup's data, as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// The folder of its server's logs below `binlogs/CLUSTER/`.
    pub server: String,
    /// The log that its server wrote: `bin.000012`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Where in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The GTIDs of everything in it, as the server tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
}

/// A position in a binary log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: String,
    /// The number in its name: names are used again, numbers count up.
    pub number: u64,
    /// Where in it, in bytes.
    pub position: u64,
}

impl LogPoint {
    /// Gives the GTIDs of everything in it; nothing when its server keeps none.
    pub fn gtids(&self, flavour: Flavour) -> Option<GtidSet> {
        match (&self.gtid, flavour) {
            (Some(text), _) => GtidSet::read(flavour, text),
            // A server without any transaction states none.
            (None, Flavour::Mariadb) => Some(GtidSet::empty(flavour)),
            (None, Flavour::Mysql) => None,
        }
    }

    /// Gives its place in its server's logs; nothing when its server wrote none.
    pub fn place(&self) -> Option<Place> {
        let (log, position) = (self.log.clone()?, self.position?);
        Some(Place { number: log_number(&log)?, log, position })
    }
}

impl From<&Manifest> for LogPoint {
    fn from(manifest: &Manifest) -> Self {
        let point = &manifest.consistent_point;
        Self {
            server: ServerIdentity::folder_of(&manifest.server),
            log: point.binlog_file.clone(),
            position: point.binlog_position,
            gtid: point.gtid.clone(),
        }
    }
}
