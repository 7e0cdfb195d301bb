//! A stream in, parts of growing size out; and how many of them may travel side by side.

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, StoreErrorKind};
use tokio::task::JoinSet;

use crate::failure::Failure;

pub(crate) const MIB: usize = 1024 * 1024;
/// The first parts; the least of S3 is 5 MiB.
pub(crate) const FIRST_PART_BYTES: usize = 8 * MIB;
/// Parts of one size before the size doubles.
const PARTS_OF_A_SIZE: u32 = 1000;
/// What parts under way may hold in memory together; one part may always be under way.
const UNDER_WAY_BYTES: usize = 40 * MIB;

/// Gives the size of a part by its number, from 1.
pub(crate) fn part_size(number: u32, largest: usize) -> usize {
    let doublings = number.saturating_sub(1) / PARTS_OF_A_SIZE;
    let size = FIRST_PART_BYTES.checked_shl(doublings).filter(|size| *size > 0);
    size.unwrap_or(largest).min(largest)
}

/// Gives how many parts of a size may be under way.
pub(crate) fn most_under_way(size: usize) -> usize {
    (UNDER_WAY_BYTES / size).max(1)
}

/// Cuts a stream into parts.
pub(crate) struct Parts<'a> {
    rest: BytesMut,
    body: &'a mut Body,
    ended: bool,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(body: &'a mut Body) -> Self {
        Self { rest: BytesMut::new(), body, ended: false }
    }

    /// Gives the next `size` bytes, fewer at the end, nothing after it.
    pub(crate) async fn next(&mut self, size: usize) -> Result<Option<Bytes>, Failure> {
        while self.rest.len() < size && !self.ended {
            match self.body.next().await {
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk),
                Ok(None) => self.ended = true,
                Err(error) => return Err(Failure::new(StoreErrorKind::Source, error.to_string())),
            }
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = size.min(self.rest.len());
        Ok(Some(self.rest.split_to(length).freeze()))
    }

    /// Says whether everything was given.
    pub(crate) fn are_all(&self) -> bool {
        self.ended && self.rest.is_empty()
    }
}

/// Waits for one of the requests under way; nothing when there is none.
pub(crate) async fn take<T: 'static>(
    under_way: &mut JoinSet<Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    match under_way.join_next().await {
        Some(Ok(done)) => done.map(Some),
        Some(Err(error)) => Err(Failure::new(StoreErrorKind::Unavailable, error.to_string())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{MIB, most_under_way, part_size};

    #[test]
    fn parts_grow_up_to_the_largest_and_fewer_of_them_travel() {
        let sizes = [1, 1000, 1001, 10_000, u32::MAX].map(|number| part_size(number, 256 * MIB) / MIB);
        assert_eq!(sizes, [8, 8, 16, 256, 256]);
        assert_eq!([8, 16, 256].map(|size| most_under_way(size * MIB)), [5, 2, 1]);
    }
}
