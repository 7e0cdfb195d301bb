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

/// Tells how far the logs of the backup's own server bring it; nothing when none of that server are archived.
///
/// # Errors
/// When they are not of the backup's time.
pub(crate) fn reach(timelines: &[Timeline], manifest: &Manifest) -> Result<Option<Reach>, StepError> {
    let base = Base::of(manifest);
    if timelines.iter().all(|timeline| timeline.key.server != base.server) {
        return Ok(None);
    }
    let selection = select(timelines, &base, &base.server, &Goal::End)?;
    let broken = (1..=selection.segments.len())
        .find_map(|count| Some((count - 1, selection.gaps(count).into_iter().next()?)));
    let Some((sound, gap)) = broken else {
        return Ok(Some(Reach { until: selection.covered_until, gap: None }));
    };
    let last = sound.checked_sub(1).and_then(|at| selection.segments.get(at));
    Ok(Some(Reach { until: last.map(|last| last.covered_until), gap: Some(gap) }))
}
