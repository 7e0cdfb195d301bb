//! How far archived logs bring a backup: manifest and archive in, a time out. Pure.

use jiff::Timestamp;
use rekindle_backup::binlog::archive::Timeline;
use rekindle_backup::manifest::Manifest;
use rekindle_engine::step::StepError;

use super::base::Base;
use super::goal::Goal;
use super::select::select;

/// How far a backup can be brought without losing anything on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The server had written nothing more until then (UTC, by its own clock); absent when nothing can be replayed.
    pub(crate) until: Option<Timestamp>,
    /// What is missing next, where the archive goes on after it.
    pub(crate) gap: Option<String>,
}

/// Tells how far the archived logs bring a backup; nothing when there are none of its server, nor of another that has its
/// point.
///
/// # Errors
/// When they are not of the backup's time.
pub(crate) fn reach(timelines: &[Timeline], manifest: &Manifest) -> Result<Option<Reach>, StepError> {
    let base = Base::of(manifest);
    let selection = match select(timelines, &base, None, &Goal::End) {
        Ok(selection) => selection,
        Err(_) if timelines.iter().all(|timeline| timeline.key.server != base.server) => return Ok(None),
        Err(error) => return Err(error),
    };
    let broken = (1..=selection.segments.len())
        .find_map(|count| Some((count - 1, selection.gaps(count).into_iter().next()?)));
    let Some((sound, gap)) = broken else {
        return Ok(Some(Reach { until: selection.covered_until, gap: None }));
    };
    let last = sound.checked_sub(1).and_then(|at| selection.segments.get(at));
    Ok(Some(Reach { until: last.map(|last| last.covered_until), gap: Some(gap) }))
}
