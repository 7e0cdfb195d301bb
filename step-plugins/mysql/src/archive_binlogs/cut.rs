//! A copied log → what of it is archived: checked event by event, cut after its last whole transaction.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use jiff::Timestamp;
use rekindle_backup::binlog::{
    BinlogError, Event, EventKind, Events, Gtid, GtidSet, Hindrances, LastEvent, Part, Transaction,
    Transactions,
};
use rekindle_backup::manifest::Flavour;
use sha2::{Digest as _, Sha256};

/// What a copy holds behind what is archived already.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// When the log was begun.
    pub(super) log_created_at: Timestamp,
    /// Where what is new begins, as the server counts: 4 for a whole log.
    pub(super) from: u64,
    /// Where the last whole transaction, or what stands after it, ends; equal to `from` when nothing is new.
    pub(super) to: u64,
    /// The last event before `to`.
    pub(super) last_event: Option<LastEvent>,
    pub(super) transactions: u64,
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
    /// What the log says of all logs before it.
    pub(super) before: Option<GtidSet>,
    pub(super) gtids: Vec<Gtid>,
    /// Whether a transaction has no name.
    pub(super) is_anonymous: bool,
    /// Whether a transaction can't be replayed as statements.
    pub(super) is_hindered: bool,
}

/// Why a copy is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// It is no sound log.
    #[error("{0}")]
    Log(#[from] BinlogError),
    /// The event that was archived last stands there no more: the log is another one of the same name.
    #[error("the event that was archived last is not in it")]
    Other,
}

/// The event before what is new, and where that begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) last_event: &'a LastEvent,
    pub(super) to: u64,
}

/// Walks over a copy to its end, and tells what of it is to be archived.
pub(super) fn survey(path: &Path, known: Option<Known<'_>>) -> Result<Cut, CutError> {
    let mut walk = Walk::open(path, known)?;
    let mut transactions = match known {
        Some(known) => Transactions::from(known.to),
        None => Transactions::default(),
    };
    let from = known.map_or(4, |known| known.to);
    let mut cut = Cut {
        log_created_at: walk.log_created_at()?,
        from,
        to: from,
        last_event: None,
        transactions: 0,
        first_at: None,
        last_at: None,
        before: None,
        gtids: Vec::new(),
        is_anonymous: false,
        is_hindered: false,
    };
    let mut hindrances = Hindrances::default();
    // The last event before the one at hand, kept until it is known that a whole transaction ends with it.
    let mut previous: Option<(u64, LastEvent)> = None;
    while let Some(event) = walk.next()? {
        // Sent from the middle of a log, its format description stands nowhere.
        let is_elsewhere = known.is_some() && event.header.kind == EventKind::FORMAT;
        if is_elsewhere {
            continue;
        }
        let (part, over) = transactions.take(&event);
        if over.is_some() {
            cut.is_hindered |= hindrances.of_last().is_some();
        }
        hindrances.take(part, &event);
        if part != Part::Inside {
            cut.close(over, &mut previous);
        }
        let end = transactions.position();
        let here = LastEvent {
            position: end.saturating_sub(u64::from(event.header.size_bytes)),
            sha256: hex::encode(Sha256::digest(&event.raw)),
        };
        if event.header.end_position != 0 {
            previous = Some((end, here));
        }
        if part == Part::Between {
            cut.close(None, &mut previous);
        }
    }
    match transactions.end() {
        Some((last, true)) => {
            cut.is_hindered |= hindrances.of_last().is_some();
            cut.close(Some(last), &mut previous);
        }
        // A transaction without its end: it is archived when all of it is there.
        Some((_, false)) => {}
        None => cut.close(None, &mut previous),
    }
    cut.before = transactions.before().cloned();
    Ok(cut)
}

