//! What a [`super::ScriptedStep`] answers, and what it remembers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use crate::id::StepId;
use crate::step::{Preflight, Probe, StepError};

/// What one run of a scripted step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Succeeds with the step's usual outputs.
    Succeed,
    /// Succeeds with these outputs.
    Outputs(Value),
    /// Fails.
    Fail(StepError),
    /// Has its effect, then fails: what a lost connection after the commit looks like.
    FailAfterEffect(StepError),
    /// Warns, then succeeds.
    Warn(String),
    /// Makes this checkpoint durable, then succeeds.
    Checkpoint(Value),
    /// Waits so long by the world's clock, or until it is cancelled, then succeeds.
    Wait(Duration),
    /// Waits until [`super::ScriptedStep::release`] or until it is cancelled, then succeeds.
    WaitForRelease,
    /// Waits until it is cancelled.
    HangUntilCancelled,
    /// Waits for ever, deaf to cancellation.
    Hang,
    /// Panics.
    Panic,
}

impl Act {
    /// Fails with an error that may pass.
    pub fn transient(message: &str) -> Self {
        Self::Fail(StepError::transient(message))
    }

    /// Fails with an error that will not pass.
    pub fn permanent(message: &str) -> Self {
        Self::Fail(StepError::permanent(message))
    }
}

/// How probes are answered.
#[derive(Default)]
pub(super) enum ProbeScript {
    /// The kind has no probe.
    #[default]
    None,
    /// Always this.
    Fixed(Probe<Value>),
    /// `Complete` when a run of that step had its effect, `Absent` otherwise.
    Truthful,
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) acts: VecDeque<Act>,
    pub(super) acts_of: BTreeMap<StepId, VecDeque<Act>>,
    pub(super) probe: ProbeScript,
    pub(super) preflight: Preflight,
    pub(super) preflight_hangs: bool,
}

impl Script {
    /// The next act: the step's own first, then the kind's, then success.
    pub(super) fn next_act(&mut self, step: &StepId) -> Act {
        let own = self.acts_of.get_mut(step).and_then(VecDeque::pop_front);
        own.or_else(|| self.acts.pop_front()).unwrap_or(Act::Succeed)
    }
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) runs: Vec<(StepId, Value)>,
    pub(super) probes: Vec<StepId>,
    pub(super) preflights: Vec<StepId>,
    pub(super) effects: BTreeMap<StepId, Value>,
    pub(super) running: usize,
    pub(super) most_running: usize,
}
