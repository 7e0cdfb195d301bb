//! Random plans, outcomes, crashes and cancellations against the state machine alone, in a simulated world.

mod people;
mod shape;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, any};
use proptest::{collection, option, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use people::People;
use shape::{Behaviour, Shape, plan_of, shape};

use super::support::{bookkeeping, runner, started, succeeded, words};
use crate::id::StepId;
use crate::journal::{Event, Record, Resolution, StepFinding};
use crate::plan::{EdgeReason, Plan, Section};
use crate::run::{Command, RunState, StepStatus};
use crate::runbook::OnCrash;
use crate::step::StepError;

/// A small generator, so that a case is told by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

/// The world that outlives processes: the disk with the journal, and what steps have done.
struct Simulation<'a> {
    plan: &'a Plan,
    behaviours: BTreeMap<StepId, Behaviour>,
    people: BTreeMap<StepId, People>,
    jobs: usize,
    dice: Dice,
    records: Vec<Record>,
    effects: BTreeSet<StepId>,
    stumbles: BTreeMap<StepId, u32>,
    state: RunState,
    /// The process dies when the journal has this many records.
    dies_at: usize,
    /// The operator asks to stop when the journal has this many records.
    cancels_at: Option<usize>,
    now: jiff::Timestamp,
}

/// The process died.
struct Death;

impl<'a> Simulation<'a> {
    fn new(plan: &'a Plan, shapes: &[Shape], jobs: usize, seed: u64) -> Self {
        let behaviours =
            plan.steps.iter().zip(shapes).map(|(step, shape)| (step.id.clone(), shape.behaviour));
        let people = plan.steps.iter().zip(shapes).map(|(step, shape)| (step.id.clone(), shape.people));
        Self {
            plan,
            behaviours: behaviours.collect(),
            people: people.collect(),
            jobs,
            dice: Dice(seed),
            records: Vec::new(),
            effects: BTreeSet::new(),
            stumbles: BTreeMap::new(),
            state: RunState::new(plan),
            dies_at: usize::MAX,
            cancels_at: None,
            now: super::support::at(0),
        }
    }

    /// Runs or resumes in a new process, to its end or its death.
    fn process(&mut self) -> Result<(), Death> {
        self.state = RunState::new(self.plan);
        for record in &self.records {
            self.state.apply(record).unwrap();
        }
        let mut running: Vec<StepId> = Vec::new();
        let begun = match self.records.first() {
            None => self.write(started(self.plan)),
            Some(_) => self.write(Event::RunResumed { runner: runner(2), fence: None }),
        };
        let end = begun.and_then(|()| self.live(&mut running));
        if end.is_err() {
            for step in running {
                // Cut off somewhere: the effect may have come about just before.
                if self.would_succeed(&step) && self.dice.roll(2) == 0 {
                    self.effects.insert(step);
                }
            }
        }
        end
    }

    fn live(&mut self, running: &mut Vec<StepId>) -> Result<(), Death> {
        for _ in 0..10_000 {
            if self.cancels_at.is_some_and(|at| self.records.len() >= at) && self.state.outcome().is_none() {
                self.cancels_at = None;
                self.write(Event::CancelRequested { by: "test".to_owned() })?;
            }
            let mut news = false;
            let mut wait = None;
            for command in self.state.next(self.now, self.jobs) {
                match &command {
                    Command::Start { step, attempt } => {
                        assert!(running.len() < self.jobs, "too many at once");
                        self.write(Event::StepStarted { step: step.clone(), attempt: *attempt })?;
                        running.push(step.clone());
                    }
                    Command::Probe { step } => self.probe(step)?,
                    Command::Pause { step, question } => {
                        self.write(Event::RunPaused { step: step.clone(), question: question.clone() })?;
                        return self.decide(running);
                    }
                    Command::AskApproval { step, needed, timeout } => {
                        let expires_at = timeout.map(|timeout| self.now + timeout);
                        let (step, needed, what) = (step.clone(), *needed, String::new());
                        self.write(Event::ApprovalRequested { step, needed, what, expires_at })?;
                    }
                    Command::AwaitApproval { until } => {
                        assert!(running.is_empty(), "something still runs");
                        if self.one_answers()? {
                            news = true;
                        } else if until.is_none() {
                            let steps = self.state.awaited().into_iter().map(|awaited| awaited.step);
                            return self.write(Event::RunWaiting { steps: steps.collect() });
                        }
                        wait = *until;
                        continue;
                    }
                    Command::Wait { until } => {
                        wait = Some(*until);
                        continue;
                    }
                    Command::ExpireApproval { .. }
                    | Command::Skip { .. }
                    | Command::Block { .. }
                    | Command::Cancel { .. } => {
                        self.write(bookkeeping(&command).unwrap())?;
                    }
                    Command::Finish { .. } => {
                        return self.write(bookkeeping(&command).unwrap());
                    }
                }
                news = true;
            }
            match (news, running.len(), wait) {
                (true, _, _) => {}
                (false, 0, Some(until)) => self.now = until,
                (false, 0, None) => panic!("stuck: {}", words(&self.state)),
                // People may be quicker than steps.
                (false, _, _) if self.dice.roll(2) == 0 && self.one_answers()? => {}
                (false, some, _) => {
                    let step = running.remove(self.dice.roll(some));
                    self.end(&step)?;
                }
            }
        }
        panic!("the run never ends: {}", words(&self.state))
    }

