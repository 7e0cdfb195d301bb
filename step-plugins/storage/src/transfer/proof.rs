//! Proof that an object and a file are the same bytes.

use std::io;
use std::path::Path;

use rekindle_engine::host::{Key, ObjectInfo, ObjectStore};
use rekindle_engine::step::StepError;

use super::{Sums, Whole, told};
use crate::reading::{self, Flaw, Meter};

/// Says how an object differs from bytes by what its store tells: its size and, where there is one, its checksum.
pub(crate) fn differs_from_checksum(info: &ObjectInfo, whole: &Whole) -> Option<String> {
    if info.size_bytes != whole.size_bytes {
        return Some(format!("the object has {} bytes, the file {}", info.size_bytes, whole.size_bytes));
    }
    let checksum = info.checksum.as_ref().filter(|checksum| !whole.has(checksum))?;
    let (name, of_file) = whole.sum(checksum.algorithm);
    Some(format!("the object has the {name} {}, the file {of_file}", checksum.value))
}

/// Says how an object differs from bytes; nothing when it is proven that it does not. Where the store keeps no
/// checksum of the whole, the object is read.
pub(crate) async fn differs(
    store: &dyn ObjectStore,
    key: &Key,
    info: &ObjectInfo,
    whole: &Whole,
    meter: &Meter,
) -> Result<Option<String>, StepError> {
    let told = differs_from_checksum(info, whole);
    if told.is_some() || info.checksum.is_some() {
        return Ok(told);
    }
    Ok(match reading::digest(store, key, meter).await? {
        Err(Flaw::Missing) => Some("the object has been removed".to_owned()),
        Err(Flaw::Damaged(why)) => Some(format!("the object is damaged: {why}")),
        Ok(read) if read.sha256 != whole.sha256 => {
            Some(format!("the object has the SHA-256 {}, the file {}", read.sha256, whole.sha256))
        }
        Ok(_) => None,
    })
}

/// Sums up a file.
pub(crate) async fn digest_file(path: &Path, meter: &Meter) -> Result<Whole, StepError> {
    let (read, stop) = (path.to_owned(), meter.clone());
    let summed = tokio::task::spawn_blocking(move || sum_up(&read, &stop));
    let summed = summed.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    if meter.is_cancelled() {
        return Err(StepError::cancelled());
    }
    summed.map_err(|error| told("read", path, &error))
}

fn sum_up(path: &Path, stop: &Meter) -> io::Result<Whole> {
    let mut file = std::fs::File::open(path)?;
    let (mut sums, mut buffer) = (Sums::default(), vec![0; 1 << 20]);
    loop {
        match io::Read::read(&mut file, &mut buffer) {
            Ok(0) => return Ok(sums.finish()),
            Ok(_) if stop.is_cancelled() => return Err(io::Error::from(io::ErrorKind::Interrupted)),
            Ok(length) => sums.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
