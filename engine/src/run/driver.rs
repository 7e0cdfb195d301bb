//! The loop that asks the state what is next, does it, and writes down what came of it.
//!
//! The only place that orders events. Steps run in their own tasks and reach it through a bounded channel;
//! nothing is acted upon before the journal has confirmed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, PROBE_LIMIT};
use super::preparation::Ready;
use super::reporter::{Message, Shared, WAITING_MESSAGES};
use super::turn::Turn;
use super::{RunEnd, RunError, RunRequest, RunState, StepStatus, pins, retry};
use crate::environment::Settings;
use crate::id::StepId;
use crate::journal::{Event, JOURNAL_FORMAT, Record};
use crate::plan::{PlanStep, Section};
use crate::step::{StepContext, StepContextParts};

/// Executes a plan from its beginning, in a journal that is still empty.
///
/// # Errors
/// When the plan is not ready to run, and when the journal can't be written: the run then stops where it is.
/// A failed step is no error but an outcome.
pub async fn execute(request: RunRequest) -> Result<RunEnd, RunError> {
    check(&request)?;
    if !request.journal.read().await?.is_empty() {
        return Err(RunError::AlreadyStarted(request.run));
    }
    start(request).await
}

pub(super) async fn start(request: RunRequest) -> Result<RunEnd, RunError> {
    let plan = &request.plan;
    let started = Event::RunStarted {
        format: JOURNAL_FORMAT,
        run: request.run.clone(),
        plan_hash: plan.hash.clone(),
        runbook: plan.runbook.name.clone(),
        runbook_version: plan.runbook.version.clone(),
        environment: plan.settings.name.clone(),
        runner: request.options.runner.clone(),
        fence: request.fence.token(),
        commit: request.options.commit.clone(),
    };
    let state = RunState::new(plan);
    Driver::new(request, state, Vec::new()).drive(vec![started]).await
}

/// Checks that the plan can be run by this program.
pub(super) fn check(request: &RunRequest) -> Result<(), RunError> {
    if !request.plan.unpinned.is_empty() {
        let steps = request.plan.unpinned.iter().map(|step| step.id.clone()).collect();
        return Err(RunError::NotPlanned { steps });
    }
    for step in &request.plan.steps {
        let (id, kind) = (step.id.clone(), step.kind.clone());
        let problem = match request.registry.carrying_out(&request.plan, step) {
            Some(known) => pins::changed(&request.plan.origin, known.info()),
            None => match request.registry.refusal(&step.kind) {
                Some(problem) => Some(problem.clone()),
                None => return Err(RunError::UnknownKind { step: id, kind }),
            },
        };
        if let Some(problem) = problem {
            return Err(RunError::RefusedKind { step: id, kind, problem: Box::new(problem) });
        }
    }
    Ok(())
}

pub(super) struct Driver {
    pub(super) request: RunRequest,
    pub(super) state: RunState,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) tasks: JoinSet<()>,
    /// Steps that are being looked at; the journal has nothing of it until something was found.
    pub(super) probing: BTreeSet<StepId>,
    places: BTreeMap<StepId, usize>,
    settings: Arc<Settings>,
}

impl Driver {
    pub(super) fn new(request: RunRequest, state: RunState, history: Vec<Record>) -> Self {
        let (sender, messages) = mpsc::channel(WAITING_MESSAGES);
        let shared = Arc::new(Shared::new(&request, history, sender));
        let steps = &request.plan.steps;
        let places = steps.iter().enumerate().map(|(place, step)| (step.id.clone(), place)).collect();
        let settings = Arc::new(request.plan.settings.clone());
        let (tasks, probing) = (JoinSet::new(), BTreeSet::new());
        Self { request, state, shared, messages, tasks, probing, places, settings }
    }

    /// Writes `first`, then goes on until the run ends, pauses or can't be written down any more.
    pub(super) async fn drive(mut self, first: Vec<Event>) -> Result<RunEnd, RunError> {
        let end = match self.write(first).await {
            Ok(()) => self.go_on().await,
            Err(error) => Err(error),
        };
        self.abort().await;
        end
    }

    async fn go_on(&mut self) -> Result<RunEnd, RunError> {
        loop {
            if self.request.cancellation.hard().is_cancelled() {
                return self.stop_at_once().await;
            }
            let turn = self.take_turn().await?;
            match turn {
                Turn::Ended(end) => return Ok(end),
                Turn::WentOn => {}
                Turn::Waits(until) => self.wait(until).await?,
            }
        }
    }

