//! Pieces of a text that is read from somewhere.

use std::io::{self, Read};

use super::{LexError, Piece, Splitter};

const CHUNK_BYTES: usize = 256 << 10;

/// Why there is no next piece.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// The text can't be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// The text can't be split.
    #[error("{0}")]
    Lex(#[from] LexError),
}

/// Reads a text and splits it. Holds one piece and one chunk at a time.
pub struct Pieces<R> {
    reader: R,
    splitter: Splitter,
    chunk: Vec<u8>,
    ended: bool,
}

impl<R: Read> Pieces<R> {
    /// Splits what `reader` gives; a statement larger than `limit` bytes is an error.
    pub fn new(reader: R, limit: usize) -> Self {
        Self { reader, splitter: Splitter::new(limit), chunk: vec![0; CHUNK_BYTES], ended: false }
    }

    /// Gives the next piece, or nothing at a proper end. (It borrows from this reader, so it is no `Iterator`.)
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, PieceError> {
        while !self.splitter.advance()? {
            if self.ended {
                return Ok(None);
            }
            match self.reader.read(&mut self.chunk) {
                Ok(0) => {
                    self.ended = true;
                    self.splitter.end();
                }
                Ok(length) => self.splitter.push(&self.chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(self.splitter.piece()))
    }

    /// Gives the reader, to ask it what it has seen.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Gives the reader back.
    pub fn into_reader(self) -> R {
        self.reader
    }
}
