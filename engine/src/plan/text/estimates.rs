//! How long a plan will take, as text.

use super::Page;
use crate::estimate::{Estimates, LongestPath, StepEstimate};
use crate::plan::Plan;
use crate::plan::style::{Paint, printable};
use crate::report::duration;

impl Page {
    /// The longest path against the objective, and what it does not count.
    pub(super) fn estimates(&mut self, plan: &Plan, estimates: &Estimates) {
        let rto = estimates.rto_ms.map(duration);
        let Some(path) = &estimates.longest_path else {
            if let Some(rto) = rto {
                let line =
                    format!("RTO {rto}: no step has run here before, so nothing tells how long it takes");
                self.quiet(0, &line);
            }
            return;
        };
        let of = rto.as_ref().map_or_else(String::new, |rto| format!(" of RTO {rto}"));
        let steps = printable(&chain(plan, estimates, path));
        self.line(0, &format!("longest path ≈ {}{of}: {steps}", duration(path.typical_ms)));
        if let (Some(over_ms), Some(rto)) = (estimates.rto_missed_by_ms(), rto) {
            let line = format!("warning: would miss the RTO of {rto} by {}", duration(over_ms));
            let line = self.style.paint(Paint::Bad, &line);
            self.line(0, &line);
        }
        for line in not_counted(estimates) {
            self.quiet(0, &line);
        }
    }
}

/// `≈ 2m 10s, the median of 6 attempts in 5 runs`.
pub(super) fn of_step(estimate: StepEstimate) -> String {
    let StepEstimate { typical_ms, attempts, runs } = estimate;
    let times = match (attempts, runs) {
        (1, _) => "in 1 run".to_owned(),
        (_, 1) => format!("the median of {attempts} attempts in 1 run"),
        _ if attempts == runs => format!("the median of {runs} runs"),
        _ => format!("the median of {attempts} attempts in {runs} runs"),
    };
    format!("≈ {}, {times}", duration(typical_ms))
}

/// `restore → reseed ×3 → verify`: what is counted, instances that follow each other in one word.
fn chain(plan: &Plan, estimates: &Estimates, path: &LongestPath) -> String {
    let mut links: Vec<(&str, &str, usize)> = Vec::new();
    for id in path.steps.iter().filter(|id| estimates.steps.contains_key(*id)) {
        let definition = plan.step(id).map_or(id.as_str(), |step| step.definition.as_str());
        match links.last_mut() {
            Some((last, _, count)) if *last == definition => *count += 1,
            Some(_) | None => links.push((definition, id.as_str(), 1)),
        }
    }
    let words =
        links.into_iter().map(
            |(definition, id, count)| {
                if count == 1 { id.to_owned() } else { format!("{definition} ×{count}") }
            },
        );
    words.collect::<Vec<_>>().join(" → ")
}

fn not_counted(estimates: &Estimates) -> Vec<String> {
    let mut lines = Vec::new();
    if !estimates.never_run.is_empty() {
        let (few, all) = (estimates.never_run.len(), estimates.steps_in_all);
        let verb = if few == 1 { "has" } else { "have" };
        lines.push(format!("{few} of {all} steps {verb} never run: not counted"));
    }
    if estimates.waits_for_approval {
        lines.push("waiting for approvals is not counted".to_owned());
    }
    lines
}
