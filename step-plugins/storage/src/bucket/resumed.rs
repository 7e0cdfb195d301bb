//! An upload in parts that goes on after a crash, whatever the provider: the kept state and a source that can be read
//! again in, the parts that the bucket then has out.

use std::num::NonZeroUsize;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{KeepState, ProviderPlace, StoreErrorKind, UploadSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use super::checksum::{self, Sum};
use super::parts::{Buffers, MIB, UNDER_WAY_BYTES, most_under_way, take};
use crate::failure::Failure;
use crate::naming::new_mark;

/// What is kept of an upload before its first part is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Whose buckets these are.
    service: String,
    bucket: String,
    object: String,
    /// What the object's metadata will hold: tells whether an object that is there now came of this upload.
    pub(crate) mark: String,
    pub(crate) size_bytes: u64,
    part_bytes: u64,
}

impl Kept {
    pub(crate) fn begin(place: ProviderPlace, size_bytes: u64, part_bytes: u64) -> Self {
        let ProviderPlace { service, bucket, object } = place;
        Self { service, bucket, object, mark: new_mark(), size_bytes, part_bytes: part_bytes.max(1) }
    }

    /// Tells whether it is a state of the object at this place.
    pub(crate) fn is_of(&self, place: &ProviderPlace) -> bool {
        let same = self.service == place.service && self.bucket == place.bucket;
        same && self.object == place.object && self.part_bytes > 0
    }

    /// Gives how many parts there are, numbered from 1.
    pub(crate) fn parts(&self) -> u32 {
        u32::try_from(self.size_bytes.div_ceil(self.part_bytes)).unwrap_or(u32::MAX)
    }

    fn range(&self, number: u32) -> Range<u64> {
        let start = u64::from(number.saturating_sub(1)) * self.part_bytes;
        start..(start + self.part_bytes).min(self.size_bytes)
    }

    /// Makes the checksum of the source as it is now.
    pub(crate) async fn sum<K: checksum::Kept>(&self, source: &dyn UploadSource) -> Result<Sum<K>, Failure> {
        let mut sum = Sum::default();
        for number in 1..=self.parts() {
            sum = sum.followed_by(Sum::of(&read(source, self.range(number), BytesMut::new()).await?));
        }
        Ok(sum)
    }

    /// Reads the source and sends the parts that are not there, or are others now; gives all of them, in any order.
    ///
    /// `there` gives a part that the bucket has, if it has these bytes. At most `at_once` are under way, and no more
    /// than memory should hold.
    pub(crate) async fn send_missing<P, F>(
        &self,
        source: &dyn UploadSource,
        at_once: NonZeroUsize,
        there: impl Fn(u32, &Bytes) -> Option<P> + Send + Sync,
        send: impl Fn(u32, Bytes) -> F + Send + Sync,
    ) -> Result<Vec<P>, Failure>
    where
        P: Send + 'static,
        F: Future<Output = Result<P, Failure>> + Send + 'static,
    {
        let part_bytes = usize::try_from(self.part_bytes).unwrap_or(usize::MAX);
        let most = at_once.get().min(most_under_way(part_bytes, UNDER_WAY_BYTES));
        let (mut under_way, mut arrived, mut buffers) = (JoinSet::new(), Vec::new(), Buffers::default());
        for number in 1..=self.parts() {
            // Before the next part is read: so many are in memory, and no more.
            while under_way.len() >= most {
                if let Some((part, bytes)) = take(&mut under_way).await? {
                    arrived.push(part);
                    buffers.give_back(bytes);
                }
            }
            let bytes = read(source, self.range(number), buffers.take()).await?;
            if let Some(part) = there(number, &bytes) {
                arrived.push(part);
                buffers.give_back(bytes);
                continue;
            }
            let arriving = send(number, bytes.clone());
            under_way.spawn(async move { Ok((arriving.await?, bytes)) });
        }
        while let Some((part, _)) = take(&mut under_way).await? {
            arrived.push(part);
        }
        Ok(arrived)
    }
}

/// Keeps the state of an upload.
pub(crate) async fn keep(state: &impl Serialize, keep: &dyn KeepState) -> Result<(), Failure> {
    let state: Value = serde_json::to_value(state).map_err(|error| Failure::invalid(error.to_string()))?;
    keep.keep(state).await.map_err(Failure::of_source)
}

/// Gives the size of the parts of so many bytes: as small as may be, or so many whole MiB that there are no more than
/// `most`.
pub(crate) fn part_bytes(size_bytes: u64, least: u64, most: u32) -> u64 {
    let mib = MIB as u64;
    let fitting = size_bytes.div_ceil(u64::from(most));
    if fitting <= least { least } else { fitting.div_ceil(mib) * mib }
}

/// Tells whether going on with the same parts would fail the same way.
pub(crate) fn is_final(kind: StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::AlreadyExists | StoreErrorKind::Corrupt | StoreErrorKind::Invalid => true,
        StoreErrorKind::NotFound
        | StoreErrorKind::Changed
        | StoreErrorKind::Denied
        | StoreErrorKind::Archived
        | StoreErrorKind::Full
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Source => false,
    }
}

/// Reads a part of the source, all of it.
async fn read(source: &dyn UploadSource, range: Range<u64>, mut bytes: BytesMut) -> Result<Bytes, Failure> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut body = source.read(range).await.map_err(Failure::of_source)?;
    bytes.reserve(length);
    while let Some(chunk) = body.next().await.map_err(Failure::of_source)? {
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() != length {
        return Err(Failure::new(StoreErrorKind::Source, "the source has another length than it had"));
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::part_bytes;

    #[test]
    fn parts_are_as_small_as_ten_thousand_allow() {
        const MIB: u64 = 1 << 20;
        for (size, wanted) in [(1, 8), (80_000 * MIB, 8), (80_001 * MIB, 9), (5 << 40, 525)] {
            let part = part_bytes(size, 8 * MIB, 10_000);
            assert_eq!(part, wanted * MIB, "{size}");
            assert!(size.div_ceil(part) <= 10_000);
        }
    }
}
