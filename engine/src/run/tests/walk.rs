//! Random walks through everything that can happen to a run: crashes, cancellations and ends of steps in any order,
//! between any two records.

use std::collections::BTreeSet;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::invariants;
use super::support::{
    at, bookkeeping, duration, plan, retry, runner, started, step, step_in, succeeded, with, words,
};
use crate::id::StepId;
use crate::journal::{Event, Outcome, Record, Resolution, StepFinding};
use crate::plan::{ApprovalRule, Plan, PlanStep, Section};
use crate::run::{Command, RunState, StepStatus};
use crate::runbook::OnCrash;
use crate::step::{Effect, StepError};

#[derive(Debug, Clone)]
pub(super) struct Shape {
    section: Section,
    needs: u16,
    effect: Effect,
    on_crash: OnCrash,
    /// One or several instances of one step, of which so many may run at once.
    instances: (usize, u32),
    flags: (bool, bool, bool),
    /// How many people must agree, and whether their time ends.
    approval: Option<(u32, bool)>,
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    (
        prop_oneof![8 => Just(Section::Main), 1 => Just(Section::OnFailure), 2 => Just(Section::Finally)],
        any::<u16>(),
        prop_oneof![Just(Effect::Read), Just(Effect::Write), Just(Effect::Destroy)],
        prop_oneof![Just(OnCrash::Probe), Just(OnCrash::Rerun), Just(OnCrash::Ask)],
        prop_oneof![4 => Just((1, 1)), 1 => (2..4_usize, 1..3_u32)],
        (proptest::bool::weighted(0.1), proptest::bool::weighted(0.15), proptest::bool::weighted(0.15)),
        prop_oneof![3 => Just(None), 1 => (1..4_u32, any::<bool>()).prop_map(Some)],
    )
        .prop_map(|(section, needs, effect, on_crash, instances, flags, approval)| Shape {
            section,
            needs,
            effect,
            on_crash,
            instances,
            flags,
            approval,
        })
}

pub(super) fn plan_of(shapes: &[Shape]) -> Plan {
    let mut steps: Vec<PlanStep> = Vec::new();
    for (place, shape) in shapes.iter().enumerate() {
        let before: Vec<String> =
            steps.iter().filter(|step| step.section == shape.section).map(|step| step.id.0.clone()).collect();
        let (count, most) = if shape.section == Section::Main { shape.instances } else { (1, 1) };
        for instance in 0..count {
            let id = if count == 1 { format!("s{place}") } else { format!("s{place}[{instance}]") };
            let made = match shape.section {
                Section::Main => {
                    let chosen =
                        before.iter().enumerate().filter(|(bit, _)| shape.needs & (1 << (bit % 16)) != 0);
                    step(&id, &chosen.map(|(_, id)| id.as_str()).collect::<Vec<_>>())
                }
                section @ (Section::OnFailure | Section::Finally) => {
                    step_in(section, &id, before.last().map(String::as_str))
                }
            };
            let (skipped, continue_on_error, conditional) = shape.flags;
            steps.push(with(made, |step| {
                step.effect = shape.effect;
                step.on_crash = shape.on_crash;
                step.skipped = skipped;
                step.continue_on_error = continue_on_error;
                step.when = conditional.then(|| "steps.x.outputs.y".to_owned());
                step.max_parallel = (count > 1).then_some(most);
                step.retry = Some(retry(3));
                step.approval = shape
                    .approval
                    .filter(|_| !skipped)
                    .map(|(needed, ends)| ApprovalRule { needed, timeout: ends.then(|| duration("1h")) });
            }));
        }
    }
    plan(steps)
}

/// Decides from a tape of random numbers, so that a case shrinks with its tape; calm when the tape has ended.
struct Tape(std::vec::IntoIter<u8>);

impl Tape {
    fn is(&mut self, one_in: u8) -> bool {
        self.0.next().is_some_and(|number| number % one_in == one_in - 1)
    }

    fn choose(&mut self, from: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % from
    }
}

struct Walk<'p> {
    plan: &'p Plan,
    jobs: usize,
    tape: Tape,
    state: RunState,
    /// How the state was after every record.
    states: Vec<RunState>,
    records: Vec<Record>,
    running: Vec<StepId>,
    effects: BTreeSet<StepId>,
    now: i64,
}

impl<'p> Walk<'p> {
    fn new(plan: &'p Plan, jobs: usize, tape: Vec<u8>) -> Self {
        Self {
            plan,
            jobs,
            tape: Tape(tape.into_iter()),
            state: RunState::new(plan),
            states: Vec::new(),
            records: Vec::new(),
            running: Vec::new(),
            effects: BTreeSet::new(),
            now: 0,
        }
    }

