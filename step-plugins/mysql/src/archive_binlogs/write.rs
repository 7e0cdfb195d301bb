//! A cut copy → an object and its entry in the store.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rekindle_backup::binlog::{LastEvent, Segment, SegmentKey, TimelineKey, archive};
use rekindle_engine::host::{Body, BodySender, ObjectStore, PutMode};
use rekindle_engine::step::StepError;
use sha2::{Digest as _, Sha256};

use super::cut::{self, Cut, Known};

/// [`Body`] holds a few chunks; this keeps each of them small.
const SENT_BYTES: usize = 1 << 20;

/// A copied log that is to be archived.
pub(super) struct Copied {
    pub(super) path: PathBuf,
    pub(super) known: Option<(LastEvent, u64)>,
    pub(super) cut: Cut,
}

/// Stores the object, proves that the store has it, then stores the entry.
///
/// # Errors
/// When the store fails, and when another archiver is at the same log.
pub(super) async fn store(
    store: &dyn ObjectStore,
    timeline: &TimelineKey,
    mut segment: Segment,
    copied: Copied,
) -> Result<Segment, StepError> {
    let place = SegmentKey { number: segment.number, from: segment.from, log: segment.log.clone() };
    segment.object = place.object(segment.to);
    let key = timeline.key(&segment.object).map_err(|error| StepError::permanent(error.to_string()))?;
    let (sender, body) = Body::channel();
    let writing = tokio::task::spawn_blocking(move || compress(&copied, sender));
    // An object without an entry is what a crash left behind: it is replaced by the same bytes.
    let (written, put) = tokio::join!(writing, store.put(&key, body, PutMode::Replace));
    let written = written.map_err(|error| StepError::permanent(error.to_string()))?;
    put?;
    let written = written.map_err(|error| {
        StepError::transient(format!("the copy of {} can't be read: {error}", segment.log))
    })?;
    let found = store.head(&key).await?.map(|info| info.size_bytes);
    if found != Some(written.size_bytes) {
        return Err(StepError::transient(format!(
            "`{key}` has {} bytes in the store instead of {}",
            found.map_or("no".to_owned(), |size| size.to_string()),
            written.size_bytes
        )));
    }
    segment.size_bytes = written.size_bytes;
    segment.sha256 = written.sha256;
    segment.log_bytes = written.log_bytes;
    segment.encryption = store.encryption().cloned();
    if !archive::store_segment(store, timeline, &segment).await? {
        return Err(StepError::transient(format!(
            "{} was archived by somebody else at the same time",
            segment.name()
        ))
        .help(
            "let one archiver at a time work on a server: give both runbooks the same `concurrency.group`",
        ));
    }
    Ok(segment)
}

struct Written {
    size_bytes: u64,
    sha256: String,
    log_bytes: u64,
}

fn compress(copied: &Copied, sender: BodySender) -> io::Result<Written> {
    let sink = Sink { sender, sha256: Sha256::new(), bytes: 0 };
    let buffered = io::BufWriter::with_capacity(SENT_BYTES, sink);
    let mut counted = Counted { inner: GzEncoder::new(buffered, Compression::new(4)), bytes: 0 };
    let known = copied.known.as_ref().map(|(last_event, to)| Known { last_event, to: *to });
    cut::write(&copied.path, known, &copied.cut, &mut counted).map_err(io::Error::other)?;
    let log_bytes = counted.bytes;
    let sink = counted.inner.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    sink.sender.blocking_finish()?;
    Ok(Written { size_bytes: sink.bytes, sha256: hex::encode(sink.sha256.finalize()), log_bytes })
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Sink {
    sender: BodySender,
    sha256: Sha256,
    bytes: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.chunks(SENT_BYTES) {
            self.sender.blocking_send(Bytes::copy_from_slice(part))?;
        }
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