impl Cut {
    fn close(&mut self, over: Option<Transaction>, previous: &mut Option<(u64, LastEvent)>) {
        if let Some((end, event)) = previous.take() {
            self.to = end;
            self.last_event = Some(event);
        }
        let Some(transaction) = over else { return };
        self.transactions += 1;
        if let Ok(at) = Timestamp::from_second(i64::from(transaction.at)) {
            self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
            self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        }
        match transaction.gtid {
            Some(gtid) => self.gtids.push(gtid),
            None => self.is_anonymous = true,
        }
    }

    /// Gives the GTIDs of everything up to its end; nothing when transactions have no names.
    pub(super) fn after(&self, before: Option<&GtidSet>) -> Option<GtidSet> {
        if self.is_anonymous {
            return None;
        }
        let mut after = before?.clone();
        self.gtids.iter().for_each(|gtid| after.add(gtid));
        Some(after)
    }

    /// Gives the GTIDs of everything before it: what the log says itself, and what the segment before it says. MySQL's
    /// logs don't tell what the server was restored with (`gtid_purged`).
    pub(super) fn before_it(&self, flavour: Flavour, segment_before: Option<GtidSet>) -> Option<GtidSet> {
        match (&self.before, segment_before) {
            (Some(before), earlier) => {
                let mut all = before.clone();
                if let (Flavour::Mysql, Some(earlier)) = (flavour, earlier) {
                    all.add_all(&earlier);
                }
                Some(all)
            }
            (None, Some(before)) => Some(before),
            // The first log of a MySQL server of old has no list.
            (None, None) => (self.from == 4).then(|| GtidSet::empty(flavour)),
        }
    }
}

/// Writes what is archived of a copy: a sound log of its own.
pub(super) fn write(
    path: &Path,
    known: Option<Known<'_>>,
    cut: &Cut,
    mut into: impl Write,
) -> Result<(), CutError> {
    let failed = |error| CutError::Log(BinlogError::Read(error));
    let mut walk = Walk::open(path, known)?;
    into.write_all(b"\xfebin").map_err(failed)?;
    let mut transactions = Transactions::from(known.map_or(0, |known| known.to));
    while let Some(event) = walk.next()? {
        let is_format = event.header.kind == EventKind::FORMAT;
        if !(is_format && known.is_some()) {
            transactions.take(&event);
        }
        if transactions.position() > cut.to {
            break;
        }
        // What comes is decrypted: readers of the file must not take it for what is not.
        let is_untrue = event.header.kind == EventKind::START_ENCRYPTION;
        if is_format || (event.header.end_position != 0 && !is_untrue) {
            into.write_all(&event.raw).map_err(failed)?;
        }
    }
    Ok(())
}

/// The events of a copy: its format description, then what stands behind what is known.
struct Walk {
    events: Events<BufReader<File>>,
    format: Option<Event>,
    format_at: u32,
}

impl Walk {
    fn open(path: &Path, known: Option<Known<'_>>) -> Result<Self, CutError> {
        let file = File::open(path).map_err(BinlogError::Read)?;
        let mut events = Events::new(BufReader::with_capacity(1 << 18, file))?;
        let format = events.next_event()?.filter(|event| event.header.kind == EventKind::FORMAT);
        let Some(format) = format else { return Err(BinlogError::NoLog.into()) };
        let mut walk = Self { events, format_at: format.header.timestamp, format: Some(format) };
        if let Some(known) = known {
            // What has no position was made for the way.
            let last = loop {
                match walk.events.next_event()? {
                    Some(event) if event.header.end_position == 0 => {}
                    other => break other,
                }
            };
            let is_same =
                last.is_some_and(|event| hex::encode(Sha256::digest(&event.raw)) == known.last_event.sha256);
            if !is_same {
                return Err(CutError::Other);
            }
        }
        Ok(walk)
    }

    fn log_created_at(&self) -> Result<Timestamp, CutError> {
        Timestamp::from_second(i64::from(self.format_at))
            .map_err(|error| BinlogError::Read(std::io::Error::other(error)).into())
    }

    fn next(&mut self) -> Result<Option<Event>, CutError> {
        match self.format.take() {
            Some(format) => Ok(Some(format)),
            None => Ok(self.events.next_event()?),
        }
    }
}
