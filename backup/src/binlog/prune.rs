//! Which archived logs nothing needs any more. Pure.

use jiff::{SignedDuration, Timestamp};

use super::archive::Timeline;
use super::key::TimelineKey;
use super::segment::Segment;

/// The clocks of a server and of a runner may differ by this much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// A segment that goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unneeded {
    /// Its timeline.
    pub timeline: TimelineKey,
    /// The segment.
    pub segment: Segment,
    /// Why it goes.
    pub reason: String,
}

/// Lists what lies before `from`, the point of the oldest backup that logs are to be replayed onto; the oldest first.
///
/// The last segment of a server stays in any case: it is what the archive goes on from.
pub fn unneeded(timelines: &[Timeline], from: Timestamp) -> Vec<Unneeded> {
    let before = from.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
    let mut unneeded = Vec::new();
    for (at, timeline) in timelines.iter().enumerate() {
        let is_newest = timelines.get(at + 1).is_none_or(|next| next.key.server != timeline.key.server);
        let kept = usize::from(is_newest);
        let count = timeline.segments.len().saturating_sub(kept);
        let old = timeline.segments.iter().take(count).take_while(|segment| segment.covered_until < before);
        unneeded.extend(old.map(|segment| Unneeded {
            timeline: timeline.key.clone(),
            segment: segment.clone(),
            reason: format!(
                "no backup that stays needs it: it ends before {from}, the point of the oldest of them"
            ),
        }));
    }
    unneeded
}
