//! Reading and hashing in one go.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Passes bytes through and hashes them.
pub struct HashingReader<R> {
    inner: R,
    sha256: Sha256,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    /// Begins with nothing read.
    pub fn new(inner: R) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }

    /// Gives how many bytes went through.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the sha256 of what went through, lowercase hex.
    pub fn finish(self) -> String {
        hex::encode(self.sha256.finalize())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.sha256.update(&into[..length]);
        self.bytes += length as u64;
        Ok(length)
    }
}
