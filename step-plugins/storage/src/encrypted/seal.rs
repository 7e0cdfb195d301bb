//! Plain bytes in, encrypted bytes out, in bounded memory.

use std::io::{self, Write};

use age::Encryptor;
use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, BodySender, StoreErrorKind};

use super::keys::Keys;
use crate::failure::Failure;

/// Encrypted bytes are handed on in pieces of this size: a few chunks each.
const PIECE_BYTES: usize = 256 << 10;

/// Encrypts a stream on a thread that may block, and gives the number of plain bytes. An error of the source is one of
/// the encrypted stream: only a source that ended well makes it end.
pub(super) fn stream(mut source: Body, encryptor: Encryptor, sealed: BodySender) -> Option<u64> {
    let mut pieces = Pieces { sealed: &sealed, piece: BytesMut::with_capacity(PIECE_BYTES) };
    match encrypt(&mut source, encryptor, &mut pieces) {
        Ok(plain_bytes) => sealed.blocking_finish().is_ok().then_some(plain_bytes),
        Err(error) => {
            // A reader that has gone says why itself.
            sealed.blocking_fail(error);
            None
        }
    }
}

fn encrypt(source: &mut Body, encryptor: Encryptor, pieces: &mut Pieces<'_>) -> io::Result<u64> {
    let mut writer = encryptor.wrap_output(pieces)?;
    let mut plain_bytes = 0;
    while let Some(chunk) = source.blocking_next()? {
        writer.write_all(&chunk)?;
        plain_bytes += chunk.len() as u64;
    }
    writer.finish()?.flush()?;
    Ok(plain_bytes)
}

/// Encrypts what is in memory.
pub(super) fn bytes(keys: &Keys, plain: &[u8]) -> Result<Bytes, Failure> {
    let unwritable = |error: io::Error| Failure::new(StoreErrorKind::Invalid, error.to_string());
    let mut writer = keys.encryptor()?.wrap_output(Vec::new()).map_err(unwritable)?;
    writer.write_all(plain).map_err(unwritable)?;
    writer.finish().map(Bytes::from).map_err(unwritable)
}

/// Gathers small writes.
struct Pieces<'a> {
    sealed: &'a BodySender,
    piece: BytesMut,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.sealed.blocking_send(self.piece.split().freeze())
    }
}
