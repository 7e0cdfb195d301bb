//! The chunks of `mbstream` and `xbstream`, as they pass by: receives bytes, counts files, proves checksums.
//!
//! A chunk is magic (8 bytes), flags (1), type (1), length of the path (4), path, and what its type wants; numbers
//! are little-endian. `P` has a payload: length (8), offset (8), CRC-32 (4), bytes. `E` ends a file. `S` is a hole of
//! MariaDB (offset, 8), and a payload with a map before it of Percona (storage/innobase/xtrabackup/doc/xbstream.md);
//! `R` and `D` rename and remove a file that was sent before (MariaDB, extra/mariabackup/xbstream.cc).

use std::collections::BTreeSet;

use super::StreamFormat;
use super::stream::{Kept, StreamError, check_path};

const MAGIC: &[u8; 8] = b"XBSTCK01";
/// Magic, flags, type, length of the path.
const FIXED_BYTES: usize = 14;
/// A path is at most 512 bytes for MariaDB (`FN_REFLEN`) and 4,096 for Percona.
const LONGEST_PATH_BYTES: usize = 4096;
/// Length, offset, checksum.
const PAYLOAD_BYTES: usize = 20;
/// A chunk is 10 MiB unless the tool is told otherwise; a longer one would mean nonsense.
const LONGEST_PAYLOAD_BYTES: u64 = 1 << 32;

/// Where in a chunk the stream is.
enum Place {
    Header,
    Payload { left: u64, crc: crc32fast::Hasher, expected: u32, path: String },
}

/// Follows a stream.
pub(super) struct Xbstream {
    format: StreamFormat,
    header: Vec<u8>,
    place: Place,
    offset: u64,
    open: BTreeSet<String>,
    pub(super) files: u64,
    pub(super) payload_bytes: u64,
    pub(super) kept: Kept,
}

impl Xbstream {
    pub(super) fn new(format: StreamFormat) -> Self {
        Self {
            format,
            header: Vec::new(),
            place: Place::Header,
            offset: 0,
            open: BTreeSet::new(),
            files: 0,
            payload_bytes: 0,
            kept: Kept::default(),
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let taken = match &self.place {
                Place::Header => self.push_header(bytes)?,
                Place::Payload { .. } => self.push_payload(bytes)?,
            };
            self.offset += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), StreamError> {
        if !self.header.is_empty() || matches!(self.place, Place::Payload { .. }) {
            return Err(StreamError::Truncated { offset: self.offset });
        }
        match self.open.first() {
            Some(path) => Err(StreamError::Unfinished { path: path.clone() }),
            None if self.files == 0 => Err(StreamError::Empty),
            None => Ok(()),
        }
    }

    fn push_header(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        let wanted = self.header_bytes()?;
        let taken = (wanted - self.header.len()).min(bytes.len());
        self.header.extend_from_slice(&bytes[..taken]);
        if self.header.len() == wanted && self.header_bytes()? == wanted {
            self.begin_chunk()?;
        }
        Ok(taken)
    }

    /// Gives how long the header is, as far as what is there of it tells.
    fn header_bytes(&self) -> Result<usize, StreamError> {
        let header = &self.header;
        if header.len() < FIXED_BYTES {
            return Ok(FIXED_BYTES);
        }
        if &header[..8] != MAGIC {
            return Err(self.wrong("no chunk begins here".to_owned()));
        }
        let with_path = FIXED_BYTES + self.length_at(FIXED_BYTES - 4)?;
        let rest = match (header[9], self.format) {
            (b'P', _) => PAYLOAD_BYTES,
            (b'E', _) | (b'D', StreamFormat::Mbstream) => 0,
            (b'S', StreamFormat::Mbstream) => 8,
            (b'S', _) => {
                let fixed = 4 + PAYLOAD_BYTES;
                match self.number_at(with_path) {
                    Some(entries) => fixed + 8 * entries as usize,
                    None => fixed,
                }
            }
            (b'R', StreamFormat::Mbstream) => match self.number_at(with_path) {
                Some(_) => 4 + self.length_at(with_path)?,
                None => 4,
            },
            // Percona: a chunk of a type to come, which may be passed over when its lowest flag says so.
            (kind, _) => return Err(self.wrong(format!("a chunk of the unknown type {kind:#04x}"))),
        };
        Ok(with_path + rest)
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.header.get(at..at + 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Reads the length of a path.
    fn length_at(&self, at: usize) -> Result<usize, StreamError> {
        let length = self.number_at(at).unwrap_or(0) as usize;
        if length == 0 || length > LONGEST_PATH_BYTES {
            return Err(self.wrong(format!("a path of {length} bytes")));
        }
        Ok(length)
    }

    fn begin_chunk(&mut self) -> Result<(), StreamError> {
        let header = std::mem::take(&mut self.header);
        let length = u32::from_le_bytes([header[10], header[11], header[12], header[13]]) as usize;
        let with_path = FIXED_BYTES + length;
        let path = self.path(&header[FIXED_BYTES..with_path])?;
        match header[9] {
            // A file without a byte has no other chunk.
            b'E' => self.files += u64::from(!self.open.remove(&path)),
            b'P' => {
                self.enter(&path);
                self.begin_payload(&header[with_path..], &[], path)?;
            }
            b'S' if self.format == StreamFormat::Mbstream => self.enter(&path),
            b'S' => {
                self.enter(&path);
                let rest = &header[with_path + 4..];
                self.begin_payload(&rest[..PAYLOAD_BYTES], &rest[PAYLOAD_BYTES..], path)?;
            }
            // Renamed and removed files were counted when they were sent.
            b'R' => drop(self.path(&header[with_path + 4..])?),
            _ => {}
        }
        Ok(())
    }

    fn begin_payload(&mut self, numbers: &[u8], map: &[u8], path: String) -> Result<(), StreamError> {
        let eight =
            |at: usize| numbers[at..at + 8].iter().rev().fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
        let left = eight(0);
        if left > LONGEST_PAYLOAD_BYTES {
            return Err(self.wrong(format!("a payload of {left} bytes")));
        }
        let expected = u32::from_le_bytes([numbers[16], numbers[17], numbers[18], numbers[19]]);
        let mut crc = crc32fast::Hasher::new();
        crc.update(map);
        self.place = Place::Payload { left, crc, expected, path };
        if left == 0 { self.push_payload(&[]).map(drop) } else { Ok(()) }
    }

    fn enter(&mut self, path: &str) {
        if self.open.insert(path.to_owned()) {
            self.files += 1;
        }
    }

    fn push_payload(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        let Place::Payload { left, crc, expected, path } = &mut self.place else { return Ok(0) };
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        crc.update(&bytes[..taken]);
        self.kept.take(path, &bytes[..taken])?;
        *left -= taken as u64;
        self.payload_bytes += taken as u64;
        if *left == 0 {
            if crc.clone().finalize() != *expected {
                let path = std::mem::take(path);
                return Err(StreamError::Checksum { path, offset: self.offset + taken as u64 });
            }
            self.place = Place::Header;
        }
        Ok(taken)
    }

    fn path(&self, bytes: &[u8]) -> Result<String, StreamError> {
        check_path(bytes).map_err(|why| self.wrong(why))
    }

    fn wrong(&self, why: String) -> StreamError {
        StreamError::Wrong { offset: self.offset, why }
    }
}
