//! The object of a segment → its events, on a thread that may block.

use std::io::Read;

use flate2::bufread::GzDecoder;
use rekindle_engine::step::StepError;
use std::io::BufReader;

use super::event::Event;
use super::reader::{BinlogError, Events};
use super::segment::Segment;
use crate::dump::HashingReader;

/// Reads the events of a segment and proves at the end that they are those that were archived.
pub struct SegmentEvents<R: Read> {
    events: Events<GzDecoder<BufReader<HashingReader<R>>>>,
    name: String,
    sha256: String,
}

/// Why a segment can't be replayed.
#[derive(Debug, thiserror::Error)]
#[error("`{object}` {why}")]
pub struct SegmentError {
    /// The object.
    pub object: String,
    /// What is wrong.
    pub why: String,
    /// Whether it may be better later.
    pub is_passing: bool,
}

impl From<SegmentError> for StepError {
    fn from(error: SegmentError) -> Self {
        if error.is_passing {
            return Self::transient(error.to_string());
        }
        Self::permanent(error.to_string())
            .help("copy it from another store that has it, or do without what is in it")
    }
}

impl<R: Read> SegmentEvents<R> {
    /// Begins to read an object.
    ///
    /// # Errors
    /// When it is no segment.
    pub fn new(object: R, segment: &Segment) -> Result<Self, SegmentError> {
        let reader = GzDecoder::new(BufReader::new(HashingReader::new(object)));
        let events = Events::new(reader).map_err(|error| wrong(&segment.object, &error))?;
        Ok(Self { events, name: segment.object.clone(), sha256: segment.sha256.clone() })
    }

    /// Gives the next event, or nothing at the proven end.
    ///
    /// # Errors
    /// When it can't be read, or is not what was archived.
    pub fn next_event(&mut self) -> Result<Option<Event>, SegmentError> {
        self.events.next_event().map_err(|error| wrong(&self.name, &error))
    }

    /// Proves that what was read to the end is what was archived.
    ///
    /// # Errors
    /// When it is not.
    pub fn finish(self) -> Result<(), SegmentError> {
        let hashing = self.events.into_reader().into_inner().into_inner();
        let found = hashing.finish();
        if found == self.sha256 {
            return Ok(());
        }
        let why = format!("is damaged: its sha256 is {found}, and its entry says {}", self.sha256);
        Err(SegmentError { object: self.name, why, is_passing: false })
    }
}

fn wrong(object: &str, error: &BinlogError) -> SegmentError {
    let (why, is_passing) = match error {
        BinlogError::Read(error)
            if matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData) =>
        {
            (format!("is damaged: {error}"), false)
        }
        BinlogError::Read(error) => (format!("can't be read: {error}"), true),
        BinlogError::NoLog | BinlogError::Damaged { .. } | BinlogError::Cut { .. } => {
            (format!("is damaged: {error}"), false)
        }
    };
    SegmentError { object: object.to_owned(), why, is_passing }
}
