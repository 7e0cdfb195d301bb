//! What a replay would do, transaction by transaction: segments in, the last one kept and the first one lost out.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rekindle_backup::binlog::{
    Gtid, GtidSet, Hindrance, Hindrances, Segment, SegmentError, SegmentEvents, Transaction, Transactions,
};
use rekindle_engine::host::{Key, ObjectStore};
use rekindle_engine::step::{Progress, StepContext, StepError};

use super::base::Base;
use super::goal::Goal;
use super::params::Told;
use super::select::Selection;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only segments of which a part counts; of all others their entries are believed.
    Edges,
    /// Everything that is to be replayed: what is damaged is found before the server is touched.
    All,
}

/// What decides about a transaction.
pub(super) struct Rules<'a> {
    pub(super) base: &'a Base,
    pub(super) goal: &'a Goal,
    pub(super) skip: &'a BTreeSet<Gtid>,
}

/// What a replay would do.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    /// How many transactions are replayed.
    pub(super) transactions: u64,
    /// How many segments are needed.
    pub(super) segments: usize,
    /// The number, in the last of them, of the first transaction that is not kept; absent when all of it is.
    pub(super) stop: Option<u64>,
    /// The server's GTIDs at the end; none without GTIDs.
    pub(super) gtids: Option<GtidSet>,
    pub(super) last_kept: Option<Told>,
    pub(super) first_lost: Option<Told>,
    /// Transactions to leave out that were found.
    pub(super) skipped: BTreeSet<Gtid>,
    reached: bool,
}

/// Refuses a transaction that can't be replayed as statements.
fn refuse(hindrance: Hindrance, transaction: &Told) -> StepError {
    let (what, why) = match hindrance {
        Hindrance::LoadData => ("a LOAD DATA as a statement (binlog_format)", "its rows are in no statement"),
        Hindrance::TableWithRows => (
            "a CREATE TABLE … SELECT with its rows",
            "a session makes two transactions of it, and the log has one",
        ),
    };
    StepError::permanent(format!("{transaction} is {what}, which can't be replayed: {why}")).help(
        "the target server was not touched; recover to before this transaction, leave it out with `skip` and bring what \
         it did in by hand, or begin from a backup that is newer",
    )
}

/// What becomes of a transaction.
enum Taken {
    /// It is replayed.
    Kept,
    /// The backup has it, or it is to be left out.
    LeftOut,
    /// It is the first one that is not kept.
    Lost,
    /// The backup has it, though it lies behind the goal.
    Passed,
}

impl Survey {
    /// Counts the next transaction.
    fn take(&mut self, rules: &Rules<'_>, segment: &Segment, transaction: &Transaction) -> Taken {
        if rules.base.has(segment, transaction) {
            let is_position = matches!(rules.goal, Goal::Position { .. });
            if is_position && rules.goal.ends_before(segment, transaction, &mut false) {
                return Taken::Passed;
            }
            return Taken::LeftOut;
        }
        if rules.goal.ends_before(segment, transaction, &mut self.reached) {
            self.stop = Some(transaction.number);
            self.first_lost = Some(told(segment, transaction));
            return Taken::Lost;
        }
        match &transaction.gtid {
            Some(gtid) if rules.skip.contains(gtid) => {
                self.skipped.insert(gtid.clone());
                return Taken::LeftOut;
            }
            Some(gtid) => {
                if let Some(gtids) = &mut self.gtids {
                    gtids.add(gtid);
                }
            }
            None => self.gtids = None,
        }
        self.transactions += 1;
        self.last_kept = Some(told(segment, transaction));
        Taken::Kept
    }
}

/// Reads what is needed.
///
/// # Errors
/// When the goal is not in the archive, a transaction to leave out is not there, or an object is damaged.
pub(super) async fn survey(
    cx: &StepContext,
    store: &Arc<dyn ObjectStore>,
    selection: &Selection,
    rules: &Rules<'_>,
    depth: Depth,
) -> Result<Survey, StepError> {
    let mut survey = Survey {
        transactions: 0,
        segments: 0,
        stop: None,
        gtids: rules.base.gtids.clone(),
        last_kept: None,
        first_lost: None,
        skipped: BTreeSet::new(),
        reached: false,
    };
    if selection.is_behind(rules.goal) {
        return Err(passed(rules.goal));
    }
    let mut unread: Option<&Segment> = None;
    for segment in &selection.segments {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        survey.segments += 1;
        if depth == Depth::Edges && !is_edge(segment, rules) && !survey.reached {
            survey.transactions += segment.transactions;
            if let (Some(gtids), Some(after)) = (&mut survey.gtids, segment.after_it()) {
                *gtids = after;
            }
            if segment.transactions > 0 {
                unread = Some(segment);
            }
            continue;
        }
        cx.progress(Progress { note: format!("reading {}", segment.log), ..Progress::default() });
        for (transaction, hindrance) in transactions(store, &selection.prefix, segment).await? {
            match survey.take(rules, segment, &transaction) {
                Taken::Kept => {
                    if let Some(hindrance) = hindrance {
                        return Err(refuse(hindrance, &told(segment, &transaction)));
                    }
                    unread = None;
                }
                Taken::LeftOut => {}
                Taken::Lost => break,
                Taken::Passed => return Err(passed(rules.goal)),
            }
        }
        if survey.stop.is_some() {
            break;
        }
    }
    if survey.stop.is_none() {
        check_reached(selection, rules, &survey)?;
    }
    if let Some(segment) = unread {
        let all = transactions(store, &selection.prefix, segment).await?;
        survey.last_kept = all.last().map(|(last, _)| told(segment, last));
    }
    if let Some(missing) = rules.skip.iter().find(|gtid| !survey.skipped.contains(gtid)) {
        return Err(StepError::permanent(format!(
            "the transaction {missing}, which is to be left out, is not among those that would be replayed"
        ))
        .help("`mysql.find-in-binlogs` tells the GTID of what it finds"));
    }
    Ok(survey)
}

