//! The driver in a world of fakes.

use std::sync::{Arc, Mutex};

use super::support::{RUN, plan, runner};
use crate::host::World;
use crate::id::StepId;
use crate::journal::{Event, Fence, MemoryJournal, NoFence, Record, Resolution, RunnerIdentity};
use crate::plan::{Plan, PlanStep};
use crate::run::{
    Approvals, Cancellation, Decision, Observer, Resume, RunEnd, RunError, RunOptions, RunRequest, RunState,
    StepLogs, Unattended, Verdict, execute, resume,
};
use crate::step::{Effect, Progress, Registry};
use crate::testing::{self, FakeWorld, ScriptedStep};

/// Everything around a run. Runs of one rig share the world, as processes share a machine.
pub(super) struct Rig {
    pub(super) fakes: FakeWorld,
    pub(super) write: ScriptedStep,
    pub(super) destroy: ScriptedStep,
    pub(super) plan: Arc<Plan>,
    pub(super) earlier: Vec<Arc<Plan>>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) fence: Arc<dyn Fence>,
    pub(super) cancellation: Cancellation,
    pub(super) seen: Arc<Seen>,
    pub(super) jobs: usize,
    pub(super) approvals: Arc<dyn Approvals>,
}

/// What to do when an event became durable.
type OnRecord = Box<dyn Fn(&Record) + Send>;

/// What an observer and the logs have seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) records: Mutex<Vec<Record>>,
    pub(super) lines: Mutex<Vec<String>>,
    pub(super) notes: Mutex<Vec<String>>,
    /// Called for every durable record.
    pub(super) on_record: Mutex<Option<OnRecord>>,
}

impl Observer for Seen {
    fn record(&self, record: &Record) {
        self.records.lock().unwrap().push(record.clone());
        if let Some(act) = &*self.on_record.lock().unwrap() {
            act(record);
        }
    }

    fn progress(&self, _: &StepId, progress: &Progress) {
        self.notes.lock().unwrap().push(progress.note.clone());
    }

