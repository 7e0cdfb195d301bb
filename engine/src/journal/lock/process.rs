//! Advisory locks of this machine: one process for a run directory, one writer for a lease file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{LockError, LockOwner};

/// An owner's JSON is far smaller; more is not ours.
const OWNER_LIMIT_BYTES: u64 = 16 * 1024;

/// A lock that is held until it is dropped, or until the process ends in any way.
///
/// The kernel's `flock` is the lock; the file's content only says who has it. The file goes away on release.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes a lock file now, or says who has it. `what` names it in messages; the owner is written into the file
    /// for those.
    pub fn try_acquire(path: &Path, what: &str, owner: Option<&LockOwner>) -> Result<Self, LockError> {
        let fail = || LockError::io(what, path);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(fail())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { what: what.to_owned(), owner: read_owner(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(fail()(error)),
            }
            // Its last holder may have removed the file between our open and our lock; then what we hold is
            // nobody's name any more, and the next one would make, and lock, another file.
            if is_still_named(&file, path).map_err(fail())? {
                write_owner(&mut file, owner).map_err(fail())?;
                return Ok(Self { file, path: path.to_owned() });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while held, so nobody else's file can be hit. Both failures leave a file that locks nothing.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Reads who a lock file names, without taking the lock.
pub(in crate::journal) fn owner_in(path: &Path) -> Option<LockOwner> {
    read_owner(&mut File::open(path).ok()?).map(|owner| *owner)
}

fn is_still_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_owner(file: &mut File, owner: Option<&LockOwner>) -> io::Result<()> {
    file.set_len(0)?;
    match owner {
        Some(owner) => file.write_all(&serde_json::to_vec(owner)?),
        None => Ok(()),
    }
}

fn read_owner(file: &mut File) -> Option<Box<LockOwner>> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(OWNER_LIMIT_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
