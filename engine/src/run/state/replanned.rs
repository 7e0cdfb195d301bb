//! What changes when a run goes on under another plan.

use std::collections::{BTreeSet, VecDeque};

use indexmap::IndexMap;

use super::apply::{Legal, ensure, illegal};
use super::step::StepState;
use super::{RunState, StepStatus};
use crate::id::StepId;
use crate::plan::{Plan, Section};
use crate::runbook::OnCrash;
use crate::step::Effect;

/// A plan that a run was given later, and has not come to yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Later {
    hash: String,
    steps: IndexMap<StepId, StepState>,
}

pub(super) type LaterPlans = VecDeque<Later>;

impl RunState {
    /// Makes known the plan that the run goes on under after the next `run_replanned`.
    #[must_use]
    pub fn followed_by(mut self, plan: &Plan) -> Self {
        self.later.push_back(Later { hash: plan.hash.clone(), steps: super::steps_of(plan) });
        self
    }

    /// Goes on under the next plan, in a new round. What `reused` did, or began, still counts; everything else is
    /// due again.
    pub(super) fn replan(&mut self, plan_hash: &str, reused: &[StepId]) -> Legal {
        let reused: BTreeSet<&StepId> = reused.iter().collect();
        self.check_replan(plan_hash, &reused)?;
        let Some(Later { hash, mut steps }) = self.later.pop_front() else { return Ok(()) };
        for (id, step) in &mut steps {
            if let Some(before) = self.steps.get(id) {
                step.take_over(before, reused.contains(id));
            }
        }
        self.steps = steps;
        self.outputs.retain(|id, _| reused.contains(id));
        self.plan_hash = hash;
        self.first_failure = None;
        self.cancel_requested = false;
        Ok(())
    }

    fn check_replan(&self, plan_hash: &str, reused: &BTreeSet<&StepId>) -> Legal {
        let next = self.later.front().filter(|next| next.hash == plan_hash);
        let next = next.ok_or_else(|| format!("the plan {plan_hash} is not known"))?;
        for (id, state) in &self.steps {
            ensure(state.status != StepStatus::Running, || illegal(id, state, "be planned again"))?;
        }
        for id in reused {
            let before = self.find(id)?;
            let step = next.steps.get(*id).ok_or_else(|| format!("the new plan has no step `{id}`"))?;
            ensure(step.can_reuse(before), || illegal(id, before, "be reused"))?;
            for need in step.rules.needs.iter().filter(|need| need.blocks) {
                ensure(reused.contains(&need.step) || !next.steps.contains_key(&need.step), || {
                    format!("step `{id}` can't be reused when `{}` is not", need.step)
                })?;
            }
        }
        Ok(())
    }

    /// Says whether a step's state could be carried over into a plan that has it unchanged.
    pub(in crate::run) fn can_reuse(&self, step: &StepId, continue_on_error: bool) -> bool {
        self.steps.get(step).is_some_and(|state| state.has_something_to_reuse(continue_on_error))
    }
}

impl StepState {
    fn can_reuse(&self, before: &Self) -> bool {
        self.rules.section == before.rules.section
            && before.has_something_to_reuse(self.rules.continue_on_error)
    }

    fn has_something_to_reuse(&self, continue_on_error: bool) -> bool {
        // Steps of `on_failure` and `finally` belong to their round; only what hangs in the air is kept.
        let main = self.rules.section == Section::Main;
        match self.status {
            StepStatus::Succeeded | StepStatus::Skipped => main,
            StepStatus::Failed { .. } => main && continue_on_error,
            StepStatus::InDoubt => true,
            StepStatus::Pending
            | StepStatus::AwaitingApproval
            | StepStatus::Running
            | StepStatus::WaitingRetry { .. }
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => false,
        }
    }

    /// Takes over what happened to the step under the plan before.
    fn take_over(&mut self, before: &Self, reused: bool) {
        self.attempt = before.attempt;
        if reused {
            self.status = before.status.clone();
            self.cleared = before.cleared;
            self.checkpoint.clone_from(&before.checkpoint);
        } else if before.hangs_in_the_air() {
            // Whether it is safe to run is for a look, or a person, to say.
            self.status = StepStatus::InDoubt;
            self.cleared = self.rules.effect != Effect::Destroy;
        }
        if self.status == StepStatus::InDoubt && self.rules.on_crash == OnCrash::Rerun {
            // The author's own word that this is safe.
            self.status = StepStatus::Pending;
            self.cleared = true;
        }
    }

    /// Says whether an attempt may have left a part of its effect.
    fn hangs_in_the_air(&self) -> bool {
        match self.status {
            StepStatus::InDoubt | StepStatus::Running => true,
            // Its effect is whole, and whoever planned anew has agreed to do it again.
            StepStatus::Succeeded | StepStatus::Skipped => false,
            StepStatus::Pending
            | StepStatus::AwaitingApproval
            | StepStatus::WaitingRetry { .. }
            | StepStatus::Failed { .. }
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => self.must_be_probed(),
        }
    }
}