    /// A person looks, and says what is true.
    fn decide(&mut self, running: &mut Vec<StepId>) -> Result<(), Death> {
        self.write(Event::RunResumed { runner: runner(3), fence: None })?;
        let asked = |(id, status): (&StepId, &StepStatus)| {
            let step = self.plan.steps.iter().find(|step| step.id == *id).unwrap();
            (*status == StepStatus::InDoubt && step.on_crash == OnCrash::Ask).then(|| id.clone())
        };
        let asked: Vec<_> = self.state.steps().filter_map(asked).collect();
        for step in asked {
            let resolution = if self.effects.contains(&step) { Resolution::Done } else { Resolution::Rerun };
            self.write(Event::StepResolved { step, resolution, by: "kim".to_owned(), why: String::new() })?;
        }
        self.live(running)
    }

    fn probe(&mut self, step: &StepId) -> Result<(), Death> {
        let there = self.effects.contains(step);
        let finding = if there { StepFinding::Complete } else { StepFinding::Absent };
        self.write(Event::StepProbed { step: step.clone(), finding })?;
        if there { self.write(succeeded(step.as_str(), json!({}))) } else { Ok(()) }
    }

    fn would_succeed(&self, step: &StepId) -> bool {
        match self.behaviours[step] {
            Behaviour::Succeeds => true,
            Behaviour::Fails => false,
            Behaviour::Stumbles(times) => self.stumbles.get(step).copied().unwrap_or(0) >= times,
        }
    }

    fn end(&mut self, step: &StepId) -> Result<(), Death> {
        let section = self.plan.steps.iter().find(|candidate| candidate.id == *step).unwrap().section;
        if self.state.cancel_requested() && section != Section::Finally && self.dice.roll(2) == 0 {
            return self.write(Event::StepCancelled { step: step.clone() });
        }
        if self.would_succeed(step) {
            self.effects.insert(step.clone());
            return self.write(succeeded(step.as_str(), json!({})));
        }
        let error = match self.behaviours[step] {
            Behaviour::Succeeds | Behaviour::Fails => StepError::permanent("it broke"),
            Behaviour::Stumbles(_) => StepError::transient("it stumbled"),
        };
        let retry_at = self.state.retry_at(step, &error, self.now);
        self.write(Event::StepFailed { step: step.clone(), error, retry_at })?;
        *self.stumbles.entry(step.clone()).or_default() += 1;
        Ok(())
    }

    fn write(&mut self, event: Event) -> Result<(), Death> {
        if self.records.len() >= self.dies_at {
            return Err(Death);
        }
        if let Event::StepStarted { step, .. } = &event {
            self.check_start(step);
            self.check_approved(step);
        }
        let record = Record { seq: self.records.len() as u64 + 1, at: self.now, event };
        self.state.apply(&record).unwrap();
        self.records.push(record);
        Ok(())
    }

