//! Plans in a few words.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::journal::{Event, JOURNAL_FORMAT, Record, RunnerIdentity};
use crate::plan::{Edge, EdgeReason, PLAN_FORMAT, Param, Plan, PlanStep, RunbookIdentity, Section};
use crate::run::{Command, IllegalTransition, RunState, StepStatus};
use crate::runbook::{OnCrash, Retry};
use crate::step::{Effect, Intent, StepError};
use crate::values::{DurationText, parse_duration};

pub(super) const RUN: &str = "20261122T150000Z-0001";

pub(super) fn duration(text: &str) -> DurationText {
    DurationText(parse_duration(text).unwrap())
}

/// A step that writes, in the main section, and may run again after a crash.
pub(super) fn step(id: &str, needs: &[&str]) -> PlanStep {
    let edge = |step: &&str| Edge { step: (*step).into(), reason: EdgeReason::Declared };
    PlanStep {
        id: id.into(),
        definition: id.split('[').next().unwrap().into(),
        group: None,
        name: None,
        kind: "fake.write".to_owned(),
        section: Section::Main,
        effect: Effect::Write,
        params: Param::Value(json!({})),
        when: None,
        skipped: false,
        disabled: None,
        each: None,
        needs: needs.iter().map(edge).collect(),
        retry: None,
        timeout: None,
        deadline: None,
        max_parallel: None,
        continue_on_error: false,
        on_crash: OnCrash::Rerun,
        approval: None,
        intent: Intent::default(),
        with: None,
        location: None,
    }
}

/// Changes a step in place, for chains.
pub(super) fn with(mut step: PlanStep, change: impl FnOnce(&mut PlanStep)) -> PlanStep {
    change(&mut step);
    step
}

/// A step of `on_failure` or `finally` that comes after `before`.
pub(super) fn step_in(section: Section, id: &str, before: Option<&str>) -> PlanStep {
    with(step(id, &[]), |step| {
        step.section = section;
        step.needs =
            before.into_iter().map(|id| Edge { step: id.into(), reason: EdgeReason::Order }).collect();
    })
}

pub(super) fn retry(attempts: u32) -> Retry {
    Retry { attempts, delay: duration("1s"), backoff: 2.0, max_delay: duration("1m"), jitter: 0.5 }
}

pub(super) fn plan(steps: Vec<PlanStep>) -> Plan {
    Plan {
        format: PLAN_FORMAT,
        hash: "aa".to_owned(),
        runbook: RunbookIdentity {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            sha256: "bb".to_owned(),
            requires: None,
        },
        origin: crate::plan::Origin::default(),
        settings: crate::environment::Settings { name: "dev".to_owned(), ..Default::default() },
        values: json!({}),
        concurrency: None,
        pinned: Vec::new(),
        unpinned: Vec::new(),
        groups: indexmap::IndexMap::new(),
        steps,
    }
}

