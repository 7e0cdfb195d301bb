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
        let room = most_under_way(part_bytes, UNDER_WAY_BYTES);
        let (mut under_way, mut arrived, mut buffers) = (JoinSet::new(), Vec::new(), Buffers::default());
        for number in 1..=self.parts() {
            // So many are in memory, and no more: the next one is read while others are still under way.
            make_room(&mut under_way, room, &mut arrived, &mut buffers).await?;
            let bytes = read(source, self.range(number), buffers.take()).await?;
            if let Some(part) = there(number, &bytes) {
                arrived.push(part);
                buffers.give_back(bytes);
                continue;
            }
            make_room(&mut under_way, at_once.get(), &mut arrived, &mut buffers).await?;
            let arriving = send(number, bytes.clone());
            under_way.spawn(async move { Ok((arriving.await?, bytes)) });
        }
        make_room(&mut under_way, 1, &mut arrived, &mut buffers).await?;
        Ok(arrived)
    }
}

/// Waits until fewer than so many parts are under way.
async fn make_room<P: 'static>(
    under_way: &mut JoinSet<Result<(P, Bytes), Failure>>,
    most: usize,
    arrived: &mut Vec<P>,
    buffers: &mut Buffers,
) -> Result<(), Failure> {
    while under_way.len() >= most {
        if let Some((part, bytes)) = take(under_way).await? {
            arrived.push(part);
            buffers.give_back(bytes);
        }
    }
    Ok(())
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
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use rekindle_engine::host::{Body, ProviderPlace};
    use rekindle_engine::testing::MemorySource;
    use tokio::sync::Semaphore;

    use super::*;

    /// Counts what is read of it.
    struct Counted(MemorySource, Arc<Semaphore>);

    #[async_trait]
    impl UploadSource for Counted {
        fn size_bytes(&self) -> u64 {
            self.0.size_bytes()
        }

        async fn read(&self, range: Range<u64>) -> std::io::Result<Body> {
            self.1.add_permits(1);
            self.0.read(range).await
        }
    }

    #[tokio::test]
    async fn the_next_part_is_read_while_the_one_before_is_under_way_and_sent_after_it() {
        let read = Arc::new(Semaphore::new(0));
        let source = Counted(MemorySource::new(vec![7; 40]), Arc::clone(&read));
        let place = ProviderPlace { service: "s".into(), bucket: "b".into(), object: "o".into() };
        let kept = Kept::begin(place, 40, 10);
        let under_way = Arc::new(Semaphore::new(1));
        let send = |number: u32, _| {
            let (read, under_way) = (Arc::clone(&read), Arc::clone(&under_way));
            async move {
                let _alone = under_way.try_acquire().expect("another part is under way");
                // It arrives when the one after it has been read.
                let ahead = read.acquire_many((number + 1).min(4)).await.unwrap();
                drop(ahead);
                Ok(number)
            }
        };
        let sending = kept.send_missing(&source, NonZeroUsize::MIN, |_, _| None, send);
        let arrived = tokio::time::timeout(Duration::from_mins(1), sending).await.unwrap().unwrap();
        assert_eq!(arrived, [1, 2, 3, 4]);
    }

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
