//! Events → transactions: where each begins and ends, when it was committed, and what it is called.

use super::event::{Event, EventKind};
use super::gtid::{Gtid, GtidSet};
use super::query::Query;

/// A transaction as it stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its name, if it has one.
    pub gtid: Option<Gtid>,
    /// Where it begins in its log, as the server counts.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// When it was committed: the time of its last event, in whole seconds since 1970 (UTC).
    pub at: u32,
    /// Its size.
    pub size_bytes: u64,
    /// Its number in the log that was read, from 0.
    pub number: u64,
}

/// What an event is to the transactions around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It stands between them.
    Between,
    /// It begins one.
    Begins,
    /// It is inside one.
    Inside,
}

/// MariaDB's flag of a GTID whose one statement is all there is (`FL_STANDALONE`).
const STANDALONE: u8 = 1;

/// Follows the events of a log.
#[derive(Debug, Default)]
pub struct Transactions {
    current: Option<Transaction>,
    is_open: bool,
    is_complete: bool,
    position: u64,
    count: u64,
    before: Option<GtidSet>,
}

impl Transactions {
    /// Begins inside a log, at a position between two transactions.
    pub fn from(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    /// Takes the next event. Gives what it is, and the transaction that it shows to be over.
    pub fn take(&mut self, event: &Event) -> (Part, Option<Transaction>) {
        let header = event.header;
        let start = self.position;
        if header.end_position != 0 {
            self.position = unwrapped(self.position, header.end_position);
        }
        let begin = self.position.saturating_sub(u64::from(header.size_bytes));
        // In an encrypted log the first event has another one before it that is never sent: what the server counts
        // decides.
        let begin = if header.end_position == 0 { start } else { begin };
        if header.kind.is_between() {
            if let Some(before) = GtidSet::before(event) {
                self.before = Some(before);
            }
            return (Part::Between, self.current.take());
        }
        if header.kind.begins() {
            let over = self.current.take();
            self.begin(event, begin);
            return (Part::Begins, over);
        }
        // Without any GTID event (a log of old), a statement that opens one begins it.
        let (part, over) = if self.current.is_none() {
            self.begin(event, begin);
            (Part::Begins, None)
        } else {
            (Part::Inside, None)
        };
        self.go_on(event);
        (part, over)
    }

    fn begin(&mut self, event: &Event, start: u64) {
        let standalone = event.body().get(12).is_some_and(|flags| flags & STANDALONE != 0);
        self.is_open = event.header.kind == EventKind::MARIADB_GTID && !standalone;
        self.is_complete = false;
        self.current = Some(Transaction {
            gtid: Gtid::of(event),
            start,
            end: self.position,
            at: event.header.timestamp,
            size_bytes: u64::from(event.header.size_bytes),
            number: self.count,
        });
        self.count += 1;
    }

    fn go_on(&mut self, event: &Event) {
        let position = self.position;
        let Some(current) = &mut self.current else { return };
        current.size_bytes += u64::from(event.header.size_bytes);
        current.end = position;
        current.at = event.header.timestamp;
        match event.header.kind {
            EventKind::XID | EventKind::XA_PREPARE | EventKind::PAYLOAD | EventKind::INCIDENT => {
                self.is_complete = true;
            }
            EventKind::EXECUTE_LOAD => self.is_complete = !self.is_open,
            EventKind::QUERY | EventKind::QUERY_COMPRESSED => match Query::of(event) {
                Some(query) if query.opens() => self.is_open = true,
                Some(query) if query.closes() => self.is_complete = true,
                Some(_) | None => self.is_complete = !self.is_open,
            },
            _ => {}
        }
    }

    /// Gives the transaction that the last event is of, as far as it is known by then.
    pub fn current(&self) -> Option<&Transaction> {
        self.current.as_ref()
    }

    /// Ends the log. Gives the last transaction, and whether all of it was there.
    pub fn end(&mut self) -> Option<(Transaction, bool)> {
        self.current.take().map(|last| (last, self.is_complete))
    }

    /// Gives where the last event ended, as the server counts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Gives what the log says of all logs before it, once that was read.
    pub fn before(&self) -> Option<&GtidSet> {
        self.before.as_ref()
    }
}

/// Puts the upper half to a position that wraps at 4 GiB; logs only grow.
fn unwrapped(last: u64, low: u32) -> u64 {
    let position = (last & !0xffff_ffff) | u64::from(low);
    if position < last { position + (1 << 32) } else { position }
}
