//! What the tools write of themselves into a stream: receives small files, yields LSNs and coordinates.

use super::StreamContents;
use crate::manifest::ConsistentPoint;

/// What `xtrabackup_checkpoints` and `xtrabackup_binlog_info` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where the increment begins; 0 in a full backup.
    pub from_lsn: u64,
    /// The checkpoint at which the next increment begins.
    pub to_lsn: u64,
    /// The last position that was copied.
    pub last_lsn: u64,
    /// Binary log position and GTID; empty when the server writes no log.
    pub point: ConsistentPoint,
}

/// Why it can't be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The stream has no such file.
    #[error("the stream has no file `{0}`, in which the tool says what it copied")]
    Missing(&'static str),
    /// It has one, but with something else in it.
    #[error("the file `{file}` of the stream has no {what} that can be read")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// What was looked for.
        what: &'static str,
    },
}

const CHECKPOINTS: &str = "xtrabackup_checkpoints";
const BINLOG: &str = "xtrabackup_binlog_info";

impl Metadata {
    /// Reads it.
    ///
    /// # Errors
    /// When a number is not there; without it no increment can follow.
    pub fn read(contents: &StreamContents) -> Result<Self, MetadataError> {
        let text = |name: &str| {
            let newer = name.replace("xtrabackup_", "mariadb_backup_");
            let bytes = contents.metadata.get(name).or_else(|| contents.metadata.get(&newer))?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let checkpoints = text(CHECKPOINTS).ok_or(MetadataError::Missing(CHECKPOINTS))?;
        let number = |what: &'static str| {
            let line =
                checkpoints.lines().filter_map(|line| line.split_once('=')).find(|(k, _)| k.trim() == what);
            let value = line.and_then(|(_, value)| value.trim().parse().ok());
            value.ok_or(MetadataError::Unreadable { file: CHECKPOINTS, what })
        };
        let point = match text(BINLOG) {
            Some(text) => coordinates(&text)?,
            None => ConsistentPoint::default(),
        };
        Ok(Self {
            from_lsn: number("from_lsn")?,
            to_lsn: number("to_lsn")?,
            last_lsn: number("last_lsn")?,
            point,
        })
    }
}

/// `bin.000001 <tab> 936 <tab> 0-1-4`; a GTID set of MySQL goes on over further lines.
fn coordinates(text: &str) -> Result<ConsistentPoint, MetadataError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(ConsistentPoint::default());
    }
    let mut fields = text.splitn(3, '\t');
    let (Some(file), Some(position)) = (fields.next(), fields.next()) else {
        return Err(MetadataError::Unreadable { file: BINLOG, what: "position" });
    };
    let position = position.trim().parse();
    let gtid: String = fields.next().unwrap_or_default().split_whitespace().collect();
    Ok(ConsistentPoint {
        at: None,
        binlog_file: Some(file.to_owned()),
        binlog_position: Some(
            position.map_err(|_| MetadataError::Unreadable { file: BINLOG, what: "position" })?,
        ),
        gtid: (!gtid.is_empty()).then_some(gtid),
    })
}
