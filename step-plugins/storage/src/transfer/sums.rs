//! The checksums that anybody may want of the same bytes, made in one pass.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc64Nvme};
use rekindle_engine::host::{Checksum, ChecksumAlgorithm};
use sha2::{Digest as _, Sha256};

/// Checksums as bytes pass by.
pub(crate) struct Sums {
    sha256: Sha256,
    crc64_nvme: crc_fast::Digest,
    crc32c: crc_fast::Digest,
    size_bytes: u64,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            sha256: Sha256::default(),
            crc64_nvme: crc_fast::Digest::new(Crc64Nvme),
            crc32c: crc_fast::Digest::new(Crc32Iscsi),
            size_bytes: 0,
        }
    }
}

impl Sums {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64_nvme.update(bytes);
        self.crc32c.update(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn finish(self) -> Whole {
        let crc32c = self.crc32c.finalize().to_be_bytes();
        Whole {
            size_bytes: self.size_bytes,
            sha256: hex::encode(self.sha256.finalize()),
            crc64_nvme: STANDARD.encode(self.crc64_nvme.finalize().to_be_bytes()),
            // Of eight bytes, the last four.
            crc32c: STANDARD.encode(&crc32c[4..]),
        }
    }
}

/// What all bytes of a file or an object are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) size_bytes: u64,
    /// In small hexadecimal digits.
    pub(crate) sha256: String,
    crc64_nvme: String,
    crc32c: String,
}

impl Whole {
    /// Gives the checksum that is made in a certain way, and its name for people.
    pub(crate) fn sum(&self, algorithm: ChecksumAlgorithm) -> (&'static str, &str) {
        match algorithm {
            ChecksumAlgorithm::Crc64Nvme => ("CRC64NVME", &self.crc64_nvme),
            ChecksumAlgorithm::Crc32c => ("CRC32C", &self.crc32c),
            ChecksumAlgorithm::Sha256 => ("SHA-256", &self.sha256),
        }
    }

    /// Tells whether a store's checksum is of these bytes.
    pub(crate) fn has(&self, checksum: &Checksum) -> bool {
        self.sum(checksum.algorithm).1 == checksum.value
    }
}

#[cfg(test)]
mod tests {
    use super::Sums;

    #[test]
    fn checksums_are_written_as_the_providers_write_them() {
        let mut sums = Sums::default();
        sums.update(b"1234");
        sums.update(b"56789");
        // The check values of the CRC catalogue: 0xae8b14860a799888 and 0xe3069283, big-endian.
        insta::assert_debug_snapshot!(sums.finish(), @r#"
        Whole {
            size_bytes: 9,
            sha256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
            crc64_nvme: "rosUhgp5mIg=",
            crc32c: "4waSgw==",
        }
        "#);
    }
}
