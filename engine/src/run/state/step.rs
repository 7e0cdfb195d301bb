//! One step inside a [`super::RunState`].

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::approval::Request;
use super::retry;
use crate::id::StepId;
use crate::journal::StepFinding;
use crate::plan::{ApprovalRule, EdgeReason, PlanStep, Section};
use crate::runbook::{OnCrash, Retry};
use crate::step::{Effect, StepError};

/// How a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepStatus {
    /// It has not begun, or is due again in a new round.
    Pending,
    /// It could start, and waits for people to agree.
    AwaitingApproval,
    /// An attempt goes on.
    Running,
    /// An attempt failed, and the next one is due at a time.
    WaitingRetry {
        /// When.
        at: Timestamp,
        /// Why the last one failed.
        error: StepError,
    },
    /// It had its effect.
    Succeeded,
    /// It failed for good.
    Failed {
        /// Why.
        error: StepError,
    },
    /// Its condition was false.
    Skipped,
    /// Something it needs failed.
    Blocked {
        /// The step to blame.
        by: StepId,
    },
    /// The operator's word reached it before it was done.
    Cancelled {
        /// Whether it had begun, so that its effect may be there in part.
        in_flight: bool,
    },
    /// An attempt began, and nobody knows how it ended.
    InDoubt,
}

impl StepStatus {
    /// Says whether nothing more happens to it in this round.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Succeeded
            | Self::Failed { .. }
            | Self::Skipped
            | Self::Blocked { .. }
            | Self::Cancelled { .. } => true,
            Self::Pending
            | Self::AwaitingApproval
            | Self::Running
            | Self::WaitingRetry { .. }
            | Self::InDoubt => false,
        }
    }

    /// Gives a word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::AwaitingApproval => "waiting for approval",
            Self::Running => "running",
            Self::WaitingRetry { .. } => "waiting for its next attempt",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Skipped => "skipped",
            Self::Blocked { .. } => "blocked",
            Self::Cancelled { .. } => "cancelled",
            Self::InDoubt => "in doubt",
        }
    }
}

/// What the plan says of a step, as far as the state machine needs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rules {
    pub(super) section: Section,
    pub(super) definition: StepId,
    pub(super) needs: Vec<Need>,
    pub(super) effect: Effect,
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) max_parallel: Option<usize>,
    pub(super) continue_on_error: bool,
    pub(super) on_crash: OnCrash,
    pub(super) skipped: bool,
    pub(super) approval: Option<ApprovalRule>,
}

/// A step that must end first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) step: StepId,
    /// Whether its failure blocks. Not for the order of `on_failure` and `finally`: cleaning up goes on.
    pub(super) blocks: bool,
}

/// A step, and what happened to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepState {
    pub(super) rules: Rules,
    pub(super) status: StepStatus,
    /// The last attempt that began, over all rounds.
    pub(super) attempt: u32,
    /// Attempts that failed in this round: only they use up the retry budget, an attempt cut by a crash does not.
    pub(super) failures: u32,
    /// When its first attempt in this round began; moved on by the time nobody drove the run.
    pub(super) began_at: Option<Timestamp>,
    /// What was found when somebody last looked, since its last attempt.
    pub(super) found: Option<StepFinding>,
    /// Whether a destroy step may be tried again: something has shown that nothing happened.
    pub(super) cleared: bool,
    pub(super) checkpoint: Option<Value>,
    /// Whether enough people have agreed. That holds for the whole run: it is of this plan and no other.
    pub(super) approved: bool,
    /// The question that is open, while it waits for them.
    pub(super) request: Option<Request>,
}

impl StepState {
    pub(super) fn new(step: &PlanStep, section_of: impl Fn(&StepId) -> Option<Section>) -> Self {
        let needs = step
            .needs
            .iter()
            .map(|edge| Need {
                step: edge.step.clone(),
                blocks: match edge.reason {
                    EdgeReason::Declared | EdgeReason::Inferred { .. } => {
                        section_of(&edge.step) == Some(step.section)
                    }
                    EdgeReason::Order => false,
                },
            })
            .collect();
        let rules = Rules {
            section: step.section,
            definition: step.definition.clone(),
            needs,
            effect: step.effect,
            retry: step.retry.clone(),
            timeout: step.timeout.map(|timeout| timeout.0),
            deadline: step.deadline.map(|deadline| deadline.0),
            max_parallel: step.max_parallel.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            continue_on_error: step.continue_on_error,
            on_crash: step.on_crash,
            skipped: step.skipped,
            approval: step.approval,
        };
        Self {
            rules,
            status: StepStatus::Pending,
            attempt: 0,
            failures: 0,
            began_at: None,
            found: None,
            cleared: true,
            checkpoint: None,
            approved: false,
            request: None,
        }
    }

    /// Says whether it makes the run fail, and blocks what needs it.
    pub(super) fn failed_for_good(&self) -> bool {
        matches!(self.status, StepStatus::Failed { .. }) && !self.rules.continue_on_error
    }

    /// Says whether somebody must look before it is tried again.
    pub(super) fn must_be_probed(&self) -> bool {
        self.rules.effect == Effect::Destroy && !self.cleared
    }

    /// Gives when all its attempts and waits must be over, once it has begun.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        Some(retry::later(self.began_at?, self.rules.deadline?))
    }

    /// Says whether an attempt may begin then.
    pub(super) fn is_in_time(&self, at: Timestamp) -> bool {
        self.deadline().is_none_or(|deadline| at < deadline)
    }

    /// Says whether a cancellation ends it at once: it has not begun, or nothing of it runs now.
    pub(super) fn can_be_called_off(&self) -> bool {
        match self.status {
            // Steps of `on_failure` that have not begun are just not called for.
            StepStatus::Pending => match self.rules.section {
                Section::Main => true,
                Section::OnFailure => false,
                // Nobody is asked any more.
                Section::Finally => self.must_be_approved(),
            },
            StepStatus::AwaitingApproval | StepStatus::WaitingRetry { .. } | StepStatus::InDoubt => true,
            StepStatus::Running
            | StepStatus::Succeeded
            | StepStatus::Failed { .. }
            | StepStatus::Skipped
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => false,
        }
    }
}
