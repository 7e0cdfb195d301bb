//! Folders below the root, reached part by part and never through a symbolic link.
//!
//! Every step is an `openat` on the folder before it with `O_NOFOLLOW`, so a link that is put in place
//! meanwhile leads nowhere either.

use std::os::fd::OwnedFd;
use std::path::Path;

use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, Stamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::failure::Failure;

/// Backups hold everybody's data: only the owner reads them.
pub(super) const FOLDER_MODE: Mode = Mode::RWXU;
pub(super) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

const OPEN_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The root and the folders below it that lead to a key, outermost first.
pub(super) struct Chain {
    folders: Vec<OwnedFd>,
}

impl Chain {
    /// Opens the folders named by `parts`; `None` when one of them is not there.
    pub(super) fn open(root: &Path, parts: &[&str]) -> Result<Option<Self>, Failure> {
        let Some(root) = open_root(root)? else { return Ok(None) };
        let mut chain = Self { folders: vec![root] };
        for part in parts {
            match open_folder(chain.last()?, part) {
                Ok(folder) => chain.folders.push(folder),
                Err(Errno::NOENT) => return Ok(None),
                // An object, so nothing lies below it.
                Err(Errno::NOTDIR) if kind(chain.last()?, part)? == Some(FileType::RegularFile) => {
                    return Ok(None);
                }
                Err(errno) => return Err(explain(chain.last()?, part, errno)),
            }
        }
        Ok(Some(chain))
    }

    /// Opens the folders named by `parts` and makes those that are missing.
    pub(super) fn make(root: &Path, parts: &[&str]) -> Result<Self, Failure> {
        let mut chain = Self { folders: vec![make_root(root)?] };
        for part in parts {
            let folder = match open_folder(chain.last()?, part) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(chain.last()?, *part, FOLDER_MODE) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    open_folder(chain.last()?, part)
                }
                opened => opened,
            };
            match folder {
                Ok(folder) => chain.folders.push(folder),
                Err(errno) => return Err(explain(chain.last()?, part, errno)),
            }
        }
        Ok(chain)
    }

    /// Gives the innermost folder.
    pub(super) fn last(&self) -> Result<&OwnedFd, Failure> {
        self.folders.last().ok_or_else(|| Failure::invalid("the chain of folders is empty"))
    }

    /// Syncs every folder, innermost first, so that the entries which lead to an object are durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        for folder in self.folders.iter().rev() {
            rustix::fs::fsync(folder)?;
        }
        Ok(())
    }

    /// Removes the folders named by `parts` from the innermost outwards, as far as they are empty.
    pub(super) fn remove_empty(mut self, parts: &[&str]) -> Result<(), Failure> {
        for part in parts.iter().rev() {
            self.folders.pop();
            match rustix::fs::unlinkat(self.last()?, *part, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                // Not empty, or in use as a mount point: it stays.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Splits a key into the folders above it and its file name.
pub(super) fn split(key: &Key) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = key.as_str().split('/').collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

/// Opens the root, which may itself be a symbolic link; `None` when it is not there.
pub(super) fn open_root(root: &Path) -> Result<Option<OwnedFd>, Failure> {
    match rustix::fs::open(root, OPEN_FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR) => Err(Failure::invalid(format!("`{}` is not a folder", root.display()))),
        Err(errno) => Err(errno.into()),
    }
}

fn make_root(root: &Path) -> Result<OwnedFd, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(folder) = open_root(root)? {
        return Ok(folder);
    }
    std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE.bits()).create(root)?;
    // The new folders' own entries must survive a crash as well.
    for above in root.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        if let Some(folder) = open_root(above)? {
            let _ = rustix::fs::fsync(folder);
        }
    }
    open_root(root)?.ok_or_else(|| Errno::NOENT.into())
}

pub(super) fn open_folder(above: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(above, name, OPEN_FOLDER, Mode::empty())
}

/// Says why a name can't be used as a folder: links and files need words of their own.
fn explain(above: &OwnedFd, name: &str, errno: Errno) -> Failure {
    match look(above, name) {
        Ok(Some(found)) if found.kind == FileType::Symlink => link_refused(name),
        Ok(Some(found)) if found.kind != FileType::Directory => {
            Failure::invalid(format!("`{name}` is an object, so no other can lie below it"))
        }
        _ => errno.into(),
    }
}

pub(super) fn link_refused(name: &str) -> Failure {
    Failure::invalid(format!("`{name}` is a symbolic link, which a store does not follow"))
}

/// What lies under a name.
pub(super) struct Found {
    pub(super) kind: FileType,
    pub(super) size_bytes: u64,
    pub(super) modified: Timestamp,
    /// Which file it is, and in what state.
    pub(super) stamp: Stamp,
}

impl Found {
    /// Tells what a store knows of it.
    pub(super) fn info(self, key: &Key) -> ObjectInfo {
        ObjectInfo { stamp: Some(self.stamp), ..ObjectInfo::new(key.clone(), self.size_bytes, self.modified) }
    }
}

/// Tells what kind of file a name is, without following a link.
pub(super) fn kind(folder: &OwnedFd, name: &str) -> Result<Option<FileType>, Failure> {
    Ok(look(folder, name)?.map(|found| found.kind))
}

/// Looks at a name without following a link.
pub(super) fn look(folder: &OwnedFd, name: &str) -> Result<Option<Found>, Failure> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(found(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) fn found(stat: &Stat) -> Found {
    let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Found {
        kind: FileType::from_raw_mode(stat.st_mode),
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH),
        stamp: Stamp(format!("{}-{}-{}.{nanoseconds:09}", stat.st_ino, stat.st_size, stat.st_mtime)),
    }
}