pub(super) fn runner(pid: u32) -> RunnerIdentity {
    RunnerIdentity {
        pid,
        started_ticks: u64::from(pid),
        boot_id: "boot".to_owned(),
        host: "db-1".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

pub(super) fn started(plan: &Plan) -> Event {
    Event::RunStarted {
        format: JOURNAL_FORMAT,
        run: RUN.into(),
        plan_hash: plan.hash.clone(),
        runbook: plan.runbook.name.clone(),
        runbook_version: plan.runbook.version.clone(),
        environment: plan.settings.name.clone(),
        runner: runner(1),
        fence: None,
        commit: None,
    }
}

/// Time `seconds` after the start of all tests.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_359_600 + seconds).unwrap()
}

/// A state with its journal; one second passes between events.
pub(super) struct Ledger {
    pub(super) plan: Plan,
    pub(super) state: RunState,
    pub(super) records: Vec<Record>,
    pub(super) now: Timestamp,
}

impl Ledger {
    pub(super) fn new(steps: Vec<PlanStep>) -> Self {
        let plan = plan(steps);
        let mut ledger = Self { state: RunState::new(&plan), plan, records: Vec::new(), now: at(0) };
        let start = started(&ledger.plan);
        ledger.apply(start);
        ledger
    }

    pub(super) fn try_apply(&mut self, event: Event) -> Result<(), IllegalTransition> {
        let record = Record { seq: self.records.len() as u64 + 1, at: self.now, event };
        self.state.apply(&record)?;
        self.records.push(record);
        Ok(())
    }

    pub(super) fn apply(&mut self, event: Event) {
        self.try_apply(event).unwrap();
    }

    pub(super) fn next(&self) -> Vec<Command> {
        self.state.next(self.now, 4)
    }

    /// Carries out everything that needs no step to run, and gives the rest.
    pub(super) fn settle(&mut self) -> Vec<Command> {
        loop {
            let commands = self.next();
            let events: Vec<_> = commands.iter().filter_map(bookkeeping).collect();
            if events.is_empty() {
                return commands;
            }
            for event in events {
                self.apply(event);
            }
        }
    }

    /// The second word while nothing runs, as the driver carries it out: one look at what is to be closed, then
    /// the end.
    pub(super) fn stop_at_once(&mut self) {
        for event in self.next().iter().filter_map(bookkeeping) {
            self.apply(event);
        }
        self.apply(Event::RunFinished { outcome: self.state.outcome_if_stopped() });
    }

    pub(super) fn start(&mut self, step: &str) {
        let attempt = self.state.attempts(&step.into()) + 1;
        self.apply(Event::StepStarted { step: step.into(), attempt });
    }

    pub(super) fn succeed(&mut self, step: &str) {
        self.start(step);
        self.apply(succeeded(step, json!({})));
    }

    pub(super) fn fail(&mut self, step: &str) {
        self.start(step);
        self.apply(failed(step, StepError::permanent("it broke"), None));
    }

    pub(super) fn resume(&mut self) {
        self.apply(Event::RunResumed { runner: runner(2), fence: None });
    }

    pub(super) fn status(&self, step: &str) -> StepStatus {
        self.state.status(&step.into()).unwrap().clone()
    }

    pub(super) fn words(&self) -> String {
        words(&self.state)
    }
}

/// How every step stands: `a succeeded, b blocked`.
pub(super) fn words(state: &RunState) -> String {
    state.steps().map(|(id, status)| format!("{id} {}", status.word())).collect::<Vec<_>>().join(", ")
}

/// Gives the event of a command that only writes something down.
pub(super) fn bookkeeping(command: &Command) -> Option<Event> {
    match command {
        Command::Skip { step } => Some(Event::StepSkipped { step: step.clone() }),
        Command::Block { step, by } => Some(Event::StepBlocked { step: step.clone(), by: by.clone() }),
        Command::Cancel { step } => Some(Event::StepCancelled { step: step.clone() }),
        Command::Finish { outcome } => Some(Event::RunFinished { outcome: *outcome }),
        Command::ExpireApproval { step } => Some(Event::ApprovalExpired { step: step.clone() }),
        Command::Start { .. }
        | Command::Probe { .. }
        | Command::AskApproval { .. }
        | Command::AwaitApproval { .. }
        | Command::Pause { .. }
        | Command::Wait { .. } => None,
    }
}

pub(super) fn start(step: &str, attempt: u32) -> Command {
    Command::Start { step: step.into(), attempt }
}

pub(super) fn probe(step: &str) -> Command {
    Command::Probe { step: step.into() }
}

pub(super) fn succeeded(step: &str, outputs: Value) -> Event {
    Event::StepSucceeded { step: step.into(), outputs }
}

pub(super) fn failed(step: &str, error: StepError, retry_at: Option<Timestamp>) -> Event {
    Event::StepFailed { step: step.into(), error, retry_at }
}
