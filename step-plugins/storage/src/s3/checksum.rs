//! CRC64NVME, the checksum that S3 keeps for whole objects, also when they arrive in parts.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity": of the checksums of a full object, this one can be
//! put together from those of its parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use rekindle_engine::host::StoreErrorKind;

use crate::failure::Failure;

/// The checksum of bytes, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    crc: u64,
    pub(super) size_bytes: u64,
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { crc: crc_fast::checksum(Crc64Nvme, bytes), size_bytes: bytes.len() as u64 }
    }

    /// Gives the checksum of these bytes followed by those.
    pub(super) fn followed_by(self, next: Self) -> Self {
        if self.size_bytes == 0 {
            return next;
        }
        let crc = crc_fast::checksum_combine(Crc64Nvme, self.crc, next.crc, next.size_bytes);
        Self { crc, size_bytes: self.size_bytes + next.size_bytes }
    }

    /// Writes it as S3 does: big-endian, in base64.
    pub(super) fn text(self) -> String {
        STANDARD.encode(self.crc.to_be_bytes())
    }

    /// Compares it with what the store says. Not every server keeps checksums; each has compared the ones that
    /// came with the bytes.
    pub(super) fn check(self, stored: Option<&str>) -> Result<(), Failure> {
        match stored {
            Some(stored) if stored != self.text() => Err(Failure::new(
                StoreErrorKind::Corrupt,
                format!(
                    "what is stored has the checksum {stored}, what was sent {} (CRC64NVME)",
                    self.text()
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn it_is_that_of_the_nvme_specification_also_in_parts() {
        // NVM Express, "NVM Command Set Specification", 64b CRC: the check value of `123456789`.
        let whole = Sum::of(b"123456789");
        assert_eq!(whole.crc, 0xae8b_1486_0a79_9888);
        assert_eq!(Sum::default().followed_by(Sum::of(b"1234")).followed_by(Sum::of(b"56789")), whole);
        assert!(whole.check(Some(&whole.text())).is_ok());
        assert!(whole.check(None).is_ok());
        assert!(whole.check(Some(&Sum::of(b"12345678").text())).is_err());
    }
}
