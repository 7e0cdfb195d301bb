//! A stream of files in, a gzip object of several members out, with what is in it.

use std::io::{self, Write};

use super::{StreamContents, StreamError, StreamFormat, StreamWatch};
use crate::dump::{Members, WriterOptions, WrittenMembers};
use crate::manifest::Member;

/// A stream that is whole, as it was written.
#[derive(Debug, Clone)]
pub struct WrittenStream {
    /// The object.
    pub object: WrittenMembers,
    /// What is in it.
    pub contents: StreamContents,
}

/// Looks at a stream as it comes, compresses it in parallel and writes it in order.
pub struct StreamWriter<W> {
    members: Members<W>,
    watch: StreamWatch,
    text: Vec<u8>,
    member_bytes: usize,
}

/// Why a stream could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StreamWriteError {
    /// The sink refused, or compression failed.
    #[error("failed to write the stream: {0}")]
    Write(#[from] io::Error),
    /// It is not whole.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl<W: Write> StreamWriter<W> {
    /// Begins an object.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(sink: W, format: StreamFormat, options: WriterOptions) -> io::Result<Self> {
        Ok(Self {
            members: Members::new(sink, options)?,
            watch: StreamWatch::new(format),
            text: Vec::new(),
            member_bytes: options.member_bytes,
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are not what the stream must have here, or the sink refuses.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StreamWriteError> {
        self.watch.push(bytes)?;
        while !bytes.is_empty() {
            let taken = (self.member_bytes - self.text.len()).min(bytes.len());
            self.text.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.text.len() == self.member_bytes {
                self.cut()?;
            }
        }
        Ok(())
    }

    /// Gives how many files have begun, for progress.
    pub fn files(&self) -> u64 {
        self.watch.files()
    }

    /// Ends the object. Gives the sink back, for its own good end, and what was written.
    ///
    /// # Errors
    /// When the stream is over too early, or the sink refuses.
    pub fn finish(mut self) -> Result<(W, WrittenStream), StreamWriteError> {
        let contents = self.watch.finish()?;
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.members.push(Member::default(), text)?;
        }
        let (sink, object) = self.members.finish()?;
        Ok((sink, WrittenStream { object, contents }))
    }

    fn cut(&mut self) -> io::Result<()> {
        let text = std::mem::replace(&mut self.text, Vec::with_capacity(self.member_bytes));
        self.members.push(Member::default(), text)
    }
}
