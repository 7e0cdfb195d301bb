//! How long a plan will take: receives what earlier runs of the same runbook in the same environment took, and
//! yields an estimate for every step, and the longest path through them.
//!
//! Told beside a plan, never part of it: what is approved does not change because another run has ended.

mod earlier;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod path;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use serde::Serialize;

use crate::id::StepId;
use crate::plan::{Plan, PlanStep, Section};

pub use earlier::earlier;
pub use history::History;

/// How long the steps of a plan will take, as far as earlier runs tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Estimates {
    /// How many earlier runs of this runbook in this environment were looked at.
    pub runs: usize,
    /// Every step that has an estimate, in plan order.
    pub steps: IndexMap<StepId, StepEstimate>,
    /// The steps of `steps:` that will run and have none: they count as if they took no time.
    pub never_run: Vec<StepId>,
    /// How many steps of `steps:` will run.
    pub steps_in_all: usize,
    /// The chain of steps that takes longest; absent when no step has an estimate.
    pub longest_path: Option<LongestPath>,
    /// The recovery time objective in milliseconds; absent when the plan recovers nothing, or none is set.
    pub rto_ms: Option<u64>,
    /// Whether somebody must approve a step: the wait for that is not counted.
    pub waits_for_approval: bool,
}

/// How long one step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepEstimate {
    /// The median of its successful attempts, and of those of the other instances of its `for_each`.
    pub typical_ms: u64,
    /// How many attempts that is the median of.
    pub attempts: usize,
    /// How many runs they are from.
    pub runs: usize,
}

/// The chain of steps that takes longest: the plan can't be done sooner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongestPath {
    /// Its steps, in order; one without an estimate counts as if it took no time.
    pub steps: Vec<StepId>,
    /// How long all of them take.
    pub typical_ms: u64,
}

impl Estimates {
    /// Gives by how many milliseconds the longest path misses the objective; none when it keeps it, or when
    /// there is nothing to compare.
    pub fn rto_missed_by_ms(&self) -> Option<u64> {
        let path = self.longest_path.as_ref()?;
        path.typical_ms.checked_sub(self.rto_ms?).filter(|over| *over > 0)
    }

    /// Tells whether a step is on the longest path.
    pub fn is_on_longest_path(&self, step: &StepId) -> bool {
        self.longest_path.as_ref().is_some_and(|path| path.steps.contains(step))
    }

    /// Tells whether the longest path goes from one step straight to the other.
    pub fn leads_from_to(&self, from: &StepId, to: &StepId) -> bool {
        let path = self.longest_path.as_ref();
        path.is_some_and(|path| path.steps.windows(2).any(|pair| pair[0] == *from && pair[1] == *to))
    }
}

/// Estimates a plan. Pure.
pub fn estimate(plan: &Plan, history: &History) -> Estimates {
    let mut steps = IndexMap::new();
    for step in plan.steps.iter().filter(|step| !step.skipped) {
        if let Some(estimate) = history.of(&step.definition, &step.kind) {
            steps.insert(step.id.clone(), estimate);
        }
    }
    let counted: Vec<&PlanStep> =
        plan.steps.iter().filter(|step| step.section == Section::Main && !step.skipped).collect();
    let never_run =
        counted.iter().filter(|step| !steps.contains_key(&step.id)).map(|step| step.id.clone()).collect();
    Estimates {
        runs: history.runs(),
        longest_path: path::longest(plan, &steps),
        never_run,
        steps_in_all: counted.len(),
        rto_ms: rto_ms(plan, &counted),
        waits_for_approval: plan.steps.iter().any(|step| step.approval.is_some()),
        steps,
    }
}

/// The objective is about recoveries: plans that replace data by what a plan-phase step has found.
fn rto_ms(plan: &Plan, counted: &[&PlanStep]) -> Option<u64> {
    let replaces = counted.iter().any(|step| step.effect == crate::step::Effect::Destroy);
    let recovers = plan.pinned.iter().any(|step| step.outputs.get("recovery_point").is_some());
    let rto = plan.settings.objectives.as_ref()?.rto?;
    (replaces && recovers).then(|| u64::try_from(rto.0.as_millis()).unwrap_or(u64::MAX))
}
