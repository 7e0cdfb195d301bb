//! What is told beside a plan, and is no part of it.

use super::{Plan, PlanStep};
use crate::estimate::Estimates;
use crate::preview::Preview;

/// What is told beside a plan: it may differ each time one looks, so neither the plan nor its hash holds it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// What was found while looking at the world.
    pub preview: Option<&'a Preview>,
    /// How long it will take.
    pub estimates: Option<&'a Estimates>,
}

impl Plan {
    /// Tells whether somebody has to approve a step before it starts.
    pub fn waits_for_approval(&self, step: &PlanStep) -> bool {
        !step.skipped && self.settings.policy.approve.contains(&step.effect)
    }
}
