//! An unfinished file in, the sums of what is in it out: it is read back while more is written.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::transfer::{Sums, Whole};

/// Few enough to be summed up where they were put.
const BUFFER_BYTES: usize = 256 << 10;

/// Sums up a file from its first byte, behind who writes it, on a thread of its own.
///
/// What a try before has left is summed up like any other byte, while the rest comes.
pub(super) struct ReadBack {
    state: State,
    stop: CancellationToken,
    /// Who gives it up needs no sums: its thread ends soon.
    _stops: DropGuard,
}

enum State {
    Resting(Box<Reader>),
    Reading(JoinHandle<io::Result<Box<Reader>>>),
    /// It failed, and has said so.
    Failed,
}

struct Reader {
    file: File,
    sums: Sums,
    buffer: Vec<u8>,
}

impl ReadBack {
    /// Opens the file anew: a copy of the writer's descriptor would hold its lock.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let reader = Reader { file: File::open(path)?, sums: Sums::default(), buffer: vec![0; BUFFER_BYTES] };
        let stop = CancellationToken::new();
        let stops = stop.clone().drop_guard();
        Ok(Self { state: State::Resting(Box::new(reader)), stop, _stops: stops })
    }

    /// Lets it read up to a byte that was written, unless it is still busy with those before.
    pub(super) async fn follow(&mut self, written_bytes: u64) -> io::Result<()> {
        if matches!(&self.state, State::Reading(reading) if !reading.is_finished()) {
            return Ok(());
        }
        let reader = self.rest().await?;
        self.state = self.begin(reader, written_bytes);
        Ok(())
    }

    /// Reads what is left, to the end of the file.
    pub(super) async fn finish(mut self) -> io::Result<Whole> {
        let reader = self.rest().await?;
        self.state = self.begin(reader, u64::MAX);
        Ok(self.rest().await?.sums.finish())
    }

    fn begin(&self, reader: Box<Reader>, up_to: u64) -> State {
        let stop = self.stop.clone();
        State::Reading(tokio::task::spawn_blocking(move || reader.up_to(up_to, &stop)))
    }

    async fn rest(&mut self) -> io::Result<Box<Reader>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Resting(reader) => Ok(reader),
            State::Reading(reading) => reading.await.map_err(io::Error::other).flatten(),
            State::Failed => Err(io::Error::other("it could not be read back")),
        }
    }
}

impl Reader {
    /// Reads up to a byte, or to the end of the file.
    fn up_to(mut self: Box<Self>, end: u64, stop: &CancellationToken) -> io::Result<Box<Self>> {
        loop {
            let left = usize::try_from(end.saturating_sub(self.sums.size_bytes())).unwrap_or(usize::MAX);
            let most = left.min(self.buffer.len());
            if stop.is_cancelled() {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            match self.file.read(&mut self.buffer[..most]) {
                Ok(0) => return Ok(self),
                Ok(length) => self.sums.update(&self.buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BUFFER_BYTES, ReadBack};
    use crate::reading::Digest;

    #[tokio::test]
    async fn what_is_in_the_file_is_summed_up_also_what_was_there_before_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let mut bytes = vec![7; 3 * BUFFER_BYTES];
        std::fs::write(&path, &bytes).unwrap();
        let mut read_back = ReadBack::of(&path).unwrap();
        read_back.follow(BUFFER_BYTES as u64 + 1).await.unwrap();
        // Of this one the writer's own sums would know nothing.
        bytes[2 * BUFFER_BYTES] ^= 1;
        bytes.push(8);
        std::fs::write(&path, &bytes).unwrap();
        let whole = read_back.finish().await.unwrap();
        assert_eq!((whole.size_bytes, whole.sha256), (bytes.len() as u64, Digest::of(&bytes).sha256));
    }
}
