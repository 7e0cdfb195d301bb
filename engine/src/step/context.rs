//! What a step gets from the driver.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{StepError, opening};
use crate::environment::{SecretRef, Settings, Target};
use crate::host::{ObjectStore, Secret, World};
use crate::id::{RunId, StepId, StoreName, TargetName};
use crate::journal::Record;
use crate::report::Report;

/// How far a step is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done so far.
    pub bytes: u64,
    /// Bytes in all, when known.
    pub total_bytes: Option<u64>,
    /// A word on what is being done now: `table shop.orders`.
    pub note: String,
}

/// Where a step's words go. The driver masks secrets before anything leaves it.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// Shows progress; also counts as a sign of life. Not kept.
    fn progress(&self, step: &StepId, progress: Progress);

    /// Shows a line of the step's log. Kept beside the journal.
    fn log(&self, step: &StepId, line: &str);

    /// Records a warning in the journal.
    fn warn(&self, step: &StepId, text: &str);

    /// Makes a checkpoint durable before it returns.
    async fn checkpoint(&self, step: &StepId, value: Value) -> Result<(), StepError>;

    /// Gives the journal so far.
    fn history(&self) -> Vec<Record>;

    /// Gives the report of the run so far; none where there is no run, as in a preflight.
    fn report(&self) -> Option<Report> {
        None
    }
}

/// What is needed to make a [`StepContext`].
pub struct StepContextParts {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The environment's settings, as the plan keeps them.
    pub settings: Arc<Settings>,
    /// The world.
    pub world: World,
    /// Where words go.
    pub reporter: Arc<dyn Reporter>,
    /// Becomes true when the step should stop.
    pub cancel: CancellationToken,
    /// The last checkpoint of this step in this run, from an earlier attempt or before a crash.
    pub checkpoint: Option<Value>,
}

/// A step's only way to the world and to the driver.
pub struct StepContext {
    parts: StepContextParts,
}

impl StepContext {
    /// Makes one; done by the driver and by tests.
    pub fn new(parts: StepContextParts) -> Self {
        Self { parts }
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.parts.run
    }

    /// The step.
    pub fn step(&self) -> &StepId {
        &self.parts.step
    }

    /// Which try this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.parts.attempt
    }

    /// The environment's settings.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.parts.world
    }

    /// Finds a target. The compiler has checked that it exists when its name was known then.
    pub fn target(&self, name: &TargetName) -> Result<&Target, StepError> {
        self.parts.settings.targets.get(name).ok_or_else(|| {
            StepError::permanent(format!("the environment has no target `{name}`"))
                .help("declare it under `targets:` in the environment")
        })
    }

    /// Opens a store.
    pub async fn store(&self, name: &StoreName) -> Result<Arc<dyn ObjectStore>, StepError> {
        opening::open_store(&self.parts.world, &self.parts.settings, name).await
    }

    /// Reads a secret now. Its value is masked everywhere from here on.
    pub async fn secret(&self, reference: &SecretRef) -> Result<Secret, StepError> {
        opening::read_secret(&self.parts.world, &self.parts.settings, reference).await
    }

    /// Shows progress.
    pub fn progress(&self, progress: Progress) {
        self.parts.reporter.progress(&self.parts.step, progress);
    }

    /// Shows a line.
    pub fn log(&self, line: &str) {
        self.parts.reporter.log(&self.parts.step, line);
    }

    /// Records a warning.
    pub fn warn(&self, text: &str) {
        self.parts.reporter.warn(&self.parts.step, text);
    }

    /// Makes a checkpoint durable; a later attempt or a resumed run finds it in [`StepContext::last_checkpoint`].
    pub async fn checkpoint(&self, value: Value) -> Result<(), StepError> {
        self.parts.reporter.checkpoint(&self.parts.step, value).await
    }

    /// Gives the last checkpoint of this step in this run.
    pub fn last_checkpoint(&self) -> Option<&Value> {
        self.parts.checkpoint.as_ref()
    }

    /// Becomes true when the step should stop: it then ends its children and returns
    /// [`StepError::cancelled`].
    pub fn cancel(&self) -> &CancellationToken {
        &self.parts.cancel
    }

    /// Gives the journal so far.
    pub fn history(&self) -> Vec<Record> {
        self.parts.reporter.history()
    }

    /// Gives the report of the run so far; none where there is no run, as in a preflight.
    pub fn report(&self) -> Option<Report> {
        self.parts.reporter.report()
    }

    /// Gives where progress and logs go, for threads that outlive a borrow of this context.
    pub fn reporter(&self) -> Arc<dyn Reporter> {
        Arc::clone(&self.parts.reporter)
    }
}

/// What [`super::Step::preflight`] gets: a context, and what earlier steps will have made reachable.
pub struct PreflightContext {
    /// As for a run; its checkpoints go nowhere.
    pub step: StepContext,
    /// Targets that a step before this one provides: they need not be reachable yet.
    pub provided: BTreeSet<TargetName>,
}

/// What a preflight found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preflight {
    /// What would make the step fail.
    pub problems: Vec<Problem>,
    /// The exact commands and statements, now that the server's flavour is known; secrets masked.
    pub commands: Vec<String>,
    /// What is worth knowing: `primary is MariaDB 10.11.14, 3 databases`.
    pub notes: Vec<String>,
}

impl Preflight {
    /// Makes a finding of one problem.
    pub fn problem(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }
}

/// Something that would make a step fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A stable code, such as `rekindle::target::unreachable`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// JSON pointer of the parameter that is to blame, such as `/target`.
    pub pointer: Option<&'static str>,
}

impl std::fmt::Display for Problem {
    /// Writes everything of it: `CODE: MESSAGE (POINTER)`, and the help on a line of its own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(pointer) = self.pointer {
            write!(f, " ({pointer})")?;
        }
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

impl From<StepError> for Problem {
    fn from(error: StepError) -> Self {
        Self { code: "rekindle::preflight::failed", message: error.message, help: error.help, pointer: None }
    }
}
