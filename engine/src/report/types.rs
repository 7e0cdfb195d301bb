//! The parts of a report. Written as JSON for programs: additive within one [`REPORT_FORMAT`].

use jiff::Timestamp;
use serde::Serialize;

use crate::id::{RunId, StepId};
use crate::journal::{Outcome, Resolution, StepFinding};
use crate::plan::Section;
use crate::run::Answer;
use crate::step::{Effect, StepError};

/// The report's format as JSON.
pub const REPORT_FORMAT: u32 = 1;

/// What a run did. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// Which run; absent when its journal is empty.
    pub run: Option<RunId>,
    /// The runbook's name.
    pub runbook: String,
    /// The runbook's version.
    pub runbook_version: String,
    /// The environment's name.
    pub environment: String,
    /// The hash of the plan, the last one if there were several.
    pub plan_hash: String,
    /// How it ended; absent when it has not.
    pub outcome: Option<Outcome>,
    /// Every step of `steps:` has ended well, or may fail. A report written by a step of `finally:` has no
    /// outcome yet, but this.
    pub steps_done: bool,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or its last sign of life.
    pub last_at: Option<Timestamp>,
    /// From the start to `last_at`, time without a runner included.
    pub total_ms: u64,
    /// Time without a runner.
    pub downtime_ms: u64,
    /// All attempts together: more than `total_ms` where steps ran side by side.
    pub busy_ms: u64,
    /// How many steps ran at once at most.
    pub most_at_once: usize,
    /// Every time another process took the run over.
    pub resumptions: Vec<Resumption>,
    /// Every time it went on under another plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replans: Vec<Replanning>,
    /// Who asked to stop.
    pub cancelled_by: Option<String>,
    /// The question the run waits for, when it does.
    pub question: Option<String>,
    /// What people decided on steps that were in flight.
    pub decisions: Vec<Decision>,
    /// Every step: those that ran in the order of their start, then the others in plan order.
    pub steps: Vec<StepReport>,
    /// The chain of steps that took the whole time: making one of these faster makes the run faster.
    pub critical_path: Vec<Link>,
    /// Whether the promises were kept; absent when the run recovered nothing.
    pub objectives: Option<Objectives>,
}

/// A gap between two processes that executed the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resumption {
    /// The last sign of life of the process before.
    pub lost_at: Timestamp,
    /// When the next one took over.
    pub resumed_at: Timestamp,
    /// The time between.
    pub downtime_ms: u64,
    /// Whether the run had paused for a decision, so that nothing was lost.
    pub paused: bool,
}

/// A change to another plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replanning {
    /// The new plan's hash.
    pub plan_hash: String,
    /// Steps whose work counted under it too.
    pub reused: Vec<StepId>,
    /// Who planned anew.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A person's word on a step that was in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which.
    pub step: StepId,
    /// What.
    pub resolution: Resolution,
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It ran before the run: its result is fixed in the plan.
    FoundWhilePlanning,
    /// Not yet, or never.
    NotStarted,
    /// An attempt is going on.
    Running,
    /// It could start, and waits for people to agree.
    WaitingForApproval,
    /// An attempt failed and the next one is due.
    WaitingToRetry,
    /// Its process died in the middle of it.
    Interrupted,
    /// It did what it should.
    Succeeded,
    /// It failed for good.
    Failed,
    /// Its condition was false.
    Skipped,
    /// Something it needs failed.
    Blocked,
    /// The operator stopped it.
    Cancelled,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Which.
    pub id: StepId,
    /// Its kind.
    pub kind: String,
    /// Which list it stands in.
    pub section: Section,
    /// What it may do.
    pub effect: Effect,
    /// Where it stands.
    pub status: StepStatus,
    /// The nearest step to blame when it is blocked.
    pub blocked_by: Option<StepId>,
    /// Who was asked to agree before it ran; absent when nobody was.
    pub approval: Option<Approval>,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
    /// From its first start to its last end, waits included.
    pub took_ms: u64,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// How many checkpoints it made.
    pub checkpoints: usize,
    /// What probes found, in order.
    pub probes: Vec<StepFinding>,
}

/// People's agreement to a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// How many must agree.
    pub needed: u32,
    /// What they were told that it will do.
    pub what: String,
    /// When they were asked; the last time, when it was several.
    pub requested_at: Timestamp,
    /// Until when they are waited for.
    pub expires_at: Option<Timestamp>,
    /// Whether that time went by.
    pub expired: bool,
    /// What they said, in order, over all questions. A person counts once.
    pub answers: Vec<Said>,
    /// How many of the answers were to earlier questions.
    #[serde(skip)]
    pub(super) earlier: usize,
}

/// What one person said to a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Yes or no.
    pub answer: Answer,
    /// Who.
    pub by: String,
    /// The account that said it: `uid 1000 on db-1`.
    pub from: String,
    /// Why; may be empty.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; the last sign of life when its process died; absent while it goes on.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: AttemptEnd,
    /// Why it failed.
    pub error: Option<StepError>,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// It goes on.
    Running,
    /// Well.
    Succeeded,
    /// With an error.
    Failed,
    /// By the operator's word.
    Cancelled,
    /// With the death of its process.
    Interrupted,
}

/// One step of the critical path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Which.
    pub step: StepId,
    /// How long it waited after what it needs had ended (for a free job, say).
    pub waited_ms: u64,
    /// From its first start to its last end.
    pub took_ms: u64,
}

/// Whether the promises were kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// From the start of the run to its good end, against `objectives.rto`.
    pub recovery_time: Measured,
    /// How much time's data was lost, against `objectives.rpo`: from the newest `recovery_point` among the
    /// outputs to the start of the run.
    pub recovery_point: Measured,
}

/// A measure and what was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// What it came to; absent when it is not known (yet).
    pub achieved_ms: Option<u64>,
    /// What was promised.
    pub promised_ms: Option<u64>,
    /// How they compare.
    pub verdict: Verdict,
}

/// How a measure compares with the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Kept.
    Met,
    /// Not kept.
    Missed,
    /// Not decided yet.
    Open,
    /// Nothing was promised.
    NoObjective,
    /// It can't be told: no step says what point it recovered.
    Unknown,
}
