//! Looking at objects and reading them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, BodySender, Key, ObjectInfo, Stamp, StoreErrorKind};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Place;
use super::folder::{self, Chain};
use crate::failure::Failure;

const CHUNK_BYTES: usize = 256 * 1024;

/// Looks at an object.
pub(super) fn head(place: &Place, key: &Key) -> Result<Option<ObjectInfo>, Failure> {
    let (parts, name) = folder::split(key);
    let Some(chain) = Chain::open(&place.root, &parts)? else { return Ok(None) };
    let Some(found) = folder::look(chain.last()?, name)? else { return Ok(None) };
    match found.kind {
        FileType::RegularFile => Ok(Some(found.info(key))),
        FileType::Symlink => Err(folder::link_refused(name)),
        _ => Ok(None),
    }
}

/// A file that is open and a range that lies in it.
pub(crate) struct Opened {
    file: File,
    stamp: Stamp,
    range: Range<u64>,
}

/// Opens an object and checks the range against its size.
pub(super) fn open(place: &Place, key: &Key, range: Option<Range<u64>>) -> Result<Opened, Failure> {
    let (parts, name) = folder::split(key);
    let chain = Chain::open(&place.root, &parts)?.ok_or_else(Failure::not_found)?;
    // Non-blocking, so that a named pipe somebody put there can't hold us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(chain.last()?, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(Failure::not_found()),
        Err(Errno::LOOP) => return Err(folder::link_refused(name)),
        Err(errno) => return Err(errno.into()),
    };
    let found = folder::found(&rustix::fs::fstat(&file)?);
    if found.kind != FileType::RegularFile {
        return Err(Failure::not_found());
    }
    let range = inside(range.unwrap_or(0..found.size_bytes), found.size_bytes)?;
    Ok(Opened { file: file.into(), stamp: found.stamp, range })
}

/// As [`open`], if it is the file that has this mark.
pub(super) fn open_stamped(
    place: &Place,
    key: &Key,
    stamp: &Stamp,
    range: Range<u64>,
) -> Result<Opened, Failure> {
    let opened = open(place, key, None)?;
    if opened.stamp != *stamp {
        return Err(Failure::new(StoreErrorKind::Changed, "it was replaced meanwhile"));
    }
    Ok(Opened { range: inside(range, opened.range.end)?, ..opened })
}

fn inside(range: Range<u64>, size_bytes: u64) -> Result<Range<u64>, Failure> {
    if range.start > range.end || range.end > size_bytes {
        return Err(Failure::invalid(format!(
            "bytes {} to {} were asked for, but it has {size_bytes}",
            range.start, range.end
        )));
    }
    Ok(range)
}

impl Opened {
    /// Takes a file that is open already, for a range of it.
    pub(crate) fn of(file: File, range: Range<u64>) -> Result<Self, Failure> {
        let found = folder::found(&rustix::fs::fstat(&file)?);
        Ok(Self { file, stamp: found.stamp, range: inside(range, found.size_bytes)? })
    }

    /// Reads the range on a thread of its own, as fast as the reader takes it.
    pub(crate) fn into_body(self) -> Body {
        let (sender, body) = Body::channel();
        tokio::task::spawn_blocking(move || self.feed(sender));
        body
    }

    /// Reads all of it at once, if it has no more than so many bytes.
    pub(super) fn read(self, limit_bytes: usize) -> Result<Bytes, Failure> {
        let size = usize::try_from(self.range.end).unwrap_or(usize::MAX);
        if size > limit_bytes {
            return Err(Failure::invalid(format!("it has more than {limit_bytes} bytes")));
        }
        let mut bytes = BytesMut::zeroed(size);
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes.freeze())
    }

    fn feed(self, sender: BodySender) {
        let mut at = self.range.start;
        while at < self.range.end {
            match self.chunk(at) {
                Ok(chunk) => {
                    at += chunk.len() as u64;
                    if sender.blocking_send(chunk).is_err() {
                        return;
                    }
                }
                Err(error) => return sender.blocking_fail(error),
            }
        }
        // The reader may have gone after the last byte it wanted.
        let _ = sender.blocking_finish();
    }

    fn chunk(&self, at: u64) -> io::Result<Bytes> {
        let wanted = usize::try_from(self.range.end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let mut chunk = BytesMut::zeroed(wanted);
        self.file.read_exact_at(&mut chunk, at)?;
        Ok(chunk.freeze())
    }
}
