//! Small objects that are changed by comparing: one state in, the next one out.
//!
//! No rename compares, so those who swap exclude each other by a lock on a file of the store (which works on
//! NFS as well). The mark of a state is the checksum of what is there, as an `ETag` of S3 is.

use std::fs::File;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rekindle_engine::host::{Body, Key, PutMode, Stamp, StoreErrorKind};
use rustix::fs::{FlockOperation, Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::folder::{Chain, FILE_MODE};
use super::{PARTIAL, Place, read, write};
use crate::failure::Failure;

/// Reads an object of at most so many bytes, with its mark.
pub(super) fn read_stamped(
    place: &Place,
    key: &Key,
    limit_bytes: usize,
) -> Result<Option<(Bytes, Stamp)>, Failure> {
    let opened = match read::open(place, key, None) {
        Ok(opened) => opened,
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let bytes = opened.read(limit_bytes)?;
    let stamp = stamp(&bytes);
    Ok(Some((bytes, stamp)))
}

/// Puts bytes in place of a state.
pub(super) fn swap(
    place: &Place,
    key: &Key,
    expected: Option<&Stamp>,
    bytes: Bytes,
) -> Result<Stamp, Failure> {
    // Given back when it is dropped, also by a crash.
    let _lock = lock(place)?;
    let found = read_stamped(place, key, usize::MAX)?.map(|(_, stamp)| stamp);
    if found.as_ref() != expected {
        return Err(match expected {
            None => Failure::new(StoreErrorKind::AlreadyExists, "it is there already"),
            Some(_) => Failure::new(StoreErrorKind::Changed, "somebody else has written it meanwhile"),
        });
    }
    let next = stamp(&bytes);
    let mode = if expected.is_some() { PutMode::Replace } else { PutMode::IfAbsent };
    let (caller, watched) = write::caller();
    write::put(place, key, Body::from_bytes(bytes), mode, &watched)?;
    drop(caller);
    Ok(next)
}

fn stamp(bytes: &[u8]) -> Stamp {
    Stamp(hex::encode(Sha256::digest(bytes)))
}

fn lock(place: &Place) -> Result<File, Failure> {
    let root: OwnedFd = Chain::make(&place.root, &[])?.last()?.try_clone()?;
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Never removed: who waits for a file that is gone waits for another lock than the next one.
    let file = rustix::fs::openat(&root, format!("{PARTIAL}-swap"), flags, FILE_MODE | Mode::empty())?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file.into())
}
