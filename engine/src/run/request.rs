//! What a run needs, and how it can end.

use std::sync::Arc;
use std::time::Duration;

use super::{Approvals, Awaited, Cancellation, IllegalTransition, StepLogs};
use crate::host::World;
use crate::id::{RunId, StepId};
use crate::journal::{
    Fence, FenceError, Journal, JournalError, Outcome, Record, RunnerIdentity, SourceCommit,
};
use crate::plan::Plan;
use crate::step::{Problem, Progress, Registry, StepError};

/// Everything a run needs.
#[derive(Clone)]
pub struct RunRequest {
    /// What to do.
    pub plan: Arc<Plan>,
    /// The plans that the run had before, oldest first.
    pub earlier: Vec<Arc<Plan>>,
    /// Which run it is.
    pub run: RunId,
    /// The kinds that the plan's steps use.
    pub registry: Registry,
    /// The world.
    pub world: World,
    /// Where its events go. Whoever calls holds the run's lock.
    pub journal: Arc<dyn Journal>,
    /// Keeps it from destroying anything once its group's lock is lost.
    pub fence: Arc<dyn Fence>,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
    /// Where the steps' logs go.
    pub logs: Arc<dyn StepLogs>,
    /// Who agrees to steps that need it.
    pub approvals: Arc<dyn Approvals>,
    /// The operator's word.
    pub cancellation: Cancellation,
    /// The rest.
    pub options: RunOptions,
}

impl RunRequest {
    /// Gives all plans of the run, oldest first.
    pub(super) fn plans(&self) -> Vec<Arc<Plan>> {
        self.earlier.iter().chain([&self.plan]).cloned().collect()
    }
}

/// How a run is driven.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How many steps run at once at most; at least one does.
    pub jobs: usize,
    /// How long a step that was asked to stop may take to do so.
    pub grace: Duration,
    /// Who drives it.
    pub runner: RunnerIdentity,
    /// Which version of the runbook's repository it starts from, when its file stands in one.
    pub commit: Option<SourceCommit>,
}

impl RunOptions {
    /// The grace when nobody says otherwise.
    pub const GRACE: Duration = Duration::from_secs(10);
}

/// Watches a run. Called from the driver and from steps: it must be quick, and never block.
///
/// Everything it gets has its secrets masked.
pub trait Observer: Send + Sync {
    /// Sees an event once it is durable.
    fn record(&self, record: &Record);

    /// Sees how far a step is.
    fn progress(&self, step: &StepId, progress: &Progress);

    /// Sees a line of a step's log.
    fn log(&self, step: &StepId, line: &str);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn record(&self, _: &Record) {}

    fn progress(&self, _: &StepId, _: &Progress) {}

    fn log(&self, _: &StepId, _: &str) {}
}

/// How driving a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The run has an outcome.
    Finished {
        /// Which.
        outcome: Outcome,
        /// The first failure of a main step.
        failure: Option<(StepId, StepError)>,
    },
    /// Only people's agreement is missing, and nobody here gives it: resume it with a [`super::Verdict`].
    Waiting {
        /// To which steps.
        awaited: Vec<Awaited>,
    },
    /// The run waits for decisions: resume it with a [`super::Decision`] on each.
    Paused {
        /// What is to be decided.
        questions: Vec<Question>,
    },
}

/// A step on which a person must decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Which.
    pub step: StepId,
    /// What is known of it.
    pub question: String,
}

