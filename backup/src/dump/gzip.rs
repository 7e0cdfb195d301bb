//! A gzip stream of several members (RFC 1952 section 2.2) as text, strictly: no garbage after it, no part missing.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

const BUFFER_BYTES: usize = 128 << 10;

/// Where a member ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberEnd {
    /// The end of its bytes in the object.
    pub offset: u64,
    /// The end of its text.
    pub text_offset: u64,
    /// CRC-32 of its text, computed here and equal to the one stored in it.
    pub crc32: u32,
}

/// Why a gzip stream can't be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// The object has no byte at all.
    #[error("the object is empty")]
    Empty,
    /// What is there is no gzip member.
    #[error("at byte {offset} stands no gzip member but something else")]
    Garbage {
        /// Where in the object.
        offset: u64,
    },
    /// The object ends inside a member.
    #[error("the object ends inside gzip member {member}, which begins at byte {offset}")]
    Truncated {
        /// Which, from 0.
        member: usize,
        /// Where it begins in the object.
        offset: u64,
    },
    /// A member can't be decompressed, or its checksum is wrong.
    #[error("gzip member {member}, which begins at byte {offset}, is damaged: {why}")]
    Damaged {
        /// Which, from 0.
        member: usize,
        /// Where it begins in the object.
        offset: u64,
        /// What the decompressor says.
        why: String,
    },
}

impl GzipError {
    /// Finds this error inside what a [`Read`] of [`GzipText`] gave.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Gives which member it is about, from 0.
    pub fn member(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::Garbage { .. } => None,
            Self::Truncated { member, .. } | Self::Damaged { member, .. } => Some(*member),
        }
    }
}

impl From<GzipError> for io::Error {
    fn from(error: GzipError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Counts what is taken from the object.
struct Counted<R> {
    inner: BufReader<R>,
    taken: u64,
    failed: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into).inspect_err(|_| self.failed = true)?;
        self.taken += length as u64;
        Ok(length)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf().inspect_err(|_| self.failed = true)
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount as u64;
        self.inner.consume(amount);
    }
}

enum Stage<R> {
    Between(Counted<R>),
    Member(Box<GzDecoder<Counted<R>>>),
    Over(Counted<R>),
    Broken,
}

/// The text of a gzip object. Errors of reading pass through as they are; damage is a [`GzipError`].
pub struct GzipText<R> {
    stage: Stage<R>,
    begin: u64,
    text: u64,
    crc: crc32fast::Hasher,
    ends: Vec<MemberEnd>,
}

impl<R: Read> GzipText<R> {
    /// Reads the object from its first byte.
    pub fn new(object: R) -> Self {
        let object =
            Counted { inner: BufReader::with_capacity(BUFFER_BYTES, object), taken: 0, failed: false };
        Self {
            stage: Stage::Between(object),
            begin: 0,
            text: 0,
            crc: crc32fast::Hasher::new(),
            ends: Vec::new(),
        }
    }

    /// Gives the members that were read to their end.
    pub fn ends(&self) -> &[MemberEnd] {
        &self.ends
    }

    /// Gives how many bytes of the object have been taken.
    pub fn taken_bytes(&self) -> u64 {
        match &self.stage {
            Stage::Between(object) | Stage::Over(object) => object.taken,
            Stage::Member(member) => member.get_ref().taken,
            Stage::Broken => self.begin,
        }
    }

    /// Gives the object's reader back after a proper end; nothing before it or after an error.
    pub fn into_object(self) -> Option<R> {
        match self.stage {
            Stage::Over(object) => Some(object.inner.into_inner()),
            Stage::Between(_) | Stage::Member(_) | Stage::Broken => None,
        }
    }

    fn next_member(&mut self, mut object: Counted<R>) -> io::Result<bool> {
        let ahead = object.fill_buf()?;
        if ahead.is_empty() {
            self.stage = Stage::Over(object);
            return if self.ends.is_empty() { Err(GzipError::Empty.into()) } else { Ok(false) };
        }
        if ahead[0] != 0x1f || ahead.get(1).is_some_and(|byte| *byte != 0x8b) {
            return Err(GzipError::Garbage { offset: object.taken }.into());
        }
        self.begin = object.taken;
        self.crc = crc32fast::Hasher::new();
        self.stage = Stage::Member(Box::new(GzDecoder::new(object)));
        Ok(true)
    }

    fn damage(&self, error: &io::Error) -> io::Error {
        let (member, offset) = (self.ends.len(), self.begin);
        if error.kind() == io::ErrorKind::UnexpectedEof {
            GzipError::Truncated { member, offset }.into()
        } else {
            GzipError::Damaged { member, offset, why: error.to_string() }.into()
        }
    }
}

impl<R: Read> Read for GzipText<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.stage, Stage::Broken) {
                Stage::Broken => return Err(io::Error::other("the object could not be read before")),
                Stage::Over(object) => {
                    self.stage = Stage::Over(object);
                    return Ok(0);
                }
                Stage::Between(object) => {
                    if !self.next_member(object)? {
                        return Ok(0);
                    }
                }
                Stage::Member(mut member) => match member.read(into) {
                    Ok(0) => {
                        let object = member.into_inner();
                        let crc32 = std::mem::take(&mut self.crc).finalize();
                        self.ends.push(MemberEnd { offset: object.taken, text_offset: self.text, crc32 });
                        self.stage = Stage::Between(object);
                    }
                    Ok(length) => {
                        self.crc.update(&into[..length]);
                        self.text += length as u64;
                        self.stage = Stage::Member(member);
                        return Ok(length);
                    }
                    // Trouble with reading is no damage: the error goes through as it is.
                    Err(error) if member.get_ref().failed => return Err(error),
                    Err(error) => return Err(self.damage(&error)),
                },
            }
        }
    }
}