    /// Waits for the first thing that can change what is next.
    async fn wait(&mut self, until: Option<Timestamp>) -> Result<(), RunError> {
        let awaited = self.state.awaited();
        if until.is_none() && self.probing.is_empty() && !self.anything_runs() && awaited.is_empty() {
            return Err(RunError::Stuck { steps: self.unended() });
        }
        let clock = Arc::clone(&self.request.world.clock);
        let cancellation = self.request.cancellation.clone();
        let shared = Arc::clone(&self.shared);
        let fence = Arc::clone(&self.request.fence);
        let approvals = Arc::clone(&self.request.approvals);
        let due = async {
            match until {
                Some(until) => clock.sleep(retry::until(clock.now(), until)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancellation.hard().cancelled() => {}
            lost = fence.lost() => return Err(lost.into()),
            () = cancellation.graceful().cancelled(), if !self.state.cancel_requested() => {}
            Some(message) = self.messages.recv() => return self.take_in(message).await,
            () = shared.warned.notified() => return self.write(Vec::new()).await,
            verdict = approvals.next(&awaited), if !awaited.is_empty() => {
                // None: whoever was there has gone, and the next turn may let go of the run.
                if let Some(verdict) = verdict {
                    return self.take_verdict(verdict).await;
                }
            }
            () = due => {}
        }
        Ok(())
    }

    /// Makes events durable, warnings that wait before them, and takes them into the state.
    pub(super) async fn write(&mut self, events: Vec<Event>) -> Result<(), RunError> {
        let mut batch = Vec::new();
        if self.state.run().is_some() {
            batch = self.shared.take_warnings();
        }
        batch.extend(events);
        for record in self.request.journal.append(&batch).await? {
            self.state.apply(&record).map_err(RunError::Defect)?;
            self.shared.recorded(record);
        }
        Ok(())
    }

    /// Runs an attempt whose start is durable.
    pub(super) fn spawn_attempt(&mut self, step: &PlanStep, ready: Ready) {
        let limit = self.state.time_limit(&step.id, self.request.world.clock.now());
        let attempt = self.attempt(step, ready, limit);
        let (shared, step) = (Arc::clone(&self.shared), step.id.clone());
        self.tasks.spawn(async move {
            let end = attempt.run().await;
            shared.tell(Message::Ended { step, end }).await;
        });
    }

    /// Looks at a step, once at a time.
    pub(super) fn spawn_probe(&mut self, step: &PlanStep, ready: Ready) {
        self.probing.insert(step.id.clone());
        let attempt = self.attempt(step, ready, Some(PROBE_LIMIT));
        let (shared, step) = (Arc::clone(&self.shared), step.id.clone());
        self.tasks.spawn(async move {
            let probe = attempt.probe().await;
            shared.tell(Message::Probed { step, probe }).await;
        });
    }

    fn attempt(
        &self,
        step: &PlanStep,
        Ready { kind, params }: Ready,
        limit: Option<std::time::Duration>,
    ) -> Attempt {
        let cancellation = &self.request.cancellation;
        let word: CancellationToken = match step.section {
            Section::Main | Section::OnFailure => cancellation.graceful().clone(),
            // Cleaning up goes on after the first word; the second one ends it from outside.
            Section::Finally => cancellation.hard().clone(),
        };
        let own = word.child_token();
        let cx = StepContext::new(StepContextParts {
            run: self.request.run.clone(),
            step: step.id.clone(),
            attempt: self.state.attempts(&step.id),
            settings: Arc::clone(&self.settings),
            world: self.request.world.clone(),
            reporter: Arc::clone(&self.shared) as _,
            cancel: own.clone(),
            checkpoint: self.state.checkpoint(&step.id).cloned(),
        });
        let (clock, grace) = (Arc::clone(&self.request.world.clock), self.request.options.grace);
        Attempt { kind, params, cx, clock, limit, grace, stop: word, own }
    }

    pub(super) fn step(&self, id: &StepId) -> Option<PlanStep> {
        self.request.plan.steps.get(*self.places.get(id)?).cloned()
    }

    fn anything_runs(&self) -> bool {
        self.state.steps().any(|(_, status)| *status == StepStatus::Running)
    }

    fn unended(&self) -> Vec<StepId> {
        self.state.steps().filter(|(_, status)| !status.has_ended()).map(|(id, _)| id.clone()).collect()
    }
}
