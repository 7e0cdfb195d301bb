//! Files that hold a secret for a child: receives the text, yields a guard that removes the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rekindle_engine::host::{PrivateFile, Secret};

use crate::reaper::Reaper;

/// A file with mode 0600 that goes away with this guard.
#[derive(Debug)]
pub(super) struct GuardedFile {
    path: PathBuf,
    reaper: Option<Arc<Reaper>>,
}

impl GuardedFile {
    pub(super) fn create(dir: &Path, contents: &Secret, reaper: Option<Arc<Reaper>>) -> io::Result<Self> {
        let dir = std::path::absolute(dir)?;
        if dir.as_os_str().as_bytes().contains(&b'\n') {
            let why = format!("the folder for private files has a line break in its name: {}", dir.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let made = tempfile::Builder::new().prefix("rekindle-").suffix(".private").make_in(&dir, |path| {
            // Told before it exists: a crash in between leaves nothing that the reaper doesn't know.
            if let Some(reaper) = &reaper {
                reaper.add_file(path);
            }
            create_new(path).inspect_err(|_| {
                // Somebody else's file, or none: not ours to remove.
                if let Some(reaper) = &reaper {
                    reaper.remove_file(path);
                }
            })
        })?;
        let (mut file, path) = made.into_parts();
        // This guard removes it from now on, also when the next line fails.
        let guard = Self { path: path.keep().map_err(|error| error.error)?, reaper };
        file.write_all(contents.expose().as_bytes())?;
        Ok(guard)
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

impl PrivateFile for GuardedFile {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for GuardedFile {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "failed to remove a private file");
                // Left to the reaper, which tries again at the end.
                return;
            }
        }
        if let Some(reaper) = &self.reaper {
            reaper.remove_file(&self.path);
        }
    }
}
