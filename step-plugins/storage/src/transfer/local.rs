//! Files of this machine: what an upload reads, where a download goes, and what to say when they can't be used.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rekindle_engine::host::Body;
use rekindle_engine::step::{Problem, StepError};

use super::{Origin, Whole};
use crate::file::read::Opened;

/// A file that is uploaded.
pub(crate) struct LocalFile {
    path: PathBuf,
    name: String,
    file: File,
    found: Metadata,
}

impl LocalFile {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, StepError> {
        let failed = |error: io::Error| told("read", path, &error);
        // Looked at first: opening a named pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(told("read", path, &io::Error::other("it is not a file")));
        }
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        Ok(Self { path: path.to_owned(), name: path.display().to_string(), file, found })
    }
}

#[async_trait]
impl Origin for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size_bytes(&self) -> u64 {
        self.found.len()
    }

    async fn open(&self, range: Range<u64>) -> Result<Body, StepError> {
        let file = self.file.try_clone().map_err(|error| self.broken(&error))?;
        // It may have become shorter.
        let opened = Opened::of(file, range).map_err(|_| self.changed())?;
        Ok(opened.into_body())
    }

    fn broken(&self, error: &io::Error) -> StepError {
        told("read", &self.path, error)
    }

    /// A file that somebody is still writing would be neither what it was nor what it will be.
    fn check(&self, _: &Whole) -> Result<(), StepError> {
        let state = |found: &Metadata| (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        match std::fs::metadata(&self.path) {
            Ok(now) if state(&now) == state(&self.found) => Ok(()),
            Ok(_) | Err(_) => Err(self.changed()),
        }
    }
}

impl LocalFile {
    fn changed(&self) -> StepError {
        StepError::transient(format!("`{}` changed while it was uploaded", self.name))
            .help("let whatever writes it finish first")
    }
}

/// Says what could not be done with a file or folder, and what to do.
pub(crate) fn told(what: &str, path: &Path, error: &io::Error) -> StepError {
    let message = format!("failed to {what} `{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StepError::permanent(message)
            .help("free space there, then resume the run: it goes on from where it was"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StepError::permanent(message)
            .help("let the user that runs rekindle do that, or name another place"),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StepError::permanent(message)
            .help("check the path: it begins at the folder that rekindle runs in"),
        io::ErrorKind::Other | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
            StepError::permanent(message)
        }
        _ => StepError::transient(message),
    }
}

/// Makes the finding that a local path can't be used.
pub(crate) fn cannot_use(error: StepError, pointer: &'static str) -> Problem {
    let StepError { message, help, .. } = error;
    Problem { code: "rekindle::store::local_path", message, help, pointer: Some(pointer) }
}

/// Gives the name that a file has while it is downloaded.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".rekindle-part");
    name.into()
}

/// Gives the folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}
