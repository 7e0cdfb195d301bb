//! Which archived logs lie between a backup and the goal: the archive in, segments in order out. Pure.

use jiff::{SignedDuration, Timestamp};
use rekindle_backup::binlog::archive::Timeline;
use rekindle_backup::binlog::chain::{Gap, gap_between};
use rekindle_backup::binlog::{GtidSet, Place, Segment};
use rekindle_engine::step::StepError;

use super::base::Base;
use super::goal::Goal;

/// The clocks of a server and of a runner may differ by this much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// The logs to read.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// Where the objects lie.
    pub(super) prefix: String,
    /// The folder of the server whose logs they are.
    pub(super) server: String,
    /// From the first one that has anything that the backup has not, to the end of the archive.
    pub(super) segments: Vec<Segment>,
    /// When the archive is complete until.
    pub(super) covered_until: Option<Timestamp>,
    /// The last segment of the archive, whether it is needed or not.
    pub(super) last: Segment,
    /// What is missing between the backup and the first of `segments`.
    gap_before: Option<String>,
    /// The last segment of which the backup has all.
    last_in_base: Option<Segment>,
}

impl Selection {
    /// Tells whether the backup has all of a segment that ends behind a position.
    pub(super) fn is_behind(&self, goal: &Goal) -> bool {
        let Goal::Position { number, position, .. } = goal else { return false };
        self.last_in_base.as_ref().is_some_and(|last| {
            last.transactions > 0 && (last.number > *number || last.number == *number && last.to > *position)
        })
    }

    /// Says what is missing in the first `count` segments.
    pub(super) fn gaps(&self, count: usize) -> Vec<String> {
        let used = self.segments.get(..count).unwrap_or(&self.segments);
        let inside = used.windows(2).filter_map(|pair| match pair {
            [one, next] => gap_between(one, next).as_ref().map(Gap::to_string),
            _ => None,
        });
        self.gap_before.iter().filter(|_| count > 0).cloned().chain(inside).collect()
    }
}

/// Chooses the timeline that the backup is of, and its segments from the backup on. `wanted` says whose logs; otherwise
/// they are those of the backup's own server, or of the only other one that has its point: a backup that was taken
/// from a replica is brought forward by the logs of its source.
///
/// # Errors
/// When nothing of the server is archived, none of its timelines has the backup's point, or the server went on in
/// another one.
pub(super) fn select(
    timelines: &[Timeline],
    base: &Base,
    wanted: Option<&str>,
    goal: &Goal,
) -> Result<Selection, StepError> {
    if let Goal::Time(time) = goal
        && *time < base.at
    {
        return Err(StepError::permanent(format!(
            "{time} is before the backup, whose data are of {}",
            base.at
        ))
        .help("restore an older backup: `rekindle backups list` shows when each is of"));
    }
    let server = match wanted {
        Some(server) => server,
        None => whose(timelines, base),
    };
    let own: Vec<&Timeline> = timelines.iter().filter(|timeline| timeline.key.server == server).collect();
    // The newest one that has the point: names and numbers begin anew with each.
    let Some(timeline) = own.iter().rev().find(|timeline| holds(timeline, base)) else {
        return Err(not_held(timelines, &own, server, base));
    };
    if let Some(newest) = own.last().filter(|newest| newest.key != timeline.key) {
        refuse_abandoned(newest, server, goal)?;
    }
    if wanted.is_none() {
        refuse_succeeded(timelines, server, base, goal)?;
        refuse_outlived(timelines, timeline, base, goal)?;
    }
    let Some(last) = timeline.segments.last().cloned() else {
        return Err(not_held(timelines, &[], server, base));
    };
    let from = timeline.segments.iter().position(|segment| !base.has_all_of(segment));
    let last_in_base = match from {
        Some(from) => from.checked_sub(1).and_then(|last| timeline.segments.get(last)),
        None => Some(&last),
    };
    let last_in_base = last_in_base.cloned();
    let segments = from.and_then(|from| timeline.segments.get(from..)).unwrap_or_default().to_vec();
    Ok(Selection {
        prefix: timeline.key.prefix(),
        server: server.to_owned(),
        covered_until: timeline.covered_until(),
        gap_before: from.and_then(|from| gap_before(timeline, from, base)),
        segments,
        last,
        last_in_base,
    })
}

