//! Where a run stands: a fold over its journal, with no IO and no clock.
//!
//! Receives a plan and, one after another, the records of a journal ([`RunState::apply`]); yields what is to be
//! done next ([`RunState::next`]). The driver that runs live and the one that resumes use the same two
//! functions, so they can't disagree.
//!
//! Rounds. A run that failed or was cancelled can be resumed: that begins a new round, in which failed, blocked
//! and cancelled steps are due again with a fresh budget, and `on_failure` and `finally` again after them. A run
//! that was merely cut off (crash, kill) goes on in the same round. Decision 0003 has the reasons.

mod apply;
mod approval;
mod commands;
mod groups;
mod replanned;
mod resumed;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;

use super::retry;
use crate::id::{RunId, StepId};
use crate::journal::{Outcome, Record, RunnerIdentity};
use crate::plan::{Plan, Section};
use crate::step::{ErrorClass, StepError};

pub use approval::Awaited;
pub use commands::Command;
use replanned::LaterPlans;
use step::StepState;
pub use step::StepStatus;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// In plan order.
    steps: IndexMap<StepId, StepState>,
    /// Plans that the run was given later, oldest first.
    later: LaterPlans,
    outputs: BTreeMap<StepId, Value>,
    plan_hash: String,
    started: Option<Started>,
    /// When the last record was written.
    last_at: Timestamp,
    cancel_requested: bool,
    paused: bool,
    /// Only people's agreement is missing, and nobody drives the run.
    waiting: bool,
    /// The first main step of this round that failed for good.
    first_failure: Option<(StepId, StepError)>,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, PartialEq)]
struct Started {
    run: RunId,
    at: Timestamp,
    runner: RunnerIdentity,
}

/// A record that can't follow the ones before it: the journal is not one of this plan, or a defect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} can't follow the ones before it: {why}")]
pub struct IllegalTransition {
    /// The record's number.
    pub seq: u64,
    /// What is wrong.
    pub why: String,
}

impl RunState {
    /// Makes the state before anything happened.
    pub fn new(plan: &Plan) -> Self {
        Self {
            steps: steps_of(plan),
            later: VecDeque::new(),
            outputs: BTreeMap::new(),
            plan_hash: plan.hash.clone(),
            started: None,
            last_at: Timestamp::MIN,
            cancel_requested: false,
            paused: false,
            waiting: false,
            first_failure: None,
            outcome: None,
        }
    }

    /// Folds the records of a run that had these plans, oldest first.
    ///
    /// # Errors
    /// When they are not those of a run of these plans.
    pub fn replay(plans: &[Arc<Plan>], records: &[Record]) -> Result<Self, IllegalTransition> {
        let none = || IllegalTransition { seq: 0, why: "the run has no plan".to_owned() };
        let (first, later) = plans.split_first().ok_or_else(none)?;
        let mut state = later.iter().fold(Self::new(first), |state, plan| state.followed_by(plan));
        records.iter().try_for_each(|record| state.apply(record))?;
        Ok(state)
    }

    /// Gives how a step stands.
    pub fn status(&self, step: &StepId) -> Option<&StepStatus> {
        self.steps.get(step).map(|state| &state.status)
    }

    /// Gives all steps in plan order.
    pub fn steps(&self) -> impl Iterator<Item = (&StepId, &StepStatus)> {
        self.steps.iter().map(|(id, state)| (id, &state.status))
    }

    /// Gives how many attempts of a step have begun, over all rounds.
    pub fn attempts(&self, step: &StepId) -> u32 {
        self.steps.get(step).map_or(0, |state| state.attempt)
    }

    /// Gives the outputs of the steps that succeeded with some.
    pub fn outputs(&self) -> &BTreeMap<StepId, Value> {
        &self.outputs
    }

    /// Gives a step's last checkpoint.
    pub fn checkpoint(&self, step: &StepId) -> Option<&Value> {
        self.steps.get(step)?.checkpoint.as_ref()
    }

    /// Gives the first failure of a main step in this round.
    pub fn first_failure(&self) -> Option<(&StepId, &StepError)> {
        self.first_failure.as_ref().map(|(step, error)| (step, error))
    }

    /// Gives which run it is, once it has started.
    pub fn run(&self) -> Option<&RunId> {
        self.started.as_ref().map(|started| &started.run)
    }