/// Tells whether only a part of a segment may count. With transactions to leave out every one is looked at.
fn is_edge(segment: &Segment, rules: &Rules<'_>) -> bool {
    let is_partly_in_base = match (&rules.base.gtids, segment.before()) {
        (Some(gtids), Some(before)) => gtids != &before && !before.covers(gtids),
        _ => true,
    };
    // Of one that was archived before anybody looked for it, nobody knows whether all of it can be replayed.
    let may_be_hindered = segment.hindered != Some(false);
    !rules.skip.is_empty() || is_partly_in_base || may_be_hindered || rules.goal.may_be_in(segment)
}

/// Refuses a backup that has more than the goal.
fn passed(goal: &Goal) -> StepError {
    StepError::permanent(format!("the backup has what was written after {goal}"))
        .help("restore an older backup: `rekindle backups list` shows when each is of")
}

/// Refuses a goal that the archive does not reach.
fn check_reached(selection: &Selection, rules: &Rules<'_>, survey: &Survey) -> Result<(), StepError> {
    let last = &selection.last;
    let is_reached = match rules.goal {
        Goal::End => true,
        Goal::After(_) => survey.reached,
        Goal::Before(_) => false,
        Goal::Time(time) => selection.covered_until.is_some_and(|until| *time <= until),
        Goal::Position { number, position, .. } => {
            last.number > *number || (last.number == *number && last.to >= *position)
        }
    };
    if is_reached {
        return Ok(());
    }
    if let (Goal::After(gtid) | Goal::Before(gtid), Some(gtids)) = (rules.goal, &rules.base.gtids)
        && gtids.contains(gtid)
    {
        return Err(StepError::permanent(format!("the transaction {gtid} is in the backup already"))
            .help("restore an older backup: `rekindle backups list` shows when each is of"));
    }
    let until = selection.covered_until.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
    let tail =
        last.last_gtid.as_ref().map_or_else(String::new, |gtid| format!(", its last transaction is {gtid}"));
    Err(StepError::permanent(format!(
        "{} is not in the archive: it ends with {} at {} and knows everything until {until}{tail}",
        rules.goal, last.log, last.to
    ))
    .help("the target server was not touched; choose an earlier point, or archive more: `rekindle run archive-binlogs`"))
}

fn told(segment: &Segment, transaction: &Transaction) -> Told {
    Told {
        gtid: transaction.gtid.as_ref().map_or_else(String::new, ToString::to_string),
        at: Timestamp::from_second(i64::from(transaction.at)).unwrap_or(Timestamp::UNIX_EPOCH),
        log: segment.log.clone(),
        start: transaction.start,
        end: transaction.end,
    }
}

/// Gives the key of a segment's object.
pub(super) fn object_key(prefix: &str, segment: &Segment) -> Result<Key, StepError> {
    Key::new(format!("{prefix}{}", segment.object)).map_err(|error| StepError::permanent(error.to_string()))
}

/// Reads an object to its proven end and lists its transactions.
async fn transactions(
    store: &Arc<dyn ObjectStore>,
    prefix: &str,
    segment: &Segment,
) -> Result<Vec<(Transaction, Option<Hindrance>)>, StepError> {
    let body = store.get(&object_key(prefix, segment)?, None).await?;
    let described = segment.clone();
    let read = tokio::task::spawn_blocking(move || list(body.into_blocking_reader(), &described));
    let all = read.await.map_err(|error| StepError::permanent(error.to_string()))??;
    if all.len() as u64 != segment.transactions {
        return Err(StepError::permanent(format!(
            "`{}` has {} transactions, and its entry says {}",
            segment.object,
            all.len(),
            segment.transactions
        )));
    }
    Ok(all)
}

fn list(
    object: impl std::io::Read,
    segment: &Segment,
) -> Result<Vec<(Transaction, Option<Hindrance>)>, SegmentError> {
    let mut events = SegmentEvents::new(object, segment)?;
    let mut transactions = follow(segment);
    let mut all = Vec::new();
    let mut hindrances = Hindrances::default();
    while let Some(event) = events.next_event()? {
        if !is_of_log(segment, &event) {
            continue;
        }
        let (part, over) = transactions.take(&event);
        all.extend(over.map(|over| (over, hindrances.of_last())));
        hindrances.take(part, &event);
    }
    all.extend(transactions.end().map(|(last, _)| (last, hindrances.of_last())));
    events.finish()?;
    Ok(all)
}

/// Follows the transactions of a segment by the positions of its server's log.
pub(super) fn follow(segment: &Segment) -> Transactions {
    if segment.from == 4 { Transactions::default() } else { Transactions::from(segment.from) }
}

/// Tells whether an event has a place in its server's log: the format description of a part has none.
pub(super) fn is_of_log(segment: &Segment, event: &rekindle_backup::binlog::Event) -> bool {
    segment.from == 4 || event.header.kind != rekindle_backup::binlog::EventKind::FORMAT
}
