//! The headers of a tar archive, as they pass by: receives bytes, counts files, proves that the archive ends.
//!
//! In the format that GNU tar writes with `--format=gnu` (GNU tar manual, "Basic Tar Format"): blocks of 512 bytes, a
//! header with a checksum of its own before the bytes of each file, two empty blocks at the end.

use super::stream::{Kept, StreamError, check_path};

const BLOCK: usize = 512;

/// What the blocks to come are.
enum Place {
    Header,
    /// The bytes of a file, and the padding of its last block.
    Body {
        left: u64,
        padding: u64,
        path: String,
    },
    /// A name that is too long for the header after it.
    LongName {
        left: u64,
        padding: u64,
        name: Vec<u8>,
    },
    /// After the first empty block.
    Ending,
    /// After the second; only zeros follow.
    Over,
}

/// Names of more than 4 KiB are none of a server's.
const LONGEST_NAME_BYTES: u64 = 4096;

/// Follows an archive.
pub(super) struct Tar {
    block: Vec<u8>,
    place: Place,
    offset: u64,
    long_name: Option<Vec<u8>>,
    pub(super) files: u64,
    pub(super) payload_bytes: u64,
    pub(super) kept: Kept,
}

impl Tar {
    pub(super) fn new() -> Self {
        Self {
            block: Vec::with_capacity(BLOCK),
            place: Place::Header,
            offset: 0,
            long_name: None,
            files: 0,
            payload_bytes: 0,
            kept: Kept::default(),
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let taken = match &mut self.place {
                Place::Body { .. } | Place::LongName { .. } => self.push_body(bytes)?,
                Place::Header | Place::Ending | Place::Over => {
                    let taken = (BLOCK - self.block.len()).min(bytes.len());
                    self.block.extend_from_slice(&bytes[..taken]);
                    if self.block.len() == BLOCK {
                        self.begin_block()?;
                        self.block.clear();
                    }
                    taken
                }
            };
            self.offset += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), StreamError> {
        match self.place {
            Place::Over if !self.block.is_empty() => Err(StreamError::Truncated { offset: self.offset }),
            Place::Over if self.files == 0 => Err(StreamError::Empty),
            Place::Over => Ok(()),
            _ => Err(StreamError::Truncated { offset: self.offset }),
        }
    }

    fn push_body(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        let (left, padding) = match &mut self.place {
            Place::Body { left, padding, .. } | Place::LongName { left, padding, .. } => (left, padding),
            Place::Header | Place::Ending | Place::Over => return Ok(0),
        };
        let wanted = if *left > 0 { &mut *left } else { &mut *padding };
        let taken = usize::try_from(*wanted).unwrap_or(usize::MAX).min(bytes.len());
        let is_content = *left > 0;
        if is_content {
            *left -= taken as u64;
        } else {
            *padding -= taken as u64;
        }
        let over = *left == 0 && *padding == 0;
        match &mut self.place {
            Place::Body { path, .. } if is_content => {
                self.payload_bytes += taken as u64;
                self.kept.take(path, &bytes[..taken])?;
            }
            Place::LongName { name, .. } if is_content => name.extend_from_slice(&bytes[..taken]),
            _ => {}
        }
        if over {
            self.leave();
        }
        Ok(taken)
    }

    fn leave(&mut self) {
        if let Place::LongName { name, .. } = std::mem::replace(&mut self.place, Place::Header) {
            self.long_name = Some(name);
        }
    }

    fn begin_block(&mut self) -> Result<(), StreamError> {
        let empty = self.block.iter().all(|byte| *byte == 0);
        match (&self.place, empty) {
            (Place::Header, true) => self.place = Place::Ending,
            (Place::Ending | Place::Over, true) => self.place = Place::Over,
            (Place::Header, false) => self.begin_entry()?,
            _ => return Err(self.wrong("bytes after the archive's end".to_owned())),
        }
        Ok(())
    }

    fn begin_entry(&mut self) -> Result<(), StreamError> {
        let header = &self.block;
        // The sum of all bytes, with blanks in the place of the sum itself.
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => u64::from(b' '),
                _ => u64::from(*byte),
            })
            .sum();
        if number(&header[148..156]) != Some(sum) {
            return Err(self.wrong("no header of a file, or a damaged one".to_owned()));
        }
        let Some(size) = number(&header[124..136]) else {
            return Err(self.wrong("a header without a size".to_owned()));
        };
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let kind = header[156];
        if kind == b'L' {
            if size > LONGEST_NAME_BYTES {
                return Err(self.wrong(format!("a name of {size} bytes")));
            }
            self.place = Place::LongName { left: size, padding, name: Vec::new() };
            return Ok(());
        }
        let name = self.long_name.take().unwrap_or_else(|| until_zero(&header[..100]).to_vec());
        let path = check_path(strip(until_zero(&name))).map_err(|why| self.wrong(why))?;
        match kind {
            b'0' | 0 => {
                self.files += 1;
                if size > 0 {
                    self.place = Place::Body { left: size, padding, path };
                }
                Ok(())
            }
            b'5' => Ok(()),
            b'1' | b'2' => {
                Err(self.wrong(format!("`{path}` is a link; what it leads to is not in the archive")))
            }
            kind => Err(self.wrong(format!("`{path}` is of the type `{}`", char::from(kind)))),
        }
    }

    fn wrong(&self, why: String) -> StreamError {
        StreamError::Wrong { offset: self.offset, why }
    }
}

/// `tar` names everything below the folder `./`.
fn strip(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = name.strip_suffix(b"/").unwrap_or(name);
    if name.is_empty() { b"." } else { name }
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits, or base 256 with the highest bit set where they don't suffice.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        return rest.iter().try_fold(u64::from(first & 0x7f), |sum, byte| {
            sum.checked_mul(256)?.checked_add(u64::from(*byte))
        });
    }
    let text = std::str::from_utf8(until_zero(field)).ok()?.trim();
    u64::from_str_radix(text, 8).ok()
}
