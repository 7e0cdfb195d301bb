//! What changes when another process takes a run over.

use jiff::{SignedDuration, Timestamp};

use super::step::StepState;
use super::{RunState, StepStatus};
use crate::plan::Section;
use crate::step::Effect;

impl RunState {
    /// Goes on in the same round after a crash; begins a new one after an end or a cancellation.
    pub(super) fn resume(&mut self, at: Timestamp) {
        let new_round = self.outcome.is_some() || self.cancel_requested;
        let idle = at.duration_since(self.last_at);
        for (id, state) in &mut self.steps {
            // Its process is gone. What it did is not known, nor what an earlier look found is still true.
            if state.status == StepStatus::Running {
                state.status = StepStatus::InDoubt;
            }
            state.found = None;
            if !new_round {
                state.stand_still_for(idle);
            } else if state.rules.section == Section::Main {
                state.renew();
            } else if state.status != StepStatus::InDoubt {
                state.reset();
                self.outputs.remove(id);
            }
        }
        self.paused = false;
        self.waiting = false;
        if new_round {
            self.outcome = None;
            self.cancel_requested = false;
            self.first_failure = None;
        }
    }
}

impl StepState {
    /// Moves the deadline by the time nobody drove the run: the rest of the budget is kept.
    fn stand_still_for(&mut self, idle: SignedDuration) {
        if idle.is_positive() {
            self.began_at = self.began_at.and_then(|began| began.checked_add(idle).ok());
        }
    }

    /// Makes a main step due again with a new budget, unless it is done with.
    fn renew(&mut self) {
        let destroys = self.rules.effect == Effect::Destroy;
        let status = match &self.status {
            // Its dependents took the failure as a warning and went on.
            StepStatus::Failed { .. } if self.rules.continue_on_error => return,
            StepStatus::Succeeded | StepStatus::Skipped => return,
            // Stopped half way, or failed in a way that destroys: running it again must be shown to be safe.
            StepStatus::Cancelled { in_flight: true } | StepStatus::InDoubt => StepStatus::InDoubt,
            StepStatus::Failed { .. } | StepStatus::WaitingRetry { .. } | StepStatus::Cancelled { .. }
                if destroys && self.attempt > 0 && !self.cleared =>
            {
                StepStatus::InDoubt
            }
            // What people refused, or had no time for, they are asked anew.
            StepStatus::Pending
            | StepStatus::AwaitingApproval
            | StepStatus::Running
            | StepStatus::WaitingRetry { .. }
            | StepStatus::Failed { .. }
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { in_flight: false } => StepStatus::Pending,
        };
        self.status = status;
        self.request = None;
        self.failures = 0;
        self.began_at = None;
    }

    /// Makes a step of `on_failure` or `finally` as if it had never run, but for the count of its attempts.
    fn reset(&mut self) {
        self.status = StepStatus::Pending;
        self.request = None;
        self.failures = 0;
        self.began_at = None;
        self.cleared = true;
        self.checkpoint = None;
    }
}
