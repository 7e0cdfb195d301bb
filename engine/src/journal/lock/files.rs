//! Leases as local files: `<state>/locks/GROUP.lease`, replaced by rename under a short `flock` of `GROUP.lock`.
//!
//! Earlier versions held that `flock` as long as their run went on, so one of theirs that still goes on is heeded.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::lease::what;
use super::text::{self, TextError};
use super::{Lease, LeaseStore, Lock, LockError, Revision};
use crate::journal::file::sync_parent;
use crate::journal::file_name;

/// How often a writer tries to get the short lock, and how long it rests between: three seconds in all.
const TRIES: u32 = 600;
const REST: Duration = Duration::from_millis(5);
/// A lease is far smaller; more is not ours.
const LIMIT_BYTES: u64 = 64 * 1024;

/// Leases in a local folder.
#[derive(Debug, Clone)]
pub struct LeaseFiles {
    folder: PathBuf,
}

impl LeaseFiles {
    /// Names the folder; it is made when the first lease is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, group: &str, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}.{suffix}", file_name(group)))
    }

    fn look(&self, group: &str) -> Result<Option<(Lease, Revision)>, LockError> {
        let path = self.path(group, "lease");
        let bytes = match std::fs::metadata(&path) {
            Ok(found) if found.len() > LIMIT_BYTES => {
                let why = format!("it has {} bytes", found.len());
                return Err(LockError::Damaged { path, why });
            }
            Ok(_) => std::fs::read(&path).map_err(LockError::io(&what(group), &path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LockError::io(&what(group), &path)(error)),
        };
        let lease = text::read(&bytes, group).map_err(|error| match error {
            TextError::Damaged(why) => LockError::Damaged { path, why },
            TextError::Newer(found) => LockError::NewerFormat { path, found },
        })?;
        Ok(Some((lease, revision(&bytes))))
    }

    fn put(&self, lease: &Lease, expected: Option<&Revision>) -> Result<Option<Revision>, LockError> {
        let what = what(&lease.group);
        std::fs::create_dir_all(&self.folder).map_err(LockError::io(&what, &self.folder))?;
        let _guard = self.guard(&lease.group)?;
        let found = self.look(&lease.group)?.map(|(_, revision)| revision);
        if found.as_ref() != expected {
            return Ok(None);
        }
        let path = self.path(&lease.group, "lease");
        let bytes = text::write(lease).map_err(LockError::io(&what, &path))?;
        write_synced(&path, &bytes).map_err(LockError::io(&what, &path))?;
        Ok(Some(revision(&bytes)))
    }

    /// Gives the age of a lease's file by the clock of whoever serves the folder, which a new file beside it tells.
    fn age(&self, group: &str) -> io::Result<Duration> {
        let beside = self.path(group, &format!("{}.look", std::process::id()));
        let made = std::fs::File::create(&beside).and_then(|file| file.metadata()?.modified());
        // What stays is only untidy.
        let _ = std::fs::remove_file(&beside);
        let written = std::fs::metadata(self.path(group, "lease"))?.modified()?;
        Ok(made?.duration_since(written).unwrap_or_default())
    }

    /// Keeps other processes from writing the same lease.
    fn guard(&self, group: &str) -> Result<Lock, LockError> {
        let path = self.path(group, "lock");
        for _ in 0..TRIES {
            match Lock::try_acquire(&path, &what(group), None) {
                Err(LockError::Held { .. }) => std::thread::sleep(REST),
                other => return other,
            }
        }
        Lock::try_acquire(&path, &what(group), None)
    }
}

#[async_trait]
impl LeaseStore for LeaseFiles {
    async fn read(&self, group: &str) -> Result<Option<(Lease, Revision)>, LockError> {
        let (files, name) = (self.clone(), group.to_owned());
        blocking(self.path(group, "lease"), group, move || files.look(&name)).await
    }

    async fn replace(
        &self,
        lease: &Lease,
        expected: Option<&Revision>,
    ) -> Result<Option<Revision>, LockError> {
        let (files, lease, expected) = (self.clone(), lease.clone(), expected.cloned());
        let (path, group) = (self.path(&lease.group, "lease"), lease.group.clone());
        blocking(path, &group, move || files.put(&lease, expected.as_ref())).await
    }

    async fn unchanged_for(&self, group: &str) -> Option<Duration> {
        let (files, name) = (self.clone(), group.to_owned());
        tokio::task::spawn_blocking(move || files.age(&name).ok()).await.ok()?
    }
}

fn revision(bytes: &[u8]) -> Revision {
    Revision(hex::encode(Sha256::digest(bytes)))
}

/// Whole or not at all, and on disk before it counts: a token that was given must not be given again.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("lease.new");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_parent(path)
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    group: &str,
    work: impl FnOnce() -> Result<T, LockError> + Send + 'static,
) -> Result<T, LockError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LockError::io(&what(group), &path)(io::Error::other(error))),
    }
}
