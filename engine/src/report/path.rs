//! Where the time went: the critical path, and how much ran side by side.

use std::collections::HashMap;

use jiff::Timestamp;

use super::fold::{between, first_start, last_end};
use super::types::{Link, Report, StepReport};
use crate::id::StepId;
use crate::plan::Plan;

/// Fills in `critical_path`, `busy_ms` and `most_at_once`.
pub(super) fn measure(plan: &Plan, report: &mut Report) {
    report.critical_path = critical_path(plan, report);
    let spans: Vec<(Timestamp, Timestamp)> = report
        .steps
        .iter()
        .flat_map(|step| &step.attempts)
        .filter_map(|attempt| Some((attempt.started_at, attempt.ended_at.or(report.last_at)?)))
        .collect();
    report.busy_ms = spans.iter().map(|(start, end)| between(Some(*start), Some(*end))).sum();
    report.most_at_once = most_at_once(&spans);
}

fn most_at_once(spans: &[(Timestamp, Timestamp)]) -> usize {
    let mut turns: Vec<(Timestamp, isize)> =
        spans.iter().flat_map(|(start, end)| [(*start, 1), (*end, -1)]).collect();
    // An end sorts before a start at the same time: one after the other is not side by side.
    turns.sort_unstable();
    let (mut now, mut most) = (0_isize, 0);
    for (_, turn) in turns {
        now += turn;
        most = most.max(now);
    }
    // Spans without length end before they start in that order; there was at least one at a time.
    usize::try_from(most).unwrap_or(0).max(usize::from(!spans.is_empty()))
}

/// Walks back from the step that ended last, each time to the step it waited for longest.
fn critical_path(plan: &Plan, report: &Report) -> Vec<Link> {
    let ran: Vec<Ran<'_>> = report.steps.iter().filter_map(|step| Ran::of(step, report.last_at)).collect();
    let by_id: HashMap<&StepId, &Ran<'_>> = ran.iter().map(|ran| (&ran.step.id, ran)).collect();
    let mut path = Vec::new();
    let mut next = ran.iter().max_by_key(|ran| ran.end);
    while let Some(current) = next {
        let planned = plan.step(&current.step.id);
        let needed =
            planned.into_iter().flat_map(|step| &step.needs).filter_map(|edge| by_id.get(&edge.step));
        let mut before = needed.copied().max_by_key(|ran| ran.end);
        if before.is_none() {
            // `on_failure:` and `finally:` wait for all of the sections before them.
            let earlier = ran.iter().filter(|ran| ran.step.section < current.step.section);
            before = earlier.max_by_key(|ran| ran.end);
        }
        let free_at = before.map_or(report.started_at, |before| Some(before.end));
        path.push(Link {
            step: current.step.id.clone(),
            waited_ms: between(free_at, Some(current.start)),
            took_ms: between(Some(current.start), Some(current.end)),
        });
        // A damaged journal must not send this walk in a circle.
        next = before.filter(|before| before.end <= current.start && path.len() <= ran.len());
    }
    path.reverse();
    path
}

struct Ran<'a> {
    step: &'a StepReport,
    start: Timestamp,
    end: Timestamp,
}

impl<'a> Ran<'a> {
    fn of(step: &'a StepReport, now: Option<Timestamp>) -> Option<Self> {
        Some(Self { step, start: first_start(step)?, end: last_end(step, now)? })
    }
}
