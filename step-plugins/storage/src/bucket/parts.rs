//! A stream in, parts of growing size out; and how many of them may travel side by side.

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, StoreErrorKind};
use tokio::task::JoinSet;

use crate::failure::Failure;

pub(crate) const MIB: usize = 1024 * 1024;
/// The least part of what has a length.
pub(crate) const LEAST_PART_BYTES: usize = 8 * MIB;
/// What parts of it that are under way may hold in memory together; one part may always be under way.
pub(crate) const UNDER_WAY_BYTES: usize = 40 * MIB;
/// The first parts of a stream, whose length nobody knows; the least of S3 is 5 MiB. Smaller than those of what has a
/// length, and fewer at once: one more is gathered meanwhile, and a program or an encryption feeds it.
const FIRST_PART_BYTES: usize = 5 * MIB;
/// Parts of one size before the size doubles.
const PARTS_OF_A_SIZE: u32 = 1000;

/// Gives the size of a stream's part by its number, from 1.
pub(crate) fn part_size(number: u32, largest: usize) -> usize {
    let doublings = number.saturating_sub(1) / PARTS_OF_A_SIZE;
    let size = FIRST_PART_BYTES.checked_shl(doublings).filter(|size| *size > 0);
    size.unwrap_or(largest).min(largest)
}

/// Gives how many parts of a size may be under way, to hold no more than so many bytes together; one always may.
pub(crate) fn most_under_way(size: usize, all_bytes: usize) -> usize {
    (all_bytes / size).max(1)
}

/// Buffers that parts were read into, for those to come: made anew for each, they pile up in the allocator.
#[derive(Default)]
pub(crate) struct Buffers(Vec<BytesMut>);

impl Buffers {
    pub(crate) fn take(&mut self) -> BytesMut {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, bytes: Bytes) {
        // Not while the client still holds it.
        if let Ok(mut buffer) = bytes.try_into_mut() {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// Cuts a stream into parts.
pub(crate) struct Parts<'a> {
    /// What has come and is of the part after the last one.
    rest: Bytes,
    body: &'a mut Body,
    ended: bool,
    buffers: Buffers,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(body: &'a mut Body) -> Self {
        Self { rest: Bytes::new(), body, ended: false, buffers: Buffers::default() }
    }

    /// Gives the next `size` bytes, fewer at the end, nothing after it.
    pub(crate) async fn next(&mut self, size: usize) -> Result<Option<Bytes>, Failure> {
        let mut part = self.buffers.take();
        // All of it at once: a buffer that grows ends up with twice the room.
        part.reserve(size);
        while part.len() < size {
            if self.rest.is_empty() {
                match self.body.next().await {
                    Ok(Some(chunk)) => self.rest = chunk,
                    Ok(None) => {
                        self.ended = true;
                        break;
                    }
                    Err(error) => return Err(Failure::new(StoreErrorKind::Source, error.to_string())),
                }
            }
            let fitting = (size - part.len()).min(self.rest.len());
            part.extend_from_slice(&self.rest.split_to(fitting));
        }
        Ok((!part.is_empty()).then(|| part.freeze()))
    }

    /// Takes a part back that was sent: its room is that of one to come.
    pub(crate) fn give_back(&mut self, part: Bytes) {
        self.buffers.give_back(part);
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
    use rekindle_engine::host::Body;

    use super::{MIB, Parts, most_under_way, part_size};

    #[tokio::test]
    async fn a_stream_is_cut_into_parts_of_no_more_room_than_they_need() {
        let (sender, mut body) = Body::channel();
        tokio::spawn(async move {
            for byte in 0..7_u8 {
                sender.send(vec![byte; 10].into()).await.unwrap();
            }
            sender.finish().await.unwrap();
        });
        let (mut parts, mut all, mut at) = (Parts::of(&mut body), Vec::new(), None);
        while let Some(part) = parts.next(16).await.unwrap() {
            all.extend_from_slice(&part);
            assert!(part.len() == 16 || all.len() == 70, "{}", part.len());
            // The room of a part that was given back is that of the next one.
            assert_eq!(*at.get_or_insert(part.as_ptr()), part.as_ptr());
            parts.give_back(part);
        }
        assert!(parts.are_all());
        let wanted: Vec<u8> = (0..7).flat_map(|byte| [byte; 10]).collect();
        assert_eq!(all, wanted);
    }

    #[test]
    fn parts_grow_up_to_the_largest_and_fewer_of_them_travel() {
        let sizes = [1, 1000, 1001, 10_000, u32::MAX].map(|number| part_size(number, 256 * MIB) / MIB);
        assert_eq!(sizes, [5, 5, 10, 256, 256]);
        assert_eq!([5, 10, 256].map(|size| most_under_way(size * MIB, 20 * MIB)), [4, 2, 1]);
    }
}
