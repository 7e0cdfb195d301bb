//! Segments → one stream of the events that are to be replayed, for one program that makes statements of it.
//!
//! Logs that follow one another in one stream, each with its format description and without the bytes that a file
//! begins with, are what relay logs look like; the programs read those. So nothing is written to a disk, and where to
//! begin, where to stop and what to leave out is decided here, by whole transactions, for every log alike.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use rekindle_backup::binlog::{
    EventKind, Gtid, GtidSet, Part, Segment, SegmentError, SegmentEvents, Transaction,
};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;
use tokio::runtime::Handle;

use super::base::Base;
use super::survey::{follow, is_of_log, object_key};

/// What is sent.
pub(super) struct Feed {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: String,
    pub(super) segments: Vec<Segment>,
    /// The number, in the last segment, of the first transaction that is not sent.
    pub(super) stop: Option<u64>,
    pub(super) base: Base,
    pub(super) skip: BTreeSet<Gtid>,
    /// What the server has already, of an earlier attempt.
    pub(super) have: Option<GtidSet>,
}

/// Why not everything was sent.
#[derive(Debug)]
pub(super) enum FeedError {
    /// The program takes no more: its own end says why.
    Gone,
    /// What was to be sent can't be read.
    Unreadable(StepError),
}

impl From<io::Error> for FeedError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::Unreadable(StepError::transient(format!("the logs can't be sent: {error}"))),
        }
    }
}

impl From<SegmentError> for FeedError {
    fn from(error: SegmentError) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Sends everything, on a thread that may block. Gives how many transactions.
pub(super) fn send(feed: &Feed, runtime: &Handle, mut into: impl Write) -> Result<u64, FeedError> {
    let mut count = 0;
    into.write_all(b"\xfebin")?;
    for (at, segment) in feed.segments.iter().enumerate() {
        let stop = feed.stop.filter(|_| at + 1 == feed.segments.len());
        let key = object_key(&feed.prefix, segment).map_err(FeedError::Unreadable)?;
        let body = runtime.block_on(feed.store.get(&key, None));
        let body = body.map_err(|error| FeedError::Unreadable(error.into()))?;
        let mut events = SegmentEvents::new(body.into_blocking_reader(), segment)?;
        let mut transactions = follow(segment);
        let mut is_sent = false;
        let mut is_stopped = false;
        while let Some(event) = events.next_event()? {
            // A further part of one log has the same description; among its transactions MySQL takes none (error 1837).
            if event.header.kind == EventKind::FORMAT && (at == 0 || segment.from == 4) {
                into.write_all(&event.raw)?;
            }
            if !is_of_log(segment, &event) {
                continue;
            }
            match transactions.take(&event).0 {
                Part::Between => is_sent = false,
                Part::Begins => {
                    let current = transactions.current();
                    is_stopped = is_stopped || current.is_some_and(|one| Some(one.number) == stop);
                    is_sent = !is_stopped && current.is_some_and(|one| feed.sends(segment, one));
                    count += u64::from(is_sent);
                }
                Part::Inside => {}
            }
            if is_sent {
                into.write_all(&event.raw)?;
            }
        }
        events.finish()?;
    }
    into.flush()?;
    Ok(count)
}

impl Feed {
    fn sends(&self, segment: &Segment, transaction: &Transaction) -> bool {
        if self.base.has(segment, transaction) {
            return false;
        }
        let Some(gtid) = &transaction.gtid else { return true };
        !self.skip.contains(gtid) && !self.have.as_ref().is_some_and(|have| have.contains(gtid))
    }
}
