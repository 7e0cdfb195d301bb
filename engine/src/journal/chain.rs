//! Events as chained lines: a place in the chain and events in, lines and the next place out; and back again.

use jiff::Timestamp;

use super::line::{self, LineError, Sum};
use super::{Event, Record};

/// A place in a journal, between two lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    /// The number of the next record.
    pub(super) next_seq: u64,
    /// What the line before ends the chain with.
    sum: Sum,
}

/// Events that are written together.
pub(super) struct Batch {
    /// The place before them.
    pub(super) begin: Position,
    /// Whole lines.
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Record>,
    /// The place after them.
    pub(super) end: Position,
}

/// The whole lines at the beginning of some bytes.
pub(super) struct Lines {
    pub(super) records: Vec<Record>,
    pub(super) whole_bytes: usize,
    /// The place after them.
    pub(super) end: Position,
}

impl Position {
    pub(super) const START: Self = Self { next_seq: 1, sum: Sum::START };

    /// Writes events that come at this place.
    pub(super) fn encode(self, at: Timestamp, events: Vec<Event>) -> Result<Batch, serde_json::Error> {
        let records = Vec::with_capacity(events.len());
        let mut batch = Batch { begin: self, bytes: Vec::new(), records, end: self };
        for event in events {
            let record = Record { seq: batch.end.next_seq, at, event };
            let (line, sum) = line::encode(batch.end.sum, &record)?;
            batch.bytes.extend_from_slice(&line);
            batch.end = Self { next_seq: record.seq + 1, sum };
            batch.records.push(record);
        }
        Ok(batch)
    }

    /// Reads the whole lines that come at this place; what stands after the last newline was never confirmed.
    ///
    /// # Errors
    /// The number of the first line that is not what was written, and what is wrong with it.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Lines, (u64, LineError)> {
        let mut lines = Lines { records: Vec::new(), whole_bytes: 0, end: self };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(content) = line.strip_suffix(b"\n") else { break };
            let number = lines.end.next_seq;
            let (record, sum) =
                line::decode(lines.end.sum, number, content).map_err(|error| (number, error))?;
            lines.records.push(record);
            lines.whole_bytes += line.len();
            lines.end = Self { next_seq: number + 1, sum };
        }
        Ok(lines)
    }
}
