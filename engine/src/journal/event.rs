//! What can happen in a run.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{RunId, StepId};
use crate::step::StepError;

/// The journal's format; a reader refuses a newer one.
///
/// 1: one plan a run, and nobody asked. 2: with `approval_requested`, `step_approved`, `step_rejected`,
/// `approval_expired`, `run_waiting` and `run_replanned`.
pub const JOURNAL_FORMAT: u32 = 2;

/// One event with its place and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// From 1, without gaps.
    pub seq: u64,
    /// When it was written (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Who runs a run: enough to tell whether that process still lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunnerIdentity {
    /// Process id.
    pub pid: u32,
    /// The process's start time in clock ticks since boot (`/proc/PID/stat` field 22).
    pub started_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Host name.
    pub host: String,
    /// `rekindle`'s version.
    pub version: String,
}

/// The state of the repository that the runbook's file stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceCommit {
    /// The commit (hex) that is checked out.
    pub id: String,
    /// The runbook's file is not as in that commit.
    pub dirty: bool,
}

/// What a probe found of a step that was in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepFinding {
    /// Nothing of its effect is there.
    Absent,
    /// All of it is there.
    Complete,
    /// A part is there.
    Partial {
        /// What.
        found: String,
    },
    /// Can't tell.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// A person's decision on a step that was in flight at a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It had its effect: go on after it, without outputs.
    Done,
    /// Run it again.
    Rerun,
    /// Count it as failed.
    Fail,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step did what it should.
    Succeeded,
    /// As above, but a `continue_on_error` step failed, or `finally` did.
    SucceededWithWarnings,
    /// A step failed.
    Failed,
    /// The operator stopped it.
    Cancelled,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Always the first.
    RunStarted {
        /// [`JOURNAL_FORMAT`].
        format: u32,
        /// Which run.
        run: RunId,
        /// The hash of the plan it executes.
        plan_hash: String,
        /// The runbook's name.
        runbook: String,
        /// The runbook's version.
        runbook_version: String,
        /// The environment's name.
        environment: String,
        /// Who runs it.
        runner: RunnerIdentity,
        /// The fencing token of its group's lock; absent without a group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fence: Option<u64>,
        /// Which version of the runbook's repository, when its file stands in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<SourceCommit>,
    },
    /// Another process took the run over.
    RunResumed {
        /// Who.
        runner: RunnerIdentity,
        /// As in `run_started`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fence: Option<u64>,
    },
    /// Durable before the effect: evidence that it may have begun.
    StepStarted {
        /// Which.
        step: StepId,
        /// From 1.
        attempt: u32,
    },
    /// A place to go on from.
    StepCheckpoint {
        /// Which.
        step: StepId,
        /// The kind's own value.
        value: Value,
    },
    /// Something to tell that is no failure.
    StepWarned {
        /// Which.
        step: StepId,
        /// What.
        text: String,
    },
    /// Durable before anything that needs it.
    StepSucceeded {
        /// Which.
        step: StepId,
        /// What later steps can refer to.
        outputs: Value,
    },
    /// An attempt failed.
    StepFailed {
        /// Which.
        step: StepId,
        /// Why.
        error: StepError,
        /// When the next attempt is due, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        retry_at: Option<Timestamp>,
    },
    /// Its condition was false.
    StepSkipped {
        /// Which.
        step: StepId,
    },
    /// Something it needs failed.
    StepBlocked {
        /// Which.
        step: StepId,
        /// The nearest step to blame.
        by: StepId,
    },
    /// The operator's word reached it before it was done.
    StepCancelled {
        /// Which.
        step: StepId,
    },
    /// Looked, after a crash or before a destroy step's retry, whether its effect is there.
    StepProbed {
        /// Which.
        step: StepId,
        /// What was found.
        finding: StepFinding,
    },
    /// A person decided on a step that was in flight.
    StepResolved {
        /// Which.
        step: StepId,
        /// What.
        resolution: Resolution,
        /// Who.
        by: String,
        /// Why, in their words; may be empty.
        why: String,
    },
    /// Everything a step needs is there but people's agreement.
    ApprovalRequested {
        /// Which.
        step: StepId,
        /// How many people must agree.
        needed: u32,
        /// What it will do, with what is known now.
        what: String,
        /// When it fails if they have not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        expires_at: Option<Timestamp>,
    },
    /// A person agreed to a step.
    StepApproved {
        /// Which.
        step: StepId,
        /// Of which plan: an approval counts for the plan its giver saw, and for no other.
        plan_hash: String,
        /// Who. Each counts once.
        by: String,
        /// Why, in their words; may be empty.
        why: String,
        /// The account that gave it: `uid 1000 on db-1`. What the kernel says, where `by` is only said.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        from: String,
    },
    /// A person refused a step: it fails.
    StepRejected {
        /// Which.
        step: StepId,
        /// Of which plan.
        plan_hash: String,
        /// Who.
        by: String,
        /// Why, in their words; may be empty.
        why: String,
        /// The account that gave it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        from: String,
    },
    /// Too few people agreed in time: the step fails.
    ApprovalExpired {
        /// Which.
        step: StepId,
    },
    /// Only people's agreement is missing, and the process that drove the run let go of it.
    RunWaiting {
        /// For which steps.
        steps: Vec<StepId>,
    },
    /// The run goes on under another plan, which is stored beside the ones before.
    RunReplanned {
        /// The new plan's hash.
        plan_hash: String,
        /// Steps that are the same in both plans: what they did, or began, still counts. All others are due again.
        reused: Vec<StepId>,
        /// Who.
        by: String,
    },
    /// The operator asked to stop.
    CancelRequested {
        /// Who or what: a user name, `SIGINT`.
        by: String,
    },
    /// A decision is needed before the run can go on.
    RunPaused {
        /// On which step.
        step: StepId,
        /// The question.
        question: String,
    },
    /// Always the last.
    RunFinished {
        /// How.
        outcome: Outcome,
    },
}
