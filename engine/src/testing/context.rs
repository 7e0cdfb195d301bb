//! What a step kind gets from the driver, made for a unit test.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{FakeWorld, locked};
use crate::environment::Settings;
use crate::id::{StepId, TargetName};
use crate::journal::Record;
use crate::report::Report;
use crate::step::{PreflightContext, Progress, Reporter, StepContext, StepContextParts, StepError};

/// A reporter that keeps everything it is told.
#[derive(Default)]
pub struct RecordedReporter {
    progress: Mutex<Vec<Progress>>,
    logs: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    checkpoints: Mutex<Vec<Value>>,
    checkpoint_error: Mutex<Option<StepError>>,
    history: Mutex<Vec<Record>>,
    report: Mutex<Option<Report>>,
}

impl RecordedReporter {
    /// Gives the progress shown, oldest first.
    pub fn progress_shown(&self) -> Vec<Progress> {
        locked(&self.progress).clone()
    }

    /// Gives the lines logged, oldest first.
    pub fn logs(&self) -> Vec<String> {
        locked(&self.logs).clone()
    }

    /// Gives the warnings, oldest first.
    pub fn warnings(&self) -> Vec<String> {
        locked(&self.warnings).clone()
    }

    /// Gives the checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<Value> {
        locked(&self.checkpoints).clone()
    }

    /// Makes every coming checkpoint fail, as when the journal can't be written.
    pub fn fail_checkpoints(&self, error: StepError) {
        *locked(&self.checkpoint_error) = Some(error);
    }
}

#[async_trait]
impl Reporter for RecordedReporter {
    fn progress(&self, _step: &StepId, progress: Progress) {
        locked(&self.progress).push(progress);
    }

    fn log(&self, _step: &StepId, line: &str) {
        locked(&self.logs).push(line.to_owned());
    }

    fn warn(&self, _step: &StepId, text: &str) {
        locked(&self.warnings).push(text.to_owned());
    }

    async fn checkpoint(&self, _step: &StepId, value: Value) -> Result<(), StepError> {
        if let Some(error) = locked(&self.checkpoint_error).clone() {
            return Err(error);
        }
        locked(&self.checkpoints).push(value);
        Ok(())
    }

    fn history(&self) -> Vec<Record> {
        locked(&self.history).clone()
    }

    fn report(&self) -> Option<Report> {
        locked(&self.report).clone()
    }
}

/// Describes the context of a step kind under test.
#[must_use = "end with `build`"]
pub struct ContextBuilder {
    parts: StepContextParts,
    reporter: Arc<RecordedReporter>,
}

/// A context, and the handles to what happens in it.
pub struct TestContext {
    /// What the step kind gets.
    pub cx: StepContext,
    /// What the step kind said.
    pub reporter: Arc<RecordedReporter>,
    /// Asks the step to stop.
    pub cancel: CancellationToken,
}

/// Describes the first attempt of a step `step` in a run of empty settings.
pub fn context(world: &FakeWorld) -> ContextBuilder {
    let reporter = Arc::new(RecordedReporter::default());
    let parts = StepContextParts {
        run: "20261122T150000Z-test".into(),
        step: "step".into(),
        attempt: 1,
        settings: Arc::new(Settings { name: "test".to_owned(), ..Settings::default() }),
        world: world.world.clone(),
        reporter: reporter.clone(),
        cancel: CancellationToken::new(),
        checkpoint: None,
    };
    ContextBuilder { parts, reporter }
}

impl ContextBuilder {
    /// Names the step.
    pub fn step(mut self, id: &str) -> Self {
        self.parts.step = id.into();
        self
    }

    /// Gives the environment.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.parts.settings = Arc::new(settings);
        self
    }

    /// Says which try it is, from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.parts.attempt = attempt;
        self
    }

    /// Leaves a checkpoint of an earlier attempt.
    pub fn checkpoint(mut self, value: Value) -> Self {
        self.parts.checkpoint = Some(value);
        self
    }

    /// Gives the journal so far.
    pub fn history(self, records: Vec<Record>) -> Self {
        *locked(&self.reporter.history) = records;
        self
    }

    /// Gives the report of the run so far.
    pub fn report(self, report: Report) -> Self {
        *locked(&self.reporter.report) = Some(report);
        self
    }

    /// Makes it.
    pub fn build(self) -> TestContext {
        let cancel = self.parts.cancel.clone();
        TestContext { cx: StepContext::new(self.parts), reporter: self.reporter, cancel }
    }

    /// Makes the context of a preflight instead; earlier steps provide these targets.
    pub fn preflight<'a>(self, provided: impl IntoIterator<Item = &'a str>) -> PreflightContext {
        let provided: BTreeSet<TargetName> = provided.into_iter().map(TargetName::from).collect();
        PreflightContext { step: StepContext::new(self.parts), provided }
    }
}