/// Gives the server whose logs follow a backup: its own, if it has any.
fn whose<'a>(timelines: &'a [Timeline], base: &'a Base) -> &'a str {
    if timelines.iter().any(|timeline| timeline.key.server == base.server) {
        return &base.server;
    }
    let has_point = |timeline: &&Timeline| base.is_named() && holds(timeline, base);
    let servers = timelines.iter().filter(has_point).map(|timeline| timeline.key.server.as_str());
    let others: std::collections::BTreeSet<&str> = servers.collect();
    match (others.first(), others.len()) {
        (Some(other), 1) => other,
        (_, _) => &base.server,
    }
}

fn not_held(timelines: &[Timeline], own: &[&Timeline], server: &str, base: &Base) -> StepError {
    if own.is_empty() {
        let mut others: Vec<&str> = timelines.iter().map(|timeline| timeline.key.server.as_str()).collect();
        others.dedup();
        let help = if others.is_empty() {
            "archive them: `rekindle run archive-binlogs`".to_owned()
        } else {
            format!("the archive has those of {}; name one by `server`", others.join(", "))
        };
        return StepError::permanent(format!("no binary logs of `{server}` are archived")).help(help);
    }
    let newest = own.last().and_then(|timeline| timeline.segments.last());
    let ends = newest.map_or_else(String::new, |last| {
        format!("; the newest of them end with {} at {}", last.log, last.to)
    });
    StepError::permanent(format!(
        "the archived logs of `{server}` do not have the point of the backup{}{ends}",
        words(base)
    ))
    .help(
        "archive the server's logs, if it still has those of the backup's time; or restore a backup that is newer than \
         where the archive begins",
    )
}

/// Refuses to go on in logs that the server has left behind: what it wrote since is in others, that do not follow.
///
/// # Errors
/// When the goal is what the server wrote last, or a time after it began other logs.
fn refuse_abandoned(newest: &Timeline, server: &str, goal: &Goal) -> Result<(), StepError> {
    let Some(began) = began_before(newest, goal) else { return Ok(()) };
    Err(StepError::permanent(format!(
        "`{server}` began its logs anew at {began}, after the backup: what it wrote since then does not follow from it"
    ))
    .help(format!(
        "restore the backup that those logs begin at, or one that is newer; or give a `time` up to {began}, to have \
         what was written before and lose the rest"
    )))
}

/// Refuses to go on in logs of a server when another one was restored from the backup since: a server of MySQL that lost
/// its disk is another one when it comes back, and what it wrote since is in its own logs.
///
/// # Errors
/// When the goal is what was written last, or a time after the other one began its logs.
fn refuse_succeeded(timelines: &[Timeline], server: &str, base: &Base, goal: &Goal) -> Result<(), StepError> {
    let is_successor = |timeline: &&Timeline| {
        timeline.key.server != server && base.is_named() && base.gtids == beginning(timeline)
    };
    let others = timelines.iter().filter(is_successor);
    let Some((other, began)) = others.rev().find_map(|other| Some((other, began_before(other, goal)?)))
    else {
        return Ok(());
    };
    let other = &other.key.server;
    Err(StepError::permanent(format!(
        "`{other}` was restored from the backup, and began its logs at {began}: what it wrote is not in those of \
         `{server}`"
    ))
    .help(format!(
        "name whose logs to follow by `server`: `{other}` if it has taken the place of `{server}`, and `{server}` for what \
         was written before; or give a `time` up to {began}"
    )))
}