    /// Walks until the run has an outcome and the tape does not ask for another round.
    fn walk(&mut self) -> Result<(), String> {
        self.write(started(self.plan))?;
        for _ in 0..5_000 {
            if let Some(outcome) = self.state.outcome() {
                let again = matches!(outcome, Outcome::Failed | Outcome::Cancelled) && self.tape.is(2);
                if !again {
                    return Ok(());
                }
                self.taken_over()?;
            }
            if self.tape.is(13) {
                self.crash()?;
            }
            if self.state.paused() {
                self.decide()?;
                continue;
            }
            if self.state.waiting() {
                self.taken_over()?;
            }
            if self.tape.is(25) {
                self.write(Event::CancelRequested { by: "kim".to_owned() })?;
            }
            if self.state.cancel_requested() && self.tape.is(5) {
                self.stop_at_once()?;
                continue;
            }
            self.turn()?;
        }
        Err(format!("the run never ends: {}", words(&self.state)))
    }

    /// What the driver does in one turn, or the end of a step before that.
    fn turn(&mut self) -> Result<(), String> {
        if !self.running.is_empty() && self.tape.is(3) {
            return self.end_one();
        }
        if self.tape.is(6) && self.one_answers()? {
            return Ok(());
        }
        let commands = self.state.next(at(self.now), self.jobs);
        let mut wait = None;
        let mut news = false;
        for command in commands {
            if let Command::Wait { until } | Command::AwaitApproval { until: Some(until) } = command
                && (matches!(command, Command::Wait { .. }) || self.tape.is(3))
            {
                wait = Some(until);
                continue;
            }
            news = true;
            self.carry_out(&command)?;
            // Dies between two records of one batch.
            if self.tape.is(40) {
                return self.crash();
            }
        }
        match (news, self.running.is_empty(), wait) {
            (true, _, _) => Ok(()),
            (false, false, _) => self.end_one(),
            (false, true, Some(until)) => {
                self.now = until.duration_since(at(0)).as_secs() + 1;
                Ok(())
            }
            (false, true, None) => Err(format!("stuck: {}", words(&self.state))),
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Start { step, attempt } => {
                let conditional = self.plan.steps.iter().any(|own| own.id == *step && own.when.is_some());
                let pending = self.state.status(step) == Some(&StepStatus::Pending);
                if conditional && pending && self.tape.is(2) {
                    return self.write(Event::StepSkipped { step: step.clone() });
                }
                self.write(Event::StepStarted { step: step.clone(), attempt: *attempt })?;
                self.running.push(step.clone());
                Ok(())
            }
            Command::Probe { step } => self.probe(step),
            Command::Pause { step, question } => {
                self.write(Event::RunPaused { step: step.clone(), question: question.clone() })
            }
            Command::AskApproval { step, needed, timeout } => {
                let (step, needed, what) = (step.clone(), *needed, String::new());
                let expires_at = timeout.map(|timeout| at(self.now) + timeout);
                self.write(Event::ApprovalRequested { step, needed, what, expires_at })
            }
            Command::AwaitApproval { .. } if self.tape.is(3) => {
                let steps = self.state.awaited().into_iter().map(|awaited| awaited.step).collect();
                self.write(Event::RunWaiting { steps })
            }
            Command::AwaitApproval { .. } => self.one_answers().map(drop),
            Command::ExpireApproval { .. }
            | Command::Skip { .. }
            | Command::Block { .. }
            | Command::Cancel { .. }
            | Command::Finish { .. } => self.write(bookkeeping(command).ok_or("no event")?),
            Command::Wait { .. } => Ok(()),
        }
    }

    /// Lets a person answer; says whether anybody was asked.
    fn one_answers(&mut self) -> Result<bool, String> {
        let mut awaited = self.state.awaited();
        if awaited.is_empty() {
            return Ok(false);
        }
        let awaited = awaited.swap_remove(self.tape.choose(awaited.len()));
        // Some say it twice.
        let person = if self.tape.is(4) { 0 } else { awaited.approved_by.len() };
        let (step, plan_hash, by) = (awaited.step, self.plan.hash.clone(), format!("person {person}"));
        let (why, from) = (String::new(), String::new());
        let refuses = self.tape.is(7);
        self.write(if refuses {
            Event::StepRejected { step, plan_hash, by, why, from }
        } else {
            Event::StepApproved { step, plan_hash, by, why, from }
        })?;
        Ok(true)
    }