    fn log(&self, _: &StepId, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

impl StepLogs for Seen {
    fn line(&self, step: &StepId, line: &str) {
        self.lines.lock().unwrap().push(format!("{step}: {line}"));
    }
}

impl Rig {
    pub(super) fn new(steps: Vec<PlanStep>) -> Self {
        let fakes = testing::world();
        let journal = Arc::new(MemoryJournal::new(fakes.clock.clone()));
        Self {
            write: ScriptedStep::new("fake.write", Effect::Write).probes_truthfully(),
            destroy: ScriptedStep::new("fake.destroy", Effect::Destroy).probes_truthfully(),
            plan: Arc::new(plan(steps)),
            earlier: Vec::new(),
            journal,
            fakes,
            fence: Arc::new(NoFence),
            cancellation: Cancellation::default(),
            seen: Arc::default(),
            jobs: 4,
            approvals: Unattended::shared(),
        }
    }

    pub(super) fn request(&self, pid: u32) -> RunRequest {
        let mut registry = Registry::default();
        self.write.register(&mut registry);
        self.destroy.register(&mut registry);
        RunRequest {
            plan: Arc::clone(&self.plan),
            earlier: self.earlier.clone(),
            run: RUN.into(),
            registry,
            world: World { ..self.fakes.world.clone() },
            journal: self.journal.clone(),
            fence: Arc::clone(&self.fence),
            observer: self.seen.clone(),
            logs: self.seen.clone(),
            approvals: Arc::clone(&self.approvals),
            cancellation: self.cancellation.clone(),
            options: RunOptions {
                jobs: self.jobs,
                grace: RunOptions::GRACE,
                runner: runner(pid),
                commit: None,
            },
        }
    }

    pub(super) async fn execute(&self) -> Result<RunEnd, RunError> {
        execute(self.request(1)).await
    }

    /// Resumes as a new process that sees no living runner.
    pub(super) async fn resume(&self, decisions: Vec<Decision>) -> Result<RunEnd, RunError> {
        self.resume_beside(decisions, |_| false).await
    }

    pub(super) async fn resume_beside(
        &self,
        decisions: Vec<Decision>,
        is_alive: fn(&RunnerIdentity) -> bool,
    ) -> Result<RunEnd, RunError> {
        self.resume_with(decisions, Vec::new(), is_alive).await
    }

    /// Resumes as `rekindle approve` does.
    pub(super) async fn answer(&self, verdicts: Vec<Verdict>) -> Result<RunEnd, RunError> {
        self.resume_with(Vec::new(), verdicts, |_| false).await
    }

    async fn resume_with(
        &self,
        decisions: Vec<Decision>,
        verdicts: Vec<Verdict>,
        is_alive: fn(&RunnerIdentity) -> bool,
    ) -> Result<RunEnd, RunError> {
        resume(self.request(2), Resume { decisions, verdicts, is_alive: Arc::new(is_alive) }).await
    }

    /// Starts a new process: the journal is as the last one left it, the operator has said nothing yet.
    pub(super) fn next_process(&mut self, fail_after: Option<usize>) {
        let journal = MemoryJournal::with(self.fakes.clock.clone(), self.journal.records());
        self.journal = Arc::new(match fail_after {
            Some(count) => journal.fail_after(count),
            None => journal,
        });
        self.cancellation = Cancellation::default();
    }

    /// Makes the journal die after so many records.
    pub(super) fn dying_after(mut self, count: usize) -> Self {
        self.next_process(Some(count));
        self
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.journal.records().into_iter().map(|record| record.event).collect()
    }

    /// The journal in short: `a started 1`, `a succeeded`.
    pub(super) fn story(&self) -> String {
        self.events().iter().map(tell).collect::<Vec<_>>().join("\n")
    }

    /// What the journal folds to.
    pub(super) fn state(&self) -> RunState {
        RunState::replay(&self.request(0).plans(), &self.journal.records()).unwrap()
    }

    /// Acts whenever an event became durable.
    pub(super) fn on_record(&self, act: impl Fn(&Record) + Send + 'static) {
        *self.seen.on_record.lock().unwrap() = Some(Box::new(act));
    }
}

pub(super) fn decision(step: &str, resolution: Resolution) -> Decision {
    Decision { step: step.into(), resolution, by: "kim".to_owned(), why: "looked at it".to_owned() }
}

fn tell(event: &Event) -> String {
    match event {
        Event::RunStarted { runner, .. } => format!("run started by {}", runner.pid),
        Event::RunResumed { runner, .. } => format!("run resumed by {}", runner.pid),
        Event::StepStarted { step, attempt } => format!("{step} started {attempt}"),
        Event::StepCheckpoint { step, value } => format!("{step} checkpoint {value}"),
        Event::StepWarned { step, text } => format!("{step} warned: {text}"),
        Event::StepSucceeded { step, outputs } => format!("{step} succeeded {outputs}"),
        Event::StepFailed { step, error, retry_at } => {
            format!("{step} failed{}: {error}", if retry_at.is_some() { " for now" } else { "" })
        }
        Event::StepSkipped { step } => format!("{step} skipped"),
        Event::StepBlocked { step, by } => format!("{step} blocked by {by}"),
        Event::StepCancelled { step } => format!("{step} cancelled"),
        Event::StepProbed { step, finding } => format!("{step} probed {finding:?}"),
        Event::StepResolved { step, resolution, by, .. } => format!("{step} {resolution:?} says {by}"),
        Event::ApprovalRequested { step, needed, what, .. } => format!("{step} asks {needed}: {what}"),
        Event::StepApproved { step, by, .. } => format!("{step} approved by {by}"),
        Event::StepRejected { step, by, .. } => format!("{step} rejected by {by}"),
        Event::ApprovalExpired { step } => format!("{step} not approved in time"),
        Event::RunWaiting { steps } => format!("run waits for {}", steps[0]),
        Event::RunReplanned { plan_hash, reused, .. } => {
            let reused: Vec<_> = reused.iter().map(StepId::as_str).collect();
            format!("run replanned to {plan_hash}, keeps {}", reused.join(" "))
        }
        Event::CancelRequested { by } => format!("cancel by {by}"),
        Event::RunPaused { step, .. } => format!("paused on {step}"),
        Event::RunFinished { outcome } => format!("run {outcome:?}"),
    }
}