/// Refuses to stop at the end of a server's logs when another one, which has all that they have, went on: a replica that
/// was promoted. Its logs hold the backup's point too, and what was written since the failover is in no others.
///
/// # Errors
/// When the goal is what was written last, or a time after the other one's first transaction beyond those logs.
fn refuse_outlived(
    timelines: &[Timeline],
    timeline: &Timeline,
    base: &Base,
    goal: &Goal,
) -> Result<(), StepError> {
    let Some(end) = timeline.segments.last().and_then(Segment::after_it).filter(|end| !end.is_empty()) else {
        return Ok(());
    };
    let server = &timeline.key.server;
    let mut others = timelines.iter().rev().filter(|other| other.key.server != *server && base.is_named());
    let found = others.find_map(|other| {
        let has_more = |segment: &&Segment| segment.after_it().is_some_and(|after| !end.covers(&after));
        let last = other.segments.last()?.after_it()?;
        let first = other.segments.iter().find(has_more)?;
        let is_after = match goal {
            Goal::End => true,
            // What it wrote beyond lies between these two.
            Goal::Time(time) => first.last_at.is_some_and(|at| *time > at),
            Goal::After(_) | Goal::Before(_) | Goal::Position { .. } => false,
        };
        (is_after && last.covers(&end) && holds(other, base)).then_some((last, &other.key.server))
    });
    let Some((last, other)) = found else { return Ok(()) };
    Err(StepError::permanent(format!(
        "`{other}` went on where the archived logs of `{server}` end: it has all of them, and is at {last}"
    ))
    .help(format!(
        "name whose logs to follow by `server`: `{other}` for all that was written, as after a failover, and `{server}` \
         for no more than it logged itself"
    )))
}

/// Gives when a server began logs, if a goal is later than that.
fn began_before(timeline: &Timeline, goal: &Goal) -> Option<Timestamp> {
    let began = timeline.segments.first()?.log_created_at;
    let is_beyond = match goal {
        Goal::End => true,
        Goal::Time(time) => *time > began,
        Goal::After(_) | Goal::Before(_) | Goal::Position { .. } => false,
    };
    is_beyond.then_some(began)
}

/// Says where a backup stands.
fn words(base: &Base) -> String {
    match (&base.gtids, &base.place) {
        (Some(gtids), _) if !gtids.is_empty() => format!(" ({gtids})"),
        (_, Some(Place { log, position, .. })) => format!(" ({log}, {position})"),
        (_, None) => String::new(),
    }
}

/// Tells whether a timeline is the one that the backup's point is of.
fn holds(timeline: &Timeline, base: &Base) -> bool {
    let (Some(first), Some(last)) = (timeline.segments.first(), timeline.segments.last()) else {
        return false;
    };
    // The server was restored from this backup, and began its logs anew at its point, whenever that was.
    if base.is_named() && base.gtids == beginning(timeline) {
        return true;
    }
    // Otherwise the numbers of younger logs are others, though they may look the same.
    let is_older = base.at.checked_add(CLOCKS_DIFFER).is_ok_and(|at| first.log_created_at <= at);
    if !is_older {
        return false;
    }
    // Coordinates are those of the server that the backup was taken from.
    let is_placed = base.place.as_ref().filter(|_| base.server == timeline.key.server).map(|place| {
        let Place { log, number, position } = place;
        let inside =
            |segment: &Segment| segment.log == *log && segment.from <= *position && *position <= segment.to;
        let is_before = first.number > *number;
        is_before || timeline.segments.iter().any(inside) || (last.number, last.to) <= (*number, *position)
    });
    let is_named = match (&base.gtids, last.after_it()) {
        (Some(gtids), Some(after)) => {
            Some(after.covers(gtids) || base.has_all_of(last) && gtids.covers(&after))
        }
        (None, _) | (_, None) => None,
    };
    match (is_placed, is_named) {
        (Some(placed), Some(named)) => placed && named,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => false,
    }
}

/// Gives what a server had when it began its logs; nothing when it wrote something before it said so.
fn beginning(timeline: &Timeline) -> Option<GtidSet> {
    let is_set = |set: &Option<GtidSet>| set.as_ref().is_some_and(|set| !set.is_empty());
    let first = timeline.segments.iter().find(|segment| is_set(&segment.after_it()))?;
    first.before().filter(|before| !before.is_empty())
}

fn gap_before(timeline: &Timeline, from: usize, base: &Base) -> Option<String> {
    let first = timeline.segments.get(from)?;
    if base.reaches(first) {
        return None;
    }
    // The segment before it is in the backup: what is missing is missing between the two.
    if let Some(gap) = from.checked_sub(1).and_then(|at| gap_between(timeline.segments.get(at)?, first)) {
        return Some(gap.to_string());
    }
    let (log, point) = (&first.log, words(base));
    Some(format!(
        "what was logged between the backup{point} and {log} is missing: the archive begins after it"
    ))
}
