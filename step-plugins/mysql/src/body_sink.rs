//! The writing end of a stream to a store, for code that writes.

use std::io::{self, Write};

use bytes::Bytes;
use rekindle_engine::host::BodySender;

/// [`rekindle_engine::host::Body`] holds a few chunks; this keeps each of them small.
const SENT_BYTES: usize = 1 << 20;

/// Hands over what is written, waiting when the store is slow. Ends well only by its sender's own word.
pub(crate) struct BodySink(pub(crate) BodySender);

impl Write for BodySink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.chunks(SENT_BYTES) {
            self.0.blocking_send(Bytes::copy_from_slice(part))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