    fn probe(&mut self, step: &StepId) -> Result<(), String> {
        let waits = matches!(self.state.status(step), Some(StepStatus::WaitingRetry { .. }));
        let finding = match (self.tape.is(5), self.effects.contains(step)) {
            (true, _) => StepFinding::Unknown { why: "it does not answer".to_owned() },
            (false, true) => StepFinding::Complete,
            (false, false) => StepFinding::Absent,
        };
        self.write(Event::StepProbed { step: step.clone(), finding: finding.clone() })?;
        match finding {
            StepFinding::Complete => self.write(succeeded(step.as_str(), json!({}))),
            StepFinding::Unknown { .. } if waits => self.write(Event::StepFailed {
                step: step.clone(),
                error: StepError::permanent("it can't be tried again"),
                retry_at: None,
            }),
            StepFinding::Unknown { .. } | StepFinding::Absent | StepFinding::Partial { .. } => Ok(()),
        }
    }

    fn end_one(&mut self) -> Result<(), String> {
        let chosen = self.tape.choose(self.running.len());
        let step = self.running.remove(chosen);
        let finally = self.plan.steps.iter().any(|own| own.id == step && own.section == Section::Finally);
        if self.state.cancel_requested() && !finally && self.tape.is(2) {
            return self.write(Event::StepCancelled { step });
        }
        if self.tape.is(3) {
            let error =
                if self.tape.is(3) { StepError::permanent("broken") } else { StepError::transient("lost") };
            if self.tape.is(4) {
                self.effects.insert(step.clone());
            }
            let retry_at = self.state.retry_at(&step, &error, at(self.now));
            return self.write(Event::StepFailed { step, error, retry_at });
        }
        self.effects.insert(step.clone());
        self.write(succeeded(step.as_str(), json!({})))
    }

    /// The process dies, and another one takes the run over.
    fn crash(&mut self) -> Result<(), String> {
        if self.state.outcome().is_some() {
            return Ok(());
        }
        for step in std::mem::take(&mut self.running) {
            if self.tape.is(2) {
                self.effects.insert(step);
            }
        }
        self.taken_over()
    }

    fn taken_over(&mut self) -> Result<(), String> {
        self.write(Event::RunResumed { runner: runner(2), fence: None })
    }

    /// A person looks at everything in doubt.
    fn decide(&mut self) -> Result<(), String> {
        self.taken_over()?;
        let doubtful = self.state.steps().filter(|(_, status)| **status == StepStatus::InDoubt);
        let doubtful: Vec<StepId> = doubtful.map(|(step, _)| step.clone()).collect();
        for step in doubtful {
            let resolution = match (self.tape.is(5), self.effects.contains(&step)) {
                (true, _) => Resolution::Fail,
                (false, true) => Resolution::Done,
                (false, false) => Resolution::Rerun,
            };
            self.write(Event::StepResolved { step, resolution, by: "kim".to_owned(), why: String::new() })?;
        }
        Ok(())
    }

    /// The operator's second word, as the driver carries it out.
    fn stop_at_once(&mut self) -> Result<(), String> {
        for step in std::mem::take(&mut self.running) {
            self.write(Event::StepCancelled { step })?;
        }
        for event in self.state.next(at(self.now), 1).iter().filter_map(bookkeeping).collect::<Vec<_>>() {
            if !matches!(event, Event::RunFinished { .. }) {
                self.write(event)?;
            }
        }
        self.write(Event::RunFinished { outcome: self.state.outcome_if_stopped() })
    }

    fn write(&mut self, event: Event) -> Result<(), String> {
        self.now += 1;
        let record = Record { seq: self.records.len() as u64 + 1, at: at(self.now), event };
        self.state.apply(&record).map_err(|error| format!("{error}: {:?}", record.event))?;
        self.states.push(self.state.clone());
        self.records.push(record);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_run_ends_and_keeps_its_promises(
        shapes in collection::vec(shape(), 1..9),
        jobs in 1..4_usize,
        tape in collection::vec(any::<u8>(), 0..400),
    ) {
        let plan = plan_of(&shapes);
        let mut walk = Walk::new(&plan, jobs, tape);
        let ended = walk.walk();
        prop_assert!(ended.is_ok(), "{ended:?}\n{:#?}", walk.records);
        let kept = invariants::check(&plan, &walk.records, jobs);
        prop_assert!(kept.is_ok(), "{kept:?}\n{:#?}", walk.records);
        // Replayed, the journal gives the state that was, after every record.
        let mut replayed = RunState::new(&plan);
        for (record, was) in walk.records.iter().zip(&walk.states) {
            replayed.apply(record).unwrap();
            prop_assert_eq!(&replayed, was, "after record {}", record.seq);
        }
    }
}
