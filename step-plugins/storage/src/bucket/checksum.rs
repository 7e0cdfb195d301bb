//! Checksums that providers keep for whole objects, made in one pass over a stream: of the whole from its parts.

use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use rekindle_engine::host::StoreErrorKind;

use crate::failure::Failure;

/// Which checksum a provider keeps.
pub(crate) trait Kept: Copy + Default + Send + Sync + 'static {
    const ALGORITHM: CrcAlgorithm;
    const NAME: &'static str;
    /// How many bytes it has.
    const BYTES: usize;
}

/// S3's: of the checksums of a full object, this one can be put together from those of its parts.
/// Source: Amazon S3 User Guide, "Checking object integrity".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Crc64Nvme;

impl Kept for Crc64Nvme {
    const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;
    const NAME: &'static str = "CRC64NVME";
    const BYTES: usize = 8;
}

/// That of Google Cloud Storage: CRC-32/ISCSI (RFC 4960, appendix B), which composite objects have as well.
/// Source: Cloud Storage documentation, "Data validation and change detection".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Crc32c;

impl Kept for Crc32c {
    const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;
    const NAME: &'static str = "CRC32C";
    const BYTES: usize = 4;
}

/// The checksum of bytes, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum<K> {
    crc: u64,
    pub(crate) size_bytes: u64,
    kept: PhantomData<K>,
}

impl<K: Kept> Sum<K> {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let crc = crc_fast::checksum(K::ALGORITHM, bytes);
        Self { crc, size_bytes: bytes.len() as u64, kept: PhantomData }
    }

    /// Gives the checksum of these bytes followed by those.
    pub(crate) fn followed_by(self, next: Self) -> Self {
        if self.size_bytes == 0 {
            return next;
        }
        let crc = crc_fast::checksum_combine(K::ALGORITHM, self.crc, next.crc, next.size_bytes);
        Self { crc, size_bytes: self.size_bytes + next.size_bytes, kept: PhantomData }
    }

    /// Writes it as both providers do: big-endian, in base64.
    pub(crate) fn text(self) -> String {
        STANDARD.encode(&self.crc.to_be_bytes()[8 - K::BYTES..])
    }

    /// Compares it with what the store says. Not every server keeps checksums; each has compared the ones that
    /// came with the bytes.
    pub(crate) fn check(self, stored: Option<&str>) -> Result<(), Failure> {
        Self::compare(stored, Some(&self.text()))
    }

    /// Compares what the store says with what it should say, where both are known.
    pub(crate) fn compare(stored: Option<&str>, sent: Option<&str>) -> Result<(), Failure> {
        match (stored, sent) {
            (Some(stored), Some(sent)) if stored != sent => Err(Failure::new(
                StoreErrorKind::Corrupt,
                format!("what is stored has the checksum {stored}, what was sent {sent} ({})", K::NAME),
            )),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

impl Sum<Crc32c> {
    /// Gives it as the API's messages hold it.
    pub(crate) fn crc32c(self) -> u32 {
        u32::try_from(self.crc).unwrap_or_default()
    }
}

/// Writes a CRC32C of the API's messages as [`Sum::text`] does.
pub(crate) fn crc32c_text(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Crc32c, Crc64Nvme, Kept, Sum, crc32c_text};

    fn in_parts<K: Kept + PartialEq + std::fmt::Debug>() -> Sum<K> {
        let whole = Sum::<K>::of(b"123456789");
        assert_eq!(Sum::default().followed_by(Sum::of(b"1234")).followed_by(Sum::of(b"56789")), whole);
        assert_eq!(whole.followed_by(Sum::of(b"")), whole);
        assert!(whole.check(Some(&whole.text())).is_ok());
        assert!(whole.check(None).is_ok());
        assert!(whole.check(Some(&Sum::<K>::of(b"12345678").text())).is_err());
        whole
    }

    #[test]
    fn they_are_those_of_their_specifications_also_in_parts() {
        // NVM Express, "NVM Command Set Specification", 64b CRC: the check value of `123456789`.
        assert_eq!(in_parts::<Crc64Nvme>().crc, 0xae8b_1486_0a79_9888);
        // Catalogue of parametrised CRC algorithms, CRC-32/ISCSI: the check value.
        assert_eq!(in_parts::<Crc32c>().crc32c(), 0xe306_9283);
        assert_eq!(in_parts::<Crc32c>().text(), crc32c_text(0xe306_9283));
    }
}
