//! A fold over the journals of earlier runs.

use std::collections::HashMap;

use super::StepEstimate;
use crate::id::StepId;
use crate::journal::Record;
use crate::plan::Plan;
use crate::report::{AttemptEnd, report};

/// How many attempts of a step are looked at: older ones say less about the size of today's data.
const ATTEMPTS_LIMIT: usize = 20;

/// What the steps of earlier runs took.
#[derive(Debug, Clone, Default)]
pub struct History {
    runs: usize,
    /// By definition (all instances of a `for_each` share one) and kind: a step that now is of another kind has
    /// never run.
    steps: HashMap<(StepId, String), Took>,
}

#[derive(Debug, Clone, Default)]
struct Took {
    runs: usize,
    attempts_ms: Vec<u64>,
}

impl History {
    /// Adds a run. Runs are given newest first: of each step the first attempts are kept.
    pub fn learn(&mut self, plan: &Plan, records: &[Record]) {
        self.runs += 1;
        let mut seen: Vec<(StepId, String)> = Vec::new();
        for step in report(plan, records).steps {
            let Some(planned) = plan.step(&step.id) else { continue };
            let key = (planned.definition.clone(), planned.kind.clone());
            let took = self.steps.entry(key.clone()).or_default();
            for attempt in step.attempts.iter().filter(|attempt| attempt.end == AttemptEnd::Succeeded) {
                let Some(ended_at) = attempt.ended_at else { continue };
                if took.attempts_ms.len() == ATTEMPTS_LIMIT {
                    break;
                }
                // A clock that went back says nothing about how long it took.
                let Ok(ms) = u64::try_from(ended_at.duration_since(attempt.started_at).as_millis()) else {
                    continue;
                };
                took.attempts_ms.push(ms);
                if !seen.contains(&key) {
                    seen.push(key.clone());
                    took.runs += 1;
                }
            }
        }
    }

    /// Gives how many runs were added.
    pub fn runs(&self) -> usize {
        self.runs
    }

    pub(super) fn of(&self, definition: &StepId, kind: &str) -> Option<StepEstimate> {
        let took = self.steps.get(&(definition.clone(), kind.to_owned()))?;
        Some(StepEstimate {
            typical_ms: median(&took.attempts_ms)?,
            attempts: took.attempts_ms.len(),
            runs: took.runs,
        })
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(lower + (upper - lower) / 2)
}
