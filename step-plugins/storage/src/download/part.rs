//! The unfinished file of a download: `NAME.rekindle-part` beside the file it becomes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rekindle_engine::step::StepError;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::read_back::ReadBack;
use super::writer::Writer;
use crate::transfer::{IfExists, beside, folder_of, told};

/// What a download writes into. Stays when the download fails: the next try goes on with it.
pub(super) struct Part {
    pub(super) path: PathBuf,
    file: File,
}

impl Part {
    /// Opens it, or makes it, for its owner alone. Only one download at a time has it.
    pub(super) fn open(to: &Path) -> Result<Self, StepError> {
        let path = beside(to);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(opened.map_err(|errno| told("write", &path, &errno.into()))?);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, file }),
            Err(Errno::WOULDBLOCK) => Err(StepError::transient(format!(
                "another process is writing `{}` right now",
                path.display()
            ))
            .help("wait for it, or name another file")),
            Err(errno) => Err(told("write", &path, &errno.into())),
        }
    }

    /// Keeps the first bytes, if there are so many, and gives where to go on.
    pub(super) fn rewind(&mut self, keep_bytes: u64) -> Result<u64, StepError> {
        let rewound = || -> io::Result<u64> {
            let at = if self.file.metadata()?.len() >= keep_bytes { keep_bytes } else { 0 };
            // What came after may be anything.
            self.file.set_len(at)?;
            Ok(at)
        };
        rewound().map_err(|error| told("write", &self.path, &error))
    }

    /// Gives how many bytes are in it.
    pub(super) fn written_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// Makes what was written so far durable, on a thread of its own.
    pub(super) fn sync_beside(&self) -> Result<JoinHandle<io::Result<()>>, StepError> {
        let file = self.file.try_clone().map_err(|error| told("sync", &self.path, &error))?;
        Ok(tokio::task::spawn_blocking(move || file.sync_data()))
    }

    /// Makes all of it durable.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let file = self.file.try_clone()?;
        tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other).flatten()
    }

    /// Gives it for writing from a byte on.
    pub(super) fn writer(&self, at: u64) -> Result<Writer, StepError> {
        let file = self.file.try_clone().map_err(|error| told("write", &self.path, &error))?;
        Ok(Writer::new(file, at))
    }

    /// Gives it for reading back what is written.
    pub(super) fn read_back(&self) -> Result<ReadBack, StepError> {
        ReadBack::of(&self.path).map_err(|error| told("read", &self.path, &error))
    }

    /// Makes it the file, in one step; the folder is synced before it returns.
    pub(super) fn publish(self, to: &Path, if_exists: IfExists) -> Result<(), StepError> {
        let moved = match if_exists {
            IfExists::Replace => rustix::fs::rename(&self.path, to),
            IfExists::Fail => self.move_if_absent(to),
        };
        match moved {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(another(to)),
            Err(errno) => return Err(told("write", to, &errno.into())),
        }
        let folder = folder_of(to);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| told("sync", folder, &error))
    }

    fn move_if_absent(&self, to: &Path) -> Result<(), Errno> {
        let here = rustix::fs::CWD;
        match rustix::fs::renameat_with(here, &self.path, here, to, RenameFlags::NOREPLACE) {
            // NFS and some others lack this flag, but link atomically.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(here, &self.path, here, to, AtFlags::empty())?;
                rustix::fs::unlink(&self.path)
            }
            moved => moved,
        }
    }

    /// Removes it: its bytes are wrong.
    pub(super) fn discard(self) {
        // What can't be removed now is overwritten by the next try: no state of it is right.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Another file has the name.
pub(super) fn another(to: &Path) -> StepError {
    StepError::permanent(format!("another file is there as `{}`", to.display()))
        .help("move it away, name another file in `to:`, or set `if_exists: replace`")
}
