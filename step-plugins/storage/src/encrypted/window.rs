//! The bytes of an encrypted object as a reader wants them that may seek: its header, and one run of chunks.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use rekindle_engine::host::{Body, BodyReader};

/// A trouble of the store below, not of the encryption: told as it is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct OfTheStore(io::Error);

/// A part of an object: its first bytes in memory, and a stream of others. Blocks only in the stream.
pub(super) struct Window {
    first: Bytes,
    rest: Option<BodyReader>,
    /// Where the next byte of `rest` lies in the object.
    rest_at: u64,
    at: u64,
}

impl Window {
    /// Makes one; the stream's first byte lies at `rest_at` in the object, not before the end of `first`.
    pub(super) fn new(first: Bytes, rest: Body, rest_at: u64) -> Self {
        Self { first, rest: Some(rest.into_blocking_reader()), rest_at, at: 0 }
    }

    /// Makes one of an object that is there as a whole: it never blocks.
    pub(super) fn whole(object: Bytes) -> Self {
        Self { rest_at: object.len() as u64, first: object, rest: None, at: 0 }
    }
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let held = usize::try_from(self.at).ok().and_then(|at| self.first.get(at..)).unwrap_or_default();
        if !held.is_empty() {
            let length = held.len().min(into.len());
            into[..length].copy_from_slice(&held[..length]);
            self.at += length as u64;
            return Ok(length);
        }
        if self.at != self.rest_at {
            return Err(outside());
        }
        let Some(rest) = &mut self.rest else { return Ok(0) };
        let length = rest.read(into).map_err(|error| io::Error::new(error.kind(), OfTheStore(error)))?;
        self.at += length as u64;
        self.rest_at = self.at;
        Ok(length)
    }
}

impl Seek for Window {
    /// Goes to a place of the object, counted from its beginning or from here; whether it can be read shows then.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.checked_add_signed(by).ok_or_else(outside)?,
            SeekFrom::End(_) => return Err(outside()),
        };
        Ok(self.at)
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a part of the object was read that was not fetched")
}

/// Tells an error of the store as it came, and any other as what it is: bytes that are not those that were encrypted.
pub(super) fn told(error: io::Error) -> io::Error {
    error.downcast::<OfTheStore>().map_or_else(
        |error| {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof => "its encrypted bytes are cut off",
                _ => "its encrypted bytes are damaged or cut off",
            };
            io::Error::new(io::ErrorKind::InvalidData, why)
        },
        |OfTheStore(error)| error,
    )
}
