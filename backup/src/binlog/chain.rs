//! How segments follow one another, and what is missing between them. Pure.

use std::fmt;

use super::segment::Segment;

/// What is missing between two segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What, by name: `bin.000012`, `bin.000012 to bin.000015`, `bin.000012 from position 500 on`.
    pub missing: String,
    /// Whether it is one or more.
    pub is_one: bool,
    /// The segment after it, as `LOG:FROM`.
    pub before: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is, was, it) = if self.is_one { ("is", "was", "it") } else { ("are", "were", "they") };
        write!(f, "{} {is} missing: {it} {was} purged before {it} {was} archived", self.missing)
    }
}

/// Tells what is missing between a segment and the next one of its timeline.
///
/// Whoever archived the second one has looked whether it follows the first, and has noted that in it.
pub fn gap_between(previous: &Segment, next: &Segment) -> Option<Gap> {
    if next.after.as_deref() == Some(previous.name().as_str()) {
        return None;
    }
    Some(missing(&previous.log, previous.number, previous.to, previous.ends_log, next))
}

/// Tells what is missing before `next` when the archive ends at a position of a log.
fn missing(log: &str, number: u64, to: u64, ends_log: bool, next: &Segment) -> Gap {
    let before = next.name();
    if number == next.number {
        let missing = format!("{log} from position {to} to {}", next.from);
        return Gap { missing, is_one: true, before };
    }
    let end = format!("{log} from position {to} on");
    let (first, last) = (number + 1, next.number.saturating_sub(1));
    let whole = match last.checked_sub(first) {
        None => None,
        Some(0) => Some((name(&next.log, first), true)),
        Some(_) => Some((format!("{} to {}", name(&next.log, first), name(&next.log, last)), false)),
    };
    match (ends_log, whole) {
        (true, Some((missing, is_one))) => Gap { missing, is_one, before },
        (false, Some((whole, _))) => Gap { missing: format!("{end} and {whole}"), is_one: false, before },
        (_, None) => Gap { missing: end, is_one: true, before },
    }
}

/// Gives the name of another log of the same series.
fn name(log: &str, number: u64) -> String {
    match log.rsplit_once('.') {
        Some((base, digits)) => format!("{base}.{number:0width$}", width = digits.len()),
        None => log.to_owned(),
    }
}

/// Lists what is missing inside a timeline.
pub fn gaps(segments: &[Segment]) -> Vec<Gap> {
    segments.windows(2).filter_map(|pair| gap_between(pair.first()?, pair.last()?)).collect()
}