/// Why a run could not be driven to an end. What was journaled stays true: it can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal can't be written or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The lock of its group is lost, so it stopped where it was.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The journal does not belong to this plan, or is no possible one.
    #[error("the journal can't be that of this plan: {0}")]
    Replay(IllegalTransition),
    /// The driver itself made an impossible move.
    #[error("rekindle made a move that can't be: {0}")]
    Defect(IllegalTransition),
    /// The plan is not ready to run.
    #[error("the plan has steps that were to run while planning: {}", list(steps))]
    NotPlanned {
        /// Which.
        steps: Vec<StepId>,
    },
    /// The plan needs a kind that this program does not have.
    #[error("step `{step}` uses `{kind}`, which this version of rekindle does not know")]
    UnknownKind {
        /// Which step.
        step: StepId,
        /// Which kind.
        kind: String,
    },
    /// The plan needs a kind that is registered and can't be used.
    #[error("step `{step}` uses `{kind}`, which can't be used: {} ({})", problem.message, problem.code)]
    RefusedKind {
        /// Which step.
        step: StepId,
        /// Which kind.
        kind: String,
        /// Why not.
        problem: Box<Problem>,
    },
    /// `execute` was called for a run that has events already.
    #[error("the run {0} has been started already")]
    AlreadyStarted(RunId),
    /// There is nothing left to resume.
    #[error("the run {run} has finished already: {}", describe(*outcome))]
    AlreadyFinished {
        /// Which.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// A run that was never started has nothing to plan again.
    #[error("the run {0} was never started")]
    NeverStarted(RunId),
    /// Steps were under way, and the new plan changes them or has them no more.
    #[error(
        "{} under way when the run was cut off, and the new plan does not go on with {}",
        were(steps), if steps.len() == 1 { "it" } else { "them" }
    )]
    Undecided {
        /// Which.
        steps: Vec<StepId>,
    },
    /// What was agreed to is not what would be done any more.
    #[error("the run {0} has changed since its new plan was looked at")]
    Outdated(RunId),
    /// The process that drives the run still lives.
    #[error("the run {run} is still driven by pid {} on host {}", runner.pid, runner.host)]
    StillRunning {
        /// Which.
        run: RunId,
        /// By whom.
        runner: RunnerIdentity,
    },
    /// A decision on a step that needs none.
    #[error("nothing is to be decided on step `{step}`: {why}")]
    NothingToDecide {
        /// Which.
        step: StepId,
        /// Why not.
        why: String,
    },
    /// An answer to a question that is not open.
    #[error("the answer on step `{step}` can't be taken: {why}")]
    NotAwaited {
        /// Which.
        step: StepId,
        /// Why not.
        why: String,
    },
    /// No step can start, and none is running: the plan's needs go in a circle.
    #[error("the run is stuck: these steps wait for each other: {}", list(steps))]
    Stuck {
        /// Which.
        steps: Vec<StepId>,
    },
}

impl RunError {
    /// Says what to do, when there is something.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Journal(error) => error.help(),
            Self::Fence(error) => Some(error.help()),
            Self::NotPlanned { .. } => Some("plan again, with the servers and stores within reach"),
            Self::RefusedKind { problem, .. } => problem.help.as_deref(),
            Self::UnknownKind { .. } => Some("use the version that made the plan"),
            Self::AlreadyStarted(_) => Some("resume it"),
            Self::AlreadyFinished { .. } => Some("start a new run"),
            Self::Outdated(_) => Some("look again: nothing was changed"),
            Self::NeverStarted(_) => Some("resume it without --replan, or start a new run"),
            Self::Undecided { .. } => Some(
                "look what they left, then say so with `--resolve STEP=done|rerun|fail` on each, or finish them \
                 first by resuming without --replan",
            ),
            Self::StillRunning { .. } => Some("wait for it, or cancel it first"),
            Self::NotAwaited { .. } => Some("`rekindle runs show RUN` says what the run waits for"),
            Self::NothingToDecide { .. } => Some("resume without a decision on it"),
            Self::Replay(_) | Self::Defect(_) | Self::Stuck { .. } => None,
        }
    }
}

fn were(steps: &[StepId]) -> String {
    match steps {
        [step] => format!("step `{step}` was"),
        steps => format!("the steps {} were", list(steps)),
    }
}

fn list(steps: &[StepId]) -> String {
    steps.iter().map(StepId::as_str).collect::<Vec<_>>().join(", ")
}

fn describe(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::SucceededWithWarnings => "succeeded with warnings",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}
