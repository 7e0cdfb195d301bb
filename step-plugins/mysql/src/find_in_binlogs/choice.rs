//! The one that is meant: from all transactions that fit to one of them, or a list to choose from. Pure.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use rekindle_backup::binlog::Segment;
use rekindle_backup::binlog::archive::Timeline;
use rekindle_engine::step::StepError;

use super::run::Hit;
use super::{Deed, FindInBinlogsOutputs, Found, Which};

/// How many of those that fit are told.
const TOLD: usize = 20;
/// How many of them a message names.
const NAMED: usize = 10;

/// What fits so far.
#[derive(Default)]
pub(super) struct Fitting {
    first: Option<FindInBinlogsOutputs>,
    last: Option<FindInBinlogsOutputs>,
    /// What was done last.
    last_deed: Option<Deed>,
    /// The last of them, in the order of time.
    found: VecDeque<Found>,
    count: u64,
    /// Those of them that left no row.
    emptied: BTreeSet<(Timestamp, String, String)>,
}

impl Fitting {
    /// Adds one. Logs of several servers may have the same transaction: it counts once.
    pub(super) fn add(&mut self, timeline: &Timeline, segment: &Segment, hit: Hit) {
        let size_bytes = hit.transaction.size_bytes;
        let told = Found { gtid: hit.gtid(), at: hit.at(), what: hit.what.clone(), size_bytes };
        let is_same = |known: &Found| {
            !told.gtid.is_empty() && (&known.gtid, known.at, &known.what) == (&told.gtid, told.at, &told.what)
        };
        if self.found.iter().any(is_same) {
            return;
        }
        self.count += 1;
        if leaves_nothing(hit.deed) {
            self.emptied.insert((told.at, told.gtid.clone(), told.what.clone()));
        }
        let place = self.found.partition_point(|known| known.at <= told.at);
        self.found.insert(place, told);
        if self.found.len() > TOLD {
            self.found.pop_front();
        }
        let deed = hit.deed;
        let this = outputs(timeline, segment, hit);
        if self.first.as_ref().is_none_or(|first| this.at < first.at) {
            self.first = Some(this.clone());
        }
        if self.last.as_ref().is_none_or(|last| this.at >= last.at) {
            self.last = Some(this);
            self.last_deed = Some(deed);
        }
    }

    /// Gives the one that is meant; nothing when none fits.
    ///
    /// # Errors
    /// When several fit, and nothing says which is meant: what is undone by mistake looks like a success.
    pub(super) fn choose(self, which: Which) -> Result<Option<FindInBinlogsOutputs>, StepError> {
        let is_end = self.emptied.len() == 1 && self.last_deed.is_some_and(leaves_nothing);
        let chosen = match which {
            Which::Earliest => self.first,
            Which::Only if self.count > 1 && !is_end => return Err(several(self.count, &self.found)),
            Which::Only | Which::Latest => self.last,
        };
        Ok(chosen.map(|one| FindInBinlogsOutputs { count: self.count, found: self.found.into(), ..one }))
    }
}

fn leaves_nothing(deed: Deed) -> bool {
    match deed {
        Deed::Drop | Deed::Truncate => true,
        Deed::Alter | Deed::Delete | Deed::Update | Deed::Insert => false,
    }
}

fn several(count: u64, found: &VecDeque<Found>) -> StepError {
    let named: Vec<String> = found.iter().rev().take(NAMED).map(shown).collect();
    let rest = count.saturating_sub(named.len() as u64);
    let rest = if rest > 0 { format!(", and {rest} before") } else { String::new() };
    StepError::permanent(format!(
        "{count} transactions fit, and nothing says which one is meant; the newest first: {}{rest}",
        named.join(", ")
    ))
    .help(
        "choose one by its `gtid`, or by `which: latest` or `which: earliest`; or let fewer fit by `from`, `to` and \
         `deeds`. One that changed many rows takes more bytes than the others",
    )
}

fn shown(one: &Found) -> String {
    let gtid = if one.gtid.is_empty() { String::new() } else { format!("{} ", one.gtid) };
    format!("{gtid}({} at {}, {} bytes)", one.what, one.at, one.size_bytes)
}

fn outputs(timeline: &Timeline, segment: &Segment, hit: Hit) -> FindInBinlogsOutputs {
    FindInBinlogsOutputs {
        gtid: hit.gtid(),
        at: hit.at(),
        server: timeline.key.server.clone(),
        log: segment.log.clone(),
        start: hit.transaction.start,
        end: hit.transaction.end,
        what: hit.what,
        statement: hit.statement,
        count: 0,
        found: Vec::new(),
    }
}
