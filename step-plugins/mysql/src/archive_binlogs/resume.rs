//! Where to go on: the archive and the server's list of logs in, the timeline and the next log out.

use jiff::Timestamp;
use rekindle_backup::binlog::archive::{self, load_segment};
use rekindle_backup::binlog::{GtidSet, LastEvent, Segment, ServerIdentity, TimelineKey};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{StepContext, StepError};

use super::cut::{self, CutError, Known};
use crate::binlogs::program::{FetchError, Fetcher};
use crate::binlogs::scratch::Scratch;
use crate::binlogs::server::ServerLog;

/// How many older timelines are looked at: a server whose logs began anew more often begins another one.
const LOOKED_AT_TIMELINES: usize = 8;

/// Where the archive of a server stands.
pub(super) struct Tip {
    /// The timeline; none before its first segment is written, which gives it its name.
    pub(super) timeline: Option<TimelineKey>,
    /// Its last segment.
    pub(super) last: Option<Segment>,
    /// The place of the next log in the server's list.
    pub(super) next: usize,
    /// Whether the next log is the rest of the last segment's.
    pub(super) is_rest: bool,
}

impl Tip {
    /// Begins a new timeline with the server's oldest log.
    fn new() -> Self {
        Self { timeline: None, last: None, next: 0, is_rest: false }
    }
}

/// What is asked for it: the server, and where its copies lie for a moment.
pub(super) struct Asking<'a> {
    pub(super) cx: &'a StepContext,
    pub(super) fetcher: &'a Fetcher,
    pub(super) scratch: &'a Scratch,
}

/// Looks for the timeline that the server's logs continue.
///
/// A name proves nothing: after `RESET MASTER`, or on another server with the same id, the same names stand for other
/// logs. So the server is asked for the event that was archived last, from its position.
pub(super) async fn find_tip(
    asking: &Asking<'_>,
    store: &dyn ObjectStore,
    cluster: &str,
    identity: &ServerIdentity,
    logs: &[ServerLog],
) -> Result<Tip, StepError> {
    let places = archive::places_of(store, cluster, &identity.folder()).await?;
    for (key, segments) in places.into_iter().rev().take(LOOKED_AT_TIMELINES) {
        let Some(place) = segments.last() else { continue };
        let last = load_segment(store, &key, place).await?;
        if let Some(tip) = go_on(asking, logs, key, last).await? {
            return Ok(tip);
        }
    }
    Ok(Tip::new())
}

/// Goes on after a segment, if the server's logs do.
pub(super) async fn go_on(
    asking: &Asking<'_>,
    logs: &[ServerLog],
    key: TimelineKey,
    last: Segment,
) -> Result<Option<Tip>, StepError> {
    let there = logs.iter().position(|log| log.name == last.log);
    let is_continued = match there.and_then(|at| logs.get(at)) {
        Some(log) => log.size_bytes >= last.to && has_event(asking, &last).await?,
        // Purged meanwhile. Whether something is missing between is seen when the oldest log is read.
        None => follows(asking, logs, &last).await?,
    };
    if !is_continued {
        return Ok(None);
    }
    let is_rest = there.is_some() && !last.ends_log;
    let next = match there {
        Some(at) if last.ends_log => at + 1,
        Some(at) => at,
        None => 0,
    };
    Ok(Some(Tip { timeline: Some(key), last: Some(last), next, is_rest }))
}

/// Asks the server for the event that was archived last.
async fn has_event(asking: &Asking<'_>, last: &Segment) -> Result<bool, StepError> {
    let Asking { cx, fetcher, scratch } = asking;
    let copy = fetcher.fetch(scratch.path(), &last.log, last.last_event.position, cx.cancel()).await;
    let path = match copy {
        Ok(path) => path,
        // There is no event at that position: `ER_MASTER_FATAL_ERROR_READING_BINLOG`.
        Err(FetchError::Refused { said, .. }) if is_no_event(&said) => return Ok(false),
        Err(error) => return Err(error.step_error(fetcher.program.name, &last.log)),
    };
    let event = last.last_event.clone();
    let to = last.to;
    let surveyed =
        tokio::task::spawn_blocking(move || cut::survey(&path, Some(Known { last_event: &event, to })));
    match surveyed.await.map_err(|error| StepError::permanent(error.to_string()))? {
        Ok(_) => Ok(true),
        Err(CutError::Other) => Ok(false),
        Err(CutError::Log(error)) => {
            Err(StepError::transient(format!("the copy of {} is not whole: {error}", last.log)))
        }
    }
}

/// Tells whether a program's words say that the server has no event at the position it was asked for.
pub(super) fn is_no_event(said: &str) -> bool {
    [
        "1236",
        "truncated in the middle",
        "bogus data",
        "log event entry exceeded",
        "impossible position",
        "wrong position",
        "event header",
        "Could not find first log",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// Tells whether the server's oldest log is a later one of the timeline: its number is higher, and it says that
/// everything archived was before it.
async fn follows(asking: &Asking<'_>, logs: &[ServerLog], last: &Segment) -> Result<bool, StepError> {
    let Asking { cx, fetcher, scratch } = asking;
    let Some(oldest) = logs.first() else { return Ok(false) };
    let base = |name: &str| name.rsplit_once('.').map(|(base, _)| base.to_owned());
    if oldest.number <= last.number || base(&oldest.name) != base(&last.log) {
        return Ok(false);
    }
    let Some(archived) = last.after_it() else { return Ok(true) };
    let path = fetcher.fetch(scratch.path(), &oldest.name, 4, cx.cancel()).await;
    let path = path.map_err(|error| error.step_error(fetcher.program.name, &oldest.name))?;
    let surveyed = tokio::task::spawn_blocking(move || cut::survey(&path, None)).await;
    let cut = surveyed.map_err(|error| StepError::permanent(error.to_string()))?.map_err(|error| {
        StepError::transient(format!("the copy of {} is not whole: {error}", oldest.name))
    })?;
    Ok(cut.before.is_some_and(|before| before.covers(&archived)))
}

/// Tells whether a log follows the last segment without anything between them.
pub(super) fn is_next(last: &Segment, log: &ServerLog, before: Option<&GtidSet>) -> bool {
    let next_number = log.number == last.number + 1;
    match (last.after_it(), before) {
        // What the log says of all before it is what was archived: nothing more was logged between the two.
        (Some(archived), Some(before)) => next_number && archived == *before,
        (None, _) | (_, None) => next_number && last.ends_log,
    }
}

/// Names a timeline after its first log: when that was begun, its name, and what tells it from another one that was
/// begun in the same second.
pub(super) fn timeline_name(log: &str, created_at: Timestamp, last_event: &LastEvent) -> String {
    let at = created_at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let mark = last_event.sha256.get(..8).unwrap_or_default();
    format!("{at}-{log}-{mark}")
}
