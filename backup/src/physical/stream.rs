//! A stream of files of either kind, as it passes by: receives bytes, yields what is in it, or what is wrong.

use std::collections::BTreeMap;
use std::io::Read;

use super::StreamFormat;
use super::tar::Tar;
use super::xbstream::Xbstream;
use crate::dump::GzipText;

/// Files in which the tools say what they did; newer MariaDB names them `mariadb_backup_…`.
pub(super) const METADATA: [&str; 6] = [
    "xtrabackup_checkpoints",
    "xtrabackup_binlog_info",
    "xtrabackup_info",
    "mariadb_backup_checkpoints",
    "mariadb_backup_binlog_info",
    "mariadb_backup_info",
];
/// A GTID set of ten thousand servers has less.
const LARGEST_METADATA_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 256 << 10;

/// Why a stream of files is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// There is no file in it.
    #[error("the stream has no file in it")]
    Empty,
    /// It ends inside a chunk or a file.
    #[error("the stream breaks off after {offset} bytes")]
    Truncated {
        /// How much of it there is.
        offset: u64,
    },
    /// It ends, but a file in it does not.
    #[error("the stream ends before its file `{path}` does")]
    Unfinished {
        /// The first such file, in name order.
        path: String,
    },
    /// The bytes of a file are not those that were sent.
    #[error("the bytes of `{path}` before byte {offset} of the stream do not match their checksum")]
    Checksum {
        /// Which file.
        path: String,
        /// Where in the stream.
        offset: u64,
    },
    /// It is no such stream, or has something in it that can't be restored.
    #[error("at byte {offset} of the stream: {why}")]
    Wrong {
        /// Where.
        offset: u64,
        /// What.
        why: String,
    },
}

/// What a stream has in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamContents {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// What the tool says of itself, by file name.
    pub metadata: BTreeMap<String, Vec<u8>>,
}

/// Follows a stream without holding it.
pub struct StreamWatch(Kind);

enum Kind {
    Xbstream(Xbstream),
    Tar(Tar),
}

impl StreamWatch {
    /// Begins with nothing seen.
    pub fn new(format: StreamFormat) -> Self {
        Self(match format {
            StreamFormat::Mbstream | StreamFormat::Xbstream => Kind::Xbstream(Xbstream::new(format)),
            StreamFormat::Tar => Kind::Tar(Tar::new()),
        })
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// At the first thing that is wrong; nothing after it means anything.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match &mut self.0 {
            Kind::Xbstream(stream) => stream.push(bytes),
            Kind::Tar(tar) => tar.push(bytes),
        }
    }

    /// Gives how many files have begun.
    pub fn files(&self) -> u64 {
        match &self.0 {
            Kind::Xbstream(stream) => stream.files,
            Kind::Tar(tar) => tar.files,
        }
    }

    /// Says that the stream is over.
    ///
    /// # Errors
    /// When it is over too early.
    pub fn finish(self) -> Result<StreamContents, StreamError> {
        let (ended, files, payload_bytes, kept) = match self.0 {
            Kind::Xbstream(stream) => (stream.end(), stream.files, stream.payload_bytes, stream.kept),
            Kind::Tar(tar) => (tar.end(), tar.files, tar.payload_bytes, tar.kept),
        };
        ended?;
        Ok(StreamContents { files, payload_bytes, metadata: kept.0 })
    }
}

/// Small files that are looked into.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<String, Vec<u8>>);

impl Kept {
    pub(super) fn take(&mut self, path: &str, bytes: &[u8]) -> Result<(), StreamError> {
        if !METADATA.contains(&path) {
            return Ok(());
        }
        let kept = self.0.entry(path.to_owned()).or_default();
        if kept.len() + bytes.len() > LARGEST_METADATA_BYTES {
            return Err(StreamError::Wrong { offset: 0, why: format!("`{path}` is larger than 1 MiB") });
        }
        kept.extend_from_slice(bytes);
        Ok(())
    }
}

/// Refuses a path that would lead out of the folder that the stream is unpacked in.
pub(super) fn check_path(bytes: &[u8]) -> Result<String, String> {
    let path = String::from_utf8_lossy(bytes).into_owned();
    let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
    if leads_out || path.contains('\0') {
        Err(format!("the path `{}` leads elsewhere", path.escape_debug()))
    } else {
        Ok(path)
    }
}

/// Why a compressed stream can't be accepted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Reading or decompressing failed.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// What is in it is not whole.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Reads a compressed stream to its end and gives what is in it; each piece is shown to `also` once it was looked at.
///
/// # Errors
/// When it can't be read, is damaged or breaks off.
pub fn check_stream(
    object: impl Read,
    format: StreamFormat,
    mut also: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<StreamContents, CheckError> {
    let mut text = GzipText::new(object);
    let mut watch = StreamWatch::new(format);
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let length = match text.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        watch.push(&chunk[..length])?;
        also(&chunk[..length])?;
    }
    Ok(watch.finish()?)
}
