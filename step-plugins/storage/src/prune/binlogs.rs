//! Archived binary logs: which go with the backups that go, and what archivers that died have left.

use jiff::Timestamp;
use rekindle_backup::binlog::archive::{self, Stray, Timeline};
use rekindle_backup::binlog::prune::{Unneeded, unneeded};
use rekindle_backup::binlog::{SegmentKey, TimelineKey};
use rekindle_backup::retention::Candidate;
use rekindle_engine::host::{Key, KeyError, ObjectStore};
use rekindle_engine::step::{ErrorClass, Progress, StepContext, StepError};

use super::{Fate, PruneParams};

/// What goes of an archive.
#[derive(Default)]
pub(super) struct Logs {
    /// Segments that nothing needs any more, the oldest first.
    pub(super) unneeded: Vec<Unneeded>,
    /// Objects that are of no segment.
    pub(super) strays: Vec<Stray>,
}

/// Decides by the backups that stay; what is younger than `left_before` may be an archiver's that goes on.
///
/// An archive with a damaged entry is left as it is, with a warning: a person should look at it, and backups are to be
/// thinned out all the same.
///
/// # Errors
/// When the store can't be read.
pub(super) async fn decide(
    store: &dyn ObjectStore,
    params: &PruneParams,
    kept: &[Candidate],
    left_before: Timestamp,
    cx: &StepContext,
) -> Result<Logs, StepError> {
    let cluster = params.cluster.as_deref().unwrap_or(cx.settings().cluster());
    let Some(timelines) = load(store, cluster, cx).await? else { return Ok(Logs::default()) };
    let strays = archive::strays(store, cluster, &timelines, left_before).await?;
    let from = needed_from(kept, params, cx.world().clock.now());
    Ok(Logs { unneeded: from.map(|from| unneeded(&timelines, from)).unwrap_or_default(), strays })
}

async fn load(
    store: &dyn ObjectStore,
    cluster: &str,
    cx: &StepContext,
) -> Result<Option<Vec<Timeline>>, StepError> {
    match archive::load(store, cluster).await {
        Ok(timelines) => Ok(Some(timelines)),
        Err(error) if error.class == ErrorClass::Permanent => {
            cx.warn(&format!("no binary logs are removed: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Gives the point of the backup that the oldest point in time is reached from; none when no backup stays that logs are
/// replayed onto. One whose manifest can't be read may be such a one.
fn needed_from(kept: &[Candidate], params: &PruneParams, now: Timestamp) -> Option<Timestamp> {
    let promised = params.logs_window().and_then(|window| window.stands_on(kept, now));
    let is_start = |backup: &&Candidate| backup.series.as_ref().is_none_or(|series| series.covers.is_whole());
    let starts = kept.iter().filter(is_start);
    let Some(promised) = promised else { return starts.map(|backup| backup.at).min() };
    // A recovery that goes on may replay from further back.
    let used = starts.filter(|backup| backup.used_by.is_some()).map(|backup| backup.at).min();
    Some(used.map_or(promised, |used| used.min(promised)))
}

/// Says what becomes of a segment.
pub(super) fn fate(one: &Unneeded) -> Fate {
    let id = format!("{}/{}/{}", one.timeline.server, one.timeline.timeline, one.segment.name());
    Fate { id, reason: one.reason.clone() }
}

/// Removes segments, the oldest first, and each one's entry before its object: what remains after a crash is no segment
/// but a stray.
pub(super) async fn remove(
    store: &dyn ObjectStore,
    logs: Vec<Unneeded>,
    cx: &StepContext,
) -> Result<Vec<Fate>, StepError> {
    let mut fates = Vec::with_capacity(logs.len());
    for one in logs {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let fate = fate(&one);
        cx.progress(Progress { note: format!("removing {}", fate.id), ..Progress::default() });
        let segment = &one.segment;
        let name =
            SegmentKey { number: segment.number, from: segment.from, log: segment.log.clone() }.entry();
        store.delete(&key(&one.timeline, &name)?).await?;
        store.delete(&key(&one.timeline, &segment.object)?).await?;
        cx.log(&format!("removed {}: {}", fate.id, fate.reason));
        fates.push(fate);
    }
    Ok(fates)
}

/// Says what becomes of an object that an archiver has left.
pub(super) fn stray_fate(stray: &Stray) -> Fate {
    let Stray { object } = stray;
    let reason = format!("an archiver that did not finish has left it, last written {}", object.modified);
    Fate { id: object.key.to_string(), reason }
}

/// Removes what archivers that died have left.
pub(super) async fn remove_strays(
    store: &dyn ObjectStore,
    strays: Vec<Stray>,
    cx: &StepContext,
) -> Result<Vec<Fate>, StepError> {
    let mut fates = Vec::with_capacity(strays.len());
    for stray in strays {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        store.delete(&stray.object.key).await?;
        let fate = stray_fate(&stray);
        cx.log(&format!("removed {}: {}", fate.id, fate.reason));
        fates.push(fate);
    }
    Ok(fates)
}

fn key(timeline: &TimelineKey, name: &str) -> Result<Key, StepError> {
    timeline.key(name).map_err(|error: KeyError| StepError::permanent(error.to_string()))
}
