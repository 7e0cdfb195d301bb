//! Texts in, one gzip object of several members out: compressed in parallel, written and hashed in order.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::WriterOptions;
use super::pool::{Compressed, Pool};
use crate::manifest::Member;

/// An object that has been written to its end.
#[derive(Debug, Clone)]
pub struct WrittenMembers {
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of it, lowercase hex.
    pub sha256: String,
    /// Size of its text.
    pub text_bytes: u64,
    /// Its members in order.
    pub members: Vec<Member>,
}

/// Writes one object.
pub(crate) struct Members<W> {
    sink: W,
    pool: Pool<Member>,
    written: Vec<Member>,
    text_offset: u64,
    size_bytes: u64,
    sha256: Sha256,
}

impl<W: Write> Members<W> {
    pub(crate) fn new(sink: W, options: WriterOptions) -> io::Result<Self> {
        Ok(Self {
            sink,
            pool: Pool::start(options.threads, options.level)?,
            written: Vec::new(),
            text_offset: 0,
            size_bytes: 0,
            sha256: Sha256::new(),
        })
    }

    /// Gives the size of all texts so far.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_offset
    }

    /// Makes a text the next member. Of `member` counts what the bytes themselves do not tell.
    pub(crate) fn push(&mut self, mut member: Member, text: Vec<u8>) -> io::Result<()> {
        member.text_offset = self.text_offset;
        member.text_bytes = text.len() as u64;
        self.text_offset += member.text_bytes;
        match self.pool.push(member, text)? {
            Some((member, compressed)) => self.store(member, &compressed),
            None => Ok(()),
        }
    }

    /// Ends the object and gives the sink back.
    pub(crate) fn finish(mut self) -> io::Result<(W, WrittenMembers)> {
        while let Some((member, compressed)) = self.pool.pop()? {
            self.store(member, &compressed)?;
        }
        self.sink.flush()?;
        let written = WrittenMembers {
            size_bytes: self.size_bytes,
            sha256: hex::encode(self.sha256.finalize()),
            text_bytes: self.text_offset,
            members: self.written,
        };
        Ok((self.sink, written))
    }

    fn store(&mut self, mut member: Member, compressed: &Compressed) -> io::Result<()> {
        let bytes = &compressed.bytes;
        self.sink.write_all(bytes)?;
        self.sha256.update(bytes);
        member.offset = self.size_bytes;
        member.size_bytes = bytes.len() as u64;
        // RFC 1952 section 2.3.1: CRC32 and ISIZE are a member's last eight bytes, least significant first.
        member.crc32 =
            bytes.last_chunk::<8>().map_or(0, |&[a, b, c, d, ..]| u32::from_le_bytes([a, b, c, d]));
        self.size_bytes += member.size_bytes;
        member.sha256 = Some(compressed.sha256.clone());
        self.written.push(member);
        Ok(())
    }
}
