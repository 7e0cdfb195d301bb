//! Bytes of binary logs → events, each checked.

use std::io::{self, Read};

use super::event::{CHECKSUM_BYTES, Event, EventKind, HEADER_BYTES, Header, MAGIC};

/// Larger than any packet of a server (1 GiB) with what an event adds to it.
const LARGEST_EVENT_BYTES: u32 = (1 << 30) + (64 << 20);

/// Why bytes are no sound binary log.
#[derive(Debug, thiserror::Error)]
pub enum BinlogError {
    /// They can't be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// They are something else.
    #[error("it does not begin as a binary log does")]
    NoLog,
    /// An event is damaged.
    #[error("the event at byte {offset} is damaged: {why}")]
    Damaged {
        /// Where it begins in the file.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An event is cut off.
    #[error("it ends inside the event at byte {offset}")]
    Cut {
        /// Where the event begins in the file.
        offset: u64,
    },
}

/// Reads the events of one log, or of several that follow one another without the bytes that a file begins with, as
/// relay logs are made.
pub struct Events<R> {
    reader: R,
    offset: u64,
    has_checksums: bool,
}

impl<R: Read> Events<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// When it is no binary log.
    pub fn new(mut reader: R) -> Result<Self, BinlogError> {
        let mut magic = [0; 4];
        match reader.read_exact(&mut magic) {
            Ok(()) if &magic == MAGIC => Ok(Self { reader, offset: 4, has_checksums: false }),
            Ok(()) => Err(BinlogError::NoLog),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(BinlogError::NoLog),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives how many bytes were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives the reader back.
    pub fn into_reader(self) -> R {
        self.reader
    }

    /// Gives the next event, or nothing at the end.
    ///
    /// # Errors
    /// When the bytes can't be read, end inside an event, or are not what was written.
    pub fn next_event(&mut self) -> Result<Option<Event>, BinlogError> {
        let mut raw = Vec::with_capacity(256);
        let read = (&mut self.reader).take(HEADER_BYTES as u64).read_to_end(&mut raw)?;
        if read == 0 {
            return Ok(None);
        }
        let Some(header) = raw.first_chunk::<HEADER_BYTES>().map(Header::read) else {
            return Err(BinlogError::Cut { offset: self.offset });
        };
        let size = header.size_bytes as usize;
        if size < HEADER_BYTES || header.size_bytes > LARGEST_EVENT_BYTES {
            return Err(self.damaged(format!("its size is given as {size} bytes")));
        }
        // Grows as bytes arrive: a wrong size allocates nothing.
        (&mut self.reader).take((size - HEADER_BYTES) as u64).read_to_end(&mut raw)?;
        if raw.len() < size {
            return Err(BinlogError::Cut { offset: self.offset });
        }
        match (header.kind, self.offset) {
            (EventKind::FORMAT, _) => self.has_checksums = self.read_format(&raw)?,
            (_, 4) => return Err(self.damaged("it does not describe the format of the log".to_owned())),
            _ => {}
        }
        // A format description has room for a checksum whatever it says of the others.
        let has_room = self.has_checksums || header.kind == EventKind::FORMAT;
        let checksum_bytes = if has_room { CHECKSUM_BYTES } else { 0 };
        if self.has_checksums {
            self.check(&raw)?;
        }
        self.offset += raw.len() as u64;
        Ok(Some(Event { header, raw, checksum_bytes }))
    }

    /// Reads from a format description whether events have checksums: the byte before its own checksum.
    fn read_format(&self, raw: &[u8]) -> Result<bool, BinlogError> {
        let version = raw.get(HEADER_BYTES..HEADER_BYTES + 2).unwrap_or_default();
        if version != [4, 0] {
            return Err(self.damaged(format!("it is of version {version:?} of the format, not 4")));
        }
        match raw.len().checked_sub(CHECKSUM_BYTES + 1).and_then(|at| raw.get(at)) {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            other => Err(self.damaged(format!("its checksum is of the kind {other:?}"))),
        }
    }

    fn check(&self, raw: &[u8]) -> Result<(), BinlogError> {
        let Some((covered, kept)) = raw.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(self.damaged("it is too short for its checksum".to_owned()));
        };
        let mut hash = crc32fast::Hasher::new();
        // The server takes the checksum of a format description before it notes that the log is in use (bit 0 of
        // the flags).
        if raw[4] == EventKind::FORMAT.0 {
            hash.update(&covered[..17]);
            hash.update(&[covered[17] & !1]);
            hash.update(&covered[18..]);
        } else {
            hash.update(covered);
        }
        if hash.finalize() == u32::from_le_bytes(*kept) {
            Ok(())
        } else {
            Err(self.damaged("its checksum does not match".to_owned()))
        }
    }

    fn damaged(&self, why: String) -> BinlogError {
        BinlogError::Damaged { offset: self.offset, why }
    }
}