    /// Gives when it was first started.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started.as_ref().map(|started| started.at)
    }

    /// Gives who drove it last.
    pub fn runner(&self) -> Option<&RunnerIdentity> {
        self.started.as_ref().map(|started| &started.runner)
    }

    /// Says whether the operator asked to stop, in this round.
    pub fn cancel_requested(&self) -> bool {
        self.cancel_requested
    }

    /// Says whether a decision is awaited.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Says whether whoever drove it let go of it because only people's agreement is missing.
    pub fn waiting(&self) -> bool {
        self.waiting
    }

    /// Gives how it ended, when it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Gives when a failed attempt of a running step may be repeated; never for permanent errors, nor past the
    /// budget or the deadline.
    pub fn retry_at(&self, step: &StepId, error: &StepError, now: Timestamp) -> Option<Timestamp> {
        self.due(step, error, now)
            .filter(|due| self.steps.get(step).is_some_and(|state| state.is_in_time(*due)))
    }

    /// Says whether a failed attempt of a running step would be repeated if its deadline were later.
    pub fn is_out_of_time(&self, step: &StepId, error: &StepError, now: Timestamp) -> bool {
        self.due(step, error, now).is_some() && self.retry_at(step, error, now).is_none()
    }

    fn due(&self, step: &StepId, error: &StepError, now: Timestamp) -> Option<Timestamp> {
        let (state, started) = (self.steps.get(step)?, self.started.as_ref()?);
        let retry = state.rules.retry.as_ref()?;
        let failures = state.failures + 1;
        if error.class != ErrorClass::Transient || failures >= retry.attempts {
            return None;
        }
        let fraction = retry::fraction(&started.run, step, state.attempt);
        Some(retry::later(now, retry::delay(retry, failures, fraction)))
    }

    /// Gives how long an attempt of a step that starts now may take: its timeout, or what is left of its deadline.
    pub fn time_limit(&self, step: &StepId, now: Timestamp) -> Option<Duration> {
        let state = self.steps.get(step)?;
        let left = match state.deadline() {
            Some(deadline) => Some(retry::until(now, deadline)),
            None => state.rules.deadline,
        };
        match (state.rules.timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        }
    }

    fn in_section(&self, section: Section) -> impl Iterator<Item = (&StepId, &StepState)> {
        self.steps.iter().filter(move |(_, state)| state.rules.section == section)
    }

    fn main_failed(&self) -> bool {
        self.in_section(Section::Main).any(|(_, state)| state.failed_for_good())
    }

    /// Says whether a section's turn has come.
    fn is_open(&self, section: Section) -> bool {
        let main_ended = || self.in_section(Section::Main).all(|(_, state)| state.status.has_ended());
        match section {
            Section::Main => true,
            Section::OnFailure => main_ended() && self.main_failed() && !self.cancel_requested,
            Section::Finally => main_ended() && self.on_failure_is_over(),
        }
    }

    fn on_failure_is_over(&self) -> bool {
        let mut steps = self.in_section(Section::OnFailure);
        if self.main_failed() && !self.cancel_requested {
            steps.all(|(_, state)| state.status.has_ended())
        } else {
            // Not called for, or called off: only what had begun must come to its end.
            steps.all(|(_, state)| state.status.has_ended() || state.status == StepStatus::Pending)
        }
    }

    /// Gives how the run ends, when nothing is left to do.
    fn finish(&self) -> Option<Outcome> {
        let done = self.is_open(Section::Finally)
            && self.in_section(Section::Finally).all(|(_, state)| state.status.has_ended());
        done.then(|| {
            let (mut cancelled, mut warned) = (false, false);
            for state in self.steps.values() {
                cancelled |= matches!(state.status, StepStatus::Cancelled { .. });
                warned |= matches!(state.status, StepStatus::Failed { .. } | StepStatus::Blocked { .. });
            }
            match (self.main_failed(), cancelled, warned) {
                (true, _, _) => Outcome::Failed,
                (false, true, _) => Outcome::Cancelled,
                (false, false, true) => Outcome::SucceededWithWarnings,
                (false, false, false) => Outcome::Succeeded,
            }
        })
    }

    /// Gives how the run ends when it is stopped at once, as a rule before `finally`.
    pub(super) fn outcome_if_stopped(&self) -> Outcome {
        match self.finish() {
            Some(outcome) => outcome,
            None if self.main_failed() => Outcome::Failed,
            None => Outcome::Cancelled,
        }
    }
}

fn steps_of(plan: &Plan) -> IndexMap<StepId, StepState> {
    let places: BTreeMap<&StepId, Section> = plan.steps.iter().map(|step| (&step.id, step.section)).collect();
    let mut steps = plan
        .steps
        .iter()
        .map(|step| (step.id.clone(), StepState::new(step, |id| places.get(id).copied())))
        .collect();
    groups::keep_together(plan, &mut steps);
    steps
}
