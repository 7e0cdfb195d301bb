//! Writing objects: into a partial file, synced, then put in place in one step.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rekindle_engine::host::{Body, Key, ObjectInfo, PutMode, StoreErrorKind};
use rustix::fs::{AtFlags, FileType, FlockOperation, OFlags, RenameFlags};
use rustix::io::Errno;

use super::folder::{self, Chain, FILE_MODE};
use super::{PARTIAL, Place};
use crate::failure::Failure;

/// How often folders that another writer or a deletion takes away are made again.
const MAX_TRIES: u32 = 64;
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// Makes a sign of life of the caller of `put` and the end that watches it.
pub(super) fn caller() -> (Arc<()>, Weak<()>) {
    let caller = Arc::new(());
    let watched = Arc::downgrade(&caller);
    (caller, watched)
}

/// Stores a stream as an object.
pub(super) fn put(
    place: &Place,
    key: &Key,
    mut body: Body,
    mode: PutMode,
    caller: &Weak<()>,
) -> Result<ObjectInfo, Failure> {
    let partial = Partial::create(place)?;
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, &partial.file);
    let source = |error: std::io::Error| Failure::new(StoreErrorKind::Source, error.to_string());
    while let Some(chunk) = body.blocking_next().map_err(source)? {
        writer.write_all(&chunk)?;
    }
    writer.flush()?;
    drop(writer);
    partial.file.sync_all()?;
    unless_cancelled(caller)?;
    partial.finish(place, key, mode)
}

/// Fails when the caller has gone: its object must not appear later.
pub(super) fn unless_cancelled(caller: &Weak<()>) -> Result<(), Failure> {
    if caller.strong_count() == 0 {
        return Err(Failure::new(StoreErrorKind::Source, "the writer was cancelled"));
    }
    Ok(())
}

/// Removes an object, and the folders above it that are empty then.
pub(super) fn delete(place: &Place, key: &Key) -> Result<(), Failure> {
    let (parts, name) = folder::split(key);
    let Some(chain) = Chain::open(&place.root, &parts)? else { return Ok(()) };
    match rustix::fs::unlinkat(chain.last()?, name, AtFlags::empty()) {
        Ok(()) => rustix::fs::fsync(chain.last()?)?,
        Err(Errno::NOENT) => {}
        Err(Errno::ISDIR | Errno::PERM) if is_folder(chain.last()?, name)? => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    chain.remove_empty(&parts)
}

/// Writes and syncs a file that has no name, or none for long.
///
/// Where the root is not there yet, the nearest folder above it is tried, and nothing is made.
pub(super) fn check_writable(place: &Place) -> Result<(), Failure> {
    let nearest = place.root.ancestors().find_map(|above| folder::open_root(above).transpose());
    let nearest = nearest.unwrap_or_else(|| Err(Errno::NOENT.into()))?;
    let block = [0_u8; 4096];
    let unnamed = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(&nearest, ".", unnamed, FILE_MODE) {
        Ok(file) => {
            let mut file = File::from(file);
            file.write_all(&block)?;
            Ok(file.sync_all()?)
        }
        // Not every file system has unnamed files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
            let partial = Partial::create_in(nearest, &format!("{PARTIAL}-check-"))?;
            (&partial.file).write_all(&block)?;
            Ok(partial.file.sync_all()?)
        }
        Err(errno) => Err(errno.into()),
    }
}

fn is_folder(folder: &OwnedFd, name: &str) -> Result<bool, Failure> {
    Ok(folder::kind(folder, name)? == Some(FileType::Directory))
}

/// A file that is being written; removed when dropped before it is put in place.
pub(super) struct Partial {
    folder: OwnedFd,
    name: String,
    pub(super) file: File,
    /// False once it has left `folder` (another writer may have taken its name since), or is to be left there.
    named: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.named {
            // What can't be removed now is removed by a later prune.
            let _ = rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty());
        }
    }
}

impl Partial {
    fn create(place: &Place) -> Result<Self, Failure> {
        let folder = Chain::make(&place.root, &[PARTIAL])?;
        let folder = folder.last()?.try_clone()?;
        Self::create_in(folder, "")
    }

    fn create_in(folder: OwnedFd, prefix: &str) -> Result<Self, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MAX_TRIES * 64 {
            // Names may be taken: by a killed process that had our pid, or on another machine that shares the
            // folder.
            let name = format!("{prefix}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            match rustix::fs::openat(&folder, &name, flags, FILE_MODE) {
                Ok(file) => return Ok(Self { folder, name, file: file.into(), named: true }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Failure::new(StoreErrorKind::Unavailable, format!("too many files are left in `{PARTIAL}`")))
    }

    /// Opens the unfinished file that has a name, or makes it. Only one writer at a time has it.
    pub(super) fn resume(place: &Place, name: &str) -> Result<Self, Failure> {
        let chain = Chain::make(&place.root, &[PARTIAL])?;
        let folder = chain.last()?.try_clone()?;
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, name, flags, FILE_MODE)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder, name: name.to_owned(), file: file.into(), named: true }),
            Err(Errno::WOULDBLOCK) => {
                Err(Failure::new(StoreErrorKind::Unavailable, "another process is writing it right now"))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Leaves it to whoever goes on with it.
    pub(super) fn leave(mut self) {
        self.named = false;
    }

    /// Removes it.
    pub(super) fn discard(self) {
        drop(self);
    }

    /// Makes it the object, and tells what is known of that. The bytes are synced already.
    pub(super) fn finish(self, place: &Place, key: &Key, mode: PutMode) -> Result<ObjectInfo, Failure> {
        let found = folder::found(&rustix::fs::fstat(&self.file)?);
        self.put_in_place(place, key, mode)?;
        Ok(found.info(key))
    }

    fn put_in_place(mut self, place: &Place, key: &Key, mode: PutMode) -> Result<(), Failure> {
        let (parts, name) = folder::split(key);
        for tried in 0..MAX_TRIES {
            // A folder that is being removed can be opened until its removal, which may have to wait for a
            // processor, is through: tries without a pause would all meet the same dying folder.
            std::thread::sleep(Duration::from_millis(u64::from(tried)).min(LONGEST_PAUSE));
            let chain = match Chain::make(&place.root, &parts) {
                Err(failure) if failure.kind == StoreErrorKind::NotFound => continue,
                folders => folders?,
            };
            let into = chain.last()?;
            let moved = match mode {
                PutMode::Replace => rustix::fs::renameat(&self.folder, &self.name, into, name),
                PutMode::IfAbsent => self.move_if_absent(into, name),
            };
            match moved {
                Ok(()) => {
                    self.named = false;
                    return chain.sync();
                }
                // A deletion took the folder away between our two calls.
                Err(Errno::NOENT) => {}
                Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) if is_folder(into, name)? => {
                    return Err(Failure::invalid("there are objects below it, so it can't be one itself"));
                }
                Err(Errno::EXIST) => {
                    return Err(Failure::new(StoreErrorKind::AlreadyExists, "it is there already"));
                }
                Err(Errno::XDEV) => {
                    let why = format!("it would lie on another file system than `{PARTIAL}` of this store");
                    return Err(Failure::invalid(why));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Failure::new(StoreErrorKind::Unavailable, "its folder keeps being removed"))
    }

    fn move_if_absent(&self, into: &OwnedFd, name: &str) -> Result<(), Errno> {
        match rustix::fs::renameat_with(&self.folder, &self.name, into, name, RenameFlags::NOREPLACE) {
            // NFS and some others lack this flag, but link atomically.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(&self.folder, &self.name, into, name, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty())
            }
            moved => moved,
        }
    }
}
