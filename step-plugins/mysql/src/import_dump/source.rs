//! Where the dump is read from, and how its bytes become text.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use rekindle_engine::host::Key;
use rekindle_engine::step::{StepContext, StepError};

use super::{From, ImportParams};

/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A dump that is opened.
pub(super) struct Source {
    /// For messages.
    pub(super) name: String,
    pub(super) size_bytes: u64,
    /// How many of its bytes were read.
    pub(super) read_bytes: Arc<AtomicU64>,
    bytes: Box<dyn Read + Send>,
}

impl Source {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there, or can't be read.
    pub(super) async fn open(params: &ImportParams, cx: &StepContext) -> Result<Self, StepError> {
        match &params.from {
            From::File(path) => Self::of_file(path),
            From::Object { store, key } => {
                let name = key;
                let key = Key::new(key).map_err(|error| {
                    StepError::permanent(error.to_string()).help("write the object's whole name")
                })?;
                let store = cx.store(store).await?;
                let Some(found) = store.head(&key).await? else {
                    return Err(StepError::permanent(format!("there is no `{name}` in {}", store.url()))
                        .help("check `key` of `from`"));
                };
                let body = store.get(&key, None).await?.into_blocking_reader();
                Ok(Self::of(name, found.size_bytes, body))
            }
        }
    }

    /// Opens a regular file.
    pub(super) fn of_file(path: &str) -> Result<Self, StepError> {
        let failed = |error: io::Error| {
            let error = StepError::permanent(format!("failed to read {path}: {error}"));
            error.help("`from` is a path from rekindle's working directory")
        };
        // Looked at first: opening a named pipe would wait for its other end.
        let found = std::fs::metadata(Path::new(path)).map_err(failed)?;
        if !found.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        Ok(Self::of(path, found.len(), File::open(path).map_err(failed)?))
    }

    fn of(name: &str, size_bytes: u64, bytes: impl Read + Send + 'static) -> Self {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let bytes = Counted { bytes, read_bytes: Arc::clone(&read_bytes) };
        Self { name: name.to_owned(), size_bytes, read_bytes, bytes: Box::new(bytes) }
    }

    /// Gives its text, decompressed as its first bytes tell.
    ///
    /// # Errors
    /// When the first bytes can't be read.
    pub(super) fn into_text(self) -> io::Result<Box<dyn Read + Send>> {
        let mut bytes = self.bytes;
        let mut first = Vec::new();
        bytes.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
        let (is_gzip, is_zstd) = (first.starts_with(&GZIP), first == ZSTD);
        let whole = BufReader::with_capacity(256 << 10, io::Cursor::new(first).chain(bytes));
        Ok(if is_gzip {
            Box::new(MultiGzDecoder::new(whole))
        } else if is_zstd {
            Box::new(zstd::Decoder::with_buffer(whole)?)
        } else {
            Box::new(whole)
        })
    }
}

struct Counted<R> {
    bytes: R,
    read_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.read_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
