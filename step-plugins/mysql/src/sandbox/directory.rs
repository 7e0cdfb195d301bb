//! A sandbox's directory: what is in it, whose it is, and how far its making got.
//!
//! Its layout: `.rekindle-sandbox` (the marker, made first and removed last), `data/`,
//! `tmp/`, `server.log`, `pid`.
//! Only a directory with the marker is ever wiped.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rekindle_backup::manifest::Flavour;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::SandboxError;

/// The marker's name.
pub(crate) const MARKER: &str = ".rekindle-sandbox";
/// The marker while it is written.
const NEW_MARKER: &str = ".rekindle-sandbox.new";
/// The server's output.
pub(crate) const LOG: &str = "server.log";
/// How much of the log's end is searched for errors.
const LOG_TAIL_BYTES: u64 = 16 * 1024;
/// How many of its last errors are told.
const KEPT_ERRORS: usize = 5;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Version of this format.
    pub(crate) format: u32,
    /// Whether accounts and passwords are in place; if not, the directory is made anew.
    pub(crate) initialised: bool,
    /// The port it was made for.
    pub(crate) port: u16,
    /// `server_id`.
    pub(crate) server_id: u32,
    /// Which server it is. Markers did not say so when all were of MariaDB.
    #[serde(default = "mariadb")]
    pub(crate) flavour: Flavour,
}

fn mariadb() -> Flavour {
    Flavour::Mariadb
}

/// What is found at the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    /// A sandbox.
    Sandbox(Marker),
    /// Something that is not ours.
    Foreign,
}

/// A sandbox's directory by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SandboxDirectory(PathBuf);

/// Held while a sandbox is brought up or down.
pub(crate) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl SandboxDirectory {
    /// Makes the path absolute and, as far as it exists, free of symbolic links, so that a running server is
    /// found by the path it was started with.
    pub(crate) fn at(path: &Path) -> Result<Self, SandboxError> {
        let absolute = std::path::absolute(path).map_err(SandboxError::io("find", path))?;
        if let Ok(real) = fs::canonicalize(&absolute) {
            return Ok(Self(real));
        }
        let real_parent = absolute.parent().and_then(|parent| fs::canonicalize(parent).ok());
        Ok(match (real_parent, absolute.file_name()) {
            (Some(parent), Some(name)) => Self(parent.join(name)),
            _ => Self(absolute),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Servers remove each other's temporary tables when they share a folder for them.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join(LOG)
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// Looks what is there.
    pub(crate) fn look(&self) -> Result<Found, SandboxError> {
        let reading = |source| SandboxError::Io { what: "read", path: self.0.clone(), source };
        match fs::read(self.0.join(MARKER)) {
            Ok(text) => {
                return Ok(serde_json::from_slice(&text).map_or(Found::Foreign, Found::Sandbox));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(reading(error)),
        }
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Found::Foreign),
            Err(error) => return Err(reading(error)),
        };
        for entry in entries {
            // A crash while the marker was written for the first time leaves only its draft.
            if entry.map_err(reading)?.file_name() != NEW_MARKER {
                return Ok(Found::Foreign);
            }
        }
        Ok(Found::Nothing)
    }

    /// Makes the directory for this user alone, with its parents.
    pub(crate) fn create(&self) -> Result<(), SandboxError> {
        if let Some(parent) = self.0.parent() {
            fs::create_dir_all(parent).map_err(SandboxError::io("create", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(SandboxError::Io { what: "create", path: self.0.clone(), source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes the folders inside it that must be there before the installer runs.
    pub(crate) fn create_folders(&self) -> Result<(), SandboxError> {
        fs::create_dir_all(self.temporary()).map_err(SandboxError::io("create", self.temporary()))
    }

    /// Takes the lock; it goes with the guard, also when this program dies.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, SandboxError> {
        let directory = File::open(&self.0).map_err(SandboxError::io("open", &self.0))?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirectoryLock(directory)),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                Err(SandboxError::Busy { directory: self.0.clone() })
            }
            Err(error) => Err(SandboxError::io("lock", &self.0)(error.into())),
        }
    }

    /// Writes the marker so that a crash leaves the old one or the new one.
    pub(crate) fn mark(&self, marker: &Marker) -> Result<(), SandboxError> {
        let draft = self.0.join(NEW_MARKER);
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(&serde_json::to_vec(marker).map_err(std::io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&draft, self.0.join(MARKER))?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(SandboxError::io("write the marker of", &self.0))
    }

    /// Removes everything but the marker, so that a crash in between leaves a directory that is still ours.
    pub(crate) fn wipe(&self) -> Result<(), SandboxError> {
        for entry in fs::read_dir(&self.0).map_err(SandboxError::io("read", &self.0))? {
            let entry = entry.map_err(SandboxError::io("read", &self.0))?;
            if entry.file_name() == MARKER {
                continue;
            }
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(SandboxError::io("remove", path))?;
        }
        Ok(())
    }

    /// Removes the directory; the marker goes last.
    pub(crate) fn remove(&self) -> Result<(), SandboxError> {
        self.wipe()?;
        fs::remove_file(self.0.join(MARKER)).map_err(SandboxError::io("remove the marker of", &self.0))?;
        fs::remove_dir(&self.0).map_err(SandboxError::io("remove", &self.0))
    }

    /// Gives the errors at the end of the server's log, or its last line; nothing when it is empty.
    pub(crate) fn errors_in_log(&self) -> Option<String> {
        let text = self.log_tail().unwrap_or_default();
        let errors: Vec<&str> = text.lines().filter(|line| line.contains("[ERROR]")).collect();
        if errors.is_empty() {
            return text.lines().last().map(str::to_owned);
        }
        Some(errors[errors.len().saturating_sub(KEPT_ERRORS)..].join("; "))
    }

    fn log_tail(&self) -> std::io::Result<String> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut file = File::open(self.log())?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
