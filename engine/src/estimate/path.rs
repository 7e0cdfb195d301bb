//! The longest path through a plan.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{LongestPath, StepEstimate};
use crate::id::StepId;
use crate::plan::{Plan, PlanStep, Section};

/// When a step is done at the earliest, and the step that decides that.
struct Done<'p> {
    at_ms: u64,
    after: Option<&'p StepId>,
}

/// Finds the chain of steps of `steps:` that takes longest; steps without an estimate take no time.
///
/// `max_parallel` counts: of five instances of which two run at once, three follow each other. The limit on
/// steps of the whole run does not: it belongs to `run`, not to the plan.
pub(super) fn longest(plan: &Plan, estimates: &IndexMap<StepId, StepEstimate>) -> Option<LongestPath> {
    // Skipped steps take no time, but what needs them still waits for what they need.
    let order: Vec<&PlanStep> = plan.ordered(Section::Main);
    let mut done: HashMap<&StepId, Done<'_>> = HashMap::new();
    let mut instances: HashMap<&StepId, Vec<&StepId>> = HashMap::new();
    for step in &order {
        let before = instances.entry(&step.definition).or_default();
        let at_once = step.max_parallel.and_then(|most| usize::try_from(most.max(1)).ok());
        let turn = at_once.and_then(|most| before.len().checked_sub(most)).map(|at| before[at]);
        before.push(&step.id);
        let needs = step.needs.iter().map(|edge| &edge.step).chain(turn);
        let after = needs.filter_map(|id| Some((id, done.get(id)?.at_ms))).fold(
            None::<(&StepId, u64)>,
            // Not `max_by_key`: of equal ones the first counts, so that plan order decides.
            |latest, next| latest.filter(|latest| latest.1 >= next.1).or(Some(next)),
        );
        let own_ms = estimates.get(&step.id).map_or(0, |estimate| estimate.typical_ms);
        let at_ms = after.map_or(0, |(_, at_ms)| at_ms) + own_ms;
        done.insert(&step.id, Done { at_ms, after: after.map(|(id, _)| id) });
    }
    let latest = done.values().map(|done| done.at_ms).max().filter(|_| !estimates.is_empty())?;
    let mut next = order.iter().map(|step| &step.id).find(|id| done[id].at_ms == latest);
    let mut steps = Vec::new();
    while let Some(id) = next {
        steps.push(id.clone());
        next = done.get(id).and_then(|done| done.after);
    }
    steps.reverse();
    Some(LongestPath { steps, typical_ms: latest })
}