    /// What must be true of the journal alone when a step starts, told without the state machine.
    fn check_start(&self, id: &StepId) {
        let step = self.plan.steps.iter().find(|step| step.id == *id).unwrap();
        assert!(!step.skipped, "{id} was skipped while compiling");
        assert!(
            step.section != Section::Main || !matches!(self.last_of(id), Some(Event::StepSucceeded { .. })),
            "{id} had succeeded"
        );
        for need in &step.needs {
            let (order_only, other) = (
                need.reason == EdgeReason::Order,
                self.plan.steps.iter().find(|step| step.id == need.step).unwrap(),
            );
            match self.last_of(&need.step) {
                Some(
                    Event::StepSucceeded { .. }
                    | Event::StepSkipped { .. }
                    | Event::StepResolved { resolution: Resolution::Done, .. },
                ) => {}
                Some(
                    Event::StepFailed { retry_at: None, .. }
                    | Event::StepRejected { .. }
                    | Event::ApprovalExpired { .. },
                ) if order_only || other.continue_on_error => {}
                // Called off because nobody had agreed to it; the order alone does not block.
                Some(Event::StepCancelled { .. }) if order_only && other.approval.is_some() => {}
                last => panic!("{id} started before {} had ended: {last:?}", need.step),
            }
        }
    }

    fn last_of(&self, id: &StepId) -> Option<&Event> {
        self.records.iter().rev().map(|record| &record.event).find(|event| match event {
            Event::StepStarted { step, .. }
            | Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step }
            | Event::StepBlocked { step, .. }
            | Event::StepCancelled { step }
            | Event::StepRejected { step, .. }
            | Event::ApprovalExpired { step }
            | Event::StepProbed { step, .. }
            | Event::StepResolved { step, .. } => step == id,
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::StepCheckpoint { .. }
            | Event::StepWarned { .. }
            | Event::ApprovalRequested { .. }
            | Event::StepApproved { .. }
            | Event::RunWaiting { .. }
            | Event::RunReplanned { .. }
            | Event::CancelRequested { .. }
            | Event::RunPaused { .. }
            | Event::RunFinished { .. } => false,
        })
    }

    fn replayed(&self) -> RunState {
        let mut state = RunState::new(self.plan);
        for record in &self.records {
            state.apply(record).unwrap();
        }
        state
    }
}

fn summary(state: &RunState) -> String {
    format!("{:?}: {}", state.outcome(), words(state))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_killed_at_every_boundary_ends_in_the_same_state(
        shapes in collection::vec(shape(), 1..9),
        jobs in 1..4_usize,
        seed in any::<u64>(),
    ) {
        let plan = plan_of(&shapes);
        let mut whole = Simulation::new(&plan, &shapes, jobs, seed);
        prop_assert!(whole.process().is_ok());
        prop_assert_eq!(&whole.state, &whole.replayed());
        let expected = summary(&whole.state);
        for boundary in 0..whole.records.len() {
            let mut cut = Simulation::new(&plan, &shapes, jobs, seed);
            cut.dies_at = boundary;
            prop_assert!(cut.process().is_err());
            cut.dies_at = usize::MAX;
            cut.dice = Dice(seed ^ boundary as u64);
            prop_assert!(cut.process().is_ok());
            prop_assert_eq!(&cut.state, &cut.replayed());
            prop_assert_eq!(summary(&cut.state), expected.clone(), "killed after {} records", boundary);
        }
    }

    #[test]
    fn a_run_cancelled_and_killed_anywhere_ends_and_can_be_resumed_until_it_has_an_outcome(
        shapes in collection::vec(shape(), 1..9),
        jobs in 1..4_usize,
        seed in any::<u64>(),
        cancels_at in option::of(1..40_usize),
        deaths in collection::vec(1..12_usize, 0..4),
    ) {
        let plan = plan_of(&shapes);
        let mut run = Simulation::new(&plan, &shapes, jobs, seed);
        run.cancels_at = cancels_at;
        for further in deaths {
            run.dies_at = run.records.len() + further;
            if run.process().is_ok() {
                break;
            }
        }
        run.dies_at = usize::MAX;
        if run.replayed().outcome().is_none() {
            prop_assert!(run.process().is_ok());
        }
        prop_assert!(run.state.outcome().is_some() || run.state.waiting());
        prop_assert!(!(run.state.waiting() && run.state.cancel_requested()));
        prop_assert_eq!(&run.state, &run.replayed());
    }
}
