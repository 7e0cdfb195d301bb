//! What must be true of every journal, told from its records and the plan alone: nothing here asks the state
//! machine, so both would have to be wrong in the same way.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::StepId;
use crate::journal::{Event, Outcome, Record, Resolution, StepFinding};
use crate::plan::{EdgeReason, Plan, PlanStep, Section};
use crate::runbook::OnCrash;
use crate::step::Effect;

/// Checks a journal from its first record to its last.
pub(super) fn check(plan: &Plan, records: &[Record], jobs: usize) -> Result<(), String> {
    let mut story = Story::new(plan, jobs);
    for record in records {
        story.take(record).map_err(|why| format!("record {}: {why}: {:?}", record.seq, record.event))?;
    }
    Ok(())
}

/// The last word on a step in this round.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Last {
    Nothing,
    Running,
    /// Its process went away while it ran.
    CutOff,
    Succeeded,
    FailedForNow,
    Failed,
    Skipped,
    Blocked,
    Cancelled,
    Rerun,
}

impl Last {
    fn is_end(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Blocked | Self::Cancelled => true,
            Self::Nothing | Self::Running | Self::CutOff | Self::FailedForNow | Self::Rerun => false,
        }
    }
}

#[derive(Debug, Clone)]
struct Fate {
    last: Last,
    attempts: u32,
    /// Failed attempts in this round.
    failures: u32,
    not_before: Option<jiff::Timestamp>,
    /// Whether it began and nothing has shown since that it did nothing, and nobody decided.
    dirty: bool,
    /// Whether another process took over since it began.
    taken_over: bool,
    seen_complete: bool,
}

const NEW: Fate = Fate {
    last: Last::Nothing,
    attempts: 0,
    failures: 0,
    not_before: None,
    dirty: false,
    taken_over: false,
    seen_complete: false,
};

/// Says whether a new round has to do a step again that the last one left like this.
fn is_due_again(step: &PlanStep, left: &Last) -> bool {
    match left {
        // What follows a failure that is only a warning has gone on.
        Last::Failed => !step.continue_on_error,
        Last::FailedForNow | Last::Blocked | Last::Cancelled => true,
        Last::Nothing | Last::Running | Last::CutOff | Last::Succeeded | Last::Skipped | Last::Rerun => false,
    }
}

/// What people have said to a step.
#[derive(Debug, Clone, Default)]
struct Agreement {
    /// They are asked, and the question is open.
    open: bool,
    by: BTreeSet<String>,
    given: bool,
}

struct Story<'p> {
    plan: &'p Plan,
    jobs: usize,
    fates: BTreeMap<StepId, Fate>,
    agreements: BTreeMap<StepId, Agreement>,
    begun: bool,
    ended: Option<Outcome>,
    cancelled: bool,
    paused: bool,
}

type Told = Result<(), String>;

fn must(holds: bool, why: &str) -> Told {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

impl<'p> Story<'p> {
    fn new(plan: &'p Plan, jobs: usize) -> Self {
        let fates = plan.steps.iter().map(|step| (step.id.clone(), NEW)).collect();
        let agreements = plan.steps.iter().map(|step| (step.id.clone(), Agreement::default())).collect();
        Self { plan, jobs, fates, agreements, begun: false, ended: None, cancelled: false, paused: false }
    }

    fn take(&mut self, record: &Record) -> Told {
        match &record.event {
            Event::RunStarted { .. } => {
                must(!self.begun, "a run begins once")?;
                self.begun = true;
                Ok(())
            }
            Event::RunResumed { .. } => self.resumed(),
            other => {
                must(
                    self.begun && self.ended.is_none(),
                    "nothing happens before the start or after the end",
                )?;
                must(!self.paused || matches!(other, Event::RunPaused { .. }), "nothing happens in a pause")?;
                self.happened(record)
            }
        }
    }

    fn resumed(&mut self) -> Told {
        let over = matches!(self.ended, Some(Outcome::Succeeded | Outcome::SucceededWithWarnings));
        must(self.begun && !over, "only what has begun and not succeeded is resumed")?;
        let new_round = self.ended.is_some() || self.cancelled;
        for step in &self.plan.steps {
            let fate = self.fates.get_mut(&step.id).ok_or("no such step")?;
            if fate.last == Last::Running {
                fate.last = Last::CutOff;
            }
            fate.taken_over = true;
            fate.seen_complete = false;
            if new_round {
                self.agreements.entry(step.id.clone()).or_default().open = false;
                (fate.failures, fate.not_before) = (0, None);
                if step.section != Section::Main && fate.last != Last::CutOff {
                    *fate = Fate { attempts: fate.attempts, ..NEW };
                }
                // How the last round left it says nothing of this one, which has to bring it to an end anew.
                if is_due_again(step, &fate.last) {
                    fate.last = Last::Nothing;
                }
            }
        }
        (self.ended, self.paused) = (None, false);
        self.cancelled &= !new_round;
        Ok(())
    }

    fn happened(&mut self, record: &Record) -> Told {
        match &record.event {
            Event::StepStarted { step, attempt } => self.started(step, *attempt, record.at),
            Event::StepSucceeded { step, .. } => {
                let fate = self.fate(step)?;
                must(fate.last == Last::Running || fate.seen_complete, "success without a run or a look")?;
                self.ends(step, Last::Succeeded)
            }
            Event::StepFailed { step, retry_at, .. } => {
                let budget = self.step(step)?.retry.as_ref().map_or(1, |retry| retry.attempts);
                let fate = self.fate(step)?;
                fate.failures += u32::from(fate.last == Last::Running);
                fate.not_before = *retry_at;
                must(retry_at.is_none() || fate.failures < budget, "a retry beyond the budget")?;
                match retry_at {
                    Some(_) => fate.last = Last::FailedForNow,
                    None => self.ends(step, Last::Failed)?,
                }
                Ok(())
            }
            Event::StepSkipped { step } => self.ends(step, Last::Skipped),
            Event::StepBlocked { step, by } => {
                let culprit = (self.fate(by)?.last.clone(), self.step(by)?.continue_on_error);
                must(culprit == (Last::Failed, false), "blamed on a step that did not fail")?;
                self.ends(step, Last::Blocked)
            }
            Event::StepCancelled { step } => {
                must(self.cancelled, "nobody asked to cancel")?;
                self.agreement(step)?.open = false;
                self.ends(step, Last::Cancelled)
            }
            Event::StepProbed { step, finding } => {
                let fate = self.fate(step)?;
                fate.seen_complete = *finding == StepFinding::Complete;
                fate.dirty &= *finding != StepFinding::Absent;
                Ok(())
            }
            Event::StepResolved { step, resolution, .. } => {
                let fate = self.fate(step)?;
                fate.dirty = false;
                match resolution {
                    Resolution::Done => self.ends(step, Last::Succeeded),
                    Resolution::Fail => self.ends(step, Last::Failed),
                    Resolution::Rerun => {
                        fate.last = Last::Rerun;
                        Ok(())
                    }
                }
            }
            Event::ApprovalRequested { step, needed, .. } => self.asked(step, *needed),
            Event::StepApproved { step, plan_hash, by, .. } => self.approved(step, plan_hash, by),
            Event::StepRejected { step, .. } | Event::ApprovalExpired { step } => self.refused(step),
            Event::RunWaiting { .. } => self.waits_for_people(),
            Event::CancelRequested { .. } => {
                self.cancelled = true;
                Ok(())
            }
            Event::RunPaused { .. } => {
                self.paused = true;
                Ok(())
            }
            Event::RunFinished { outcome } => self.finished(*outcome),
            Event::StepCheckpoint { .. } | Event::StepWarned { .. } => Ok(()),
            Event::RunReplanned { .. } => Err("these runs have one plan".to_owned()),
            Event::RunStarted { .. } | Event::RunResumed { .. } => Err("taken elsewhere".to_owned()),
        }
    }

    fn asked(&mut self, id: &StepId, needed: u32) -> Told {
        let step = self.step(id)?.clone();
        must(step.approval.map(|rule| rule.needed) == Some(needed), "the plan asks otherwise")?;
        must(!self.cancelled, "people are asked after the operator's word")?;
        self.needs_have_ended(&step)?;
        self.section_is_due(step.section)?;
        let ended = self.fate(id)?.last.is_end();
        let agreement = self.agreement(id)?;
        must(!ended && !agreement.open && !agreement.given, "people are asked twice")?;
        *agreement = Agreement { open: true, ..Agreement::default() };
        Ok(())
    }

    fn approved(&mut self, id: &StepId, plan_hash: &str, by: &str) -> Told {
        let needed = self.step(id)?.approval.map_or(0, |rule| rule.needed);
        must(plan_hash == self.plan.hash, "approved for another plan")?;
        let agreement = self.agreement(id)?;
        must(agreement.open, "nobody was asked")?;
        agreement.by.insert(by.to_owned());
        agreement.given = agreement.by.len() >= needed as usize;
        agreement.open = !agreement.given;
        Ok(())
    }

    fn refused(&mut self, id: &StepId) -> Told {
        must(std::mem::take(&mut self.agreement(id)?.open), "nobody was asked")?;
        self.ends(id, Last::Failed)
    }

    fn waits_for_people(&mut self) -> Told {
        must(self.agreements.values().any(|agreement| agreement.open), "nobody was asked")?;
        let runs = self.fates.values().any(|fate| fate.last == Last::Running);
        must(!runs, "a run is let go of while a step runs")?;
        self.paused = true;
        Ok(())
    }

    fn started(&mut self, id: &StepId, attempt: u32, at: jiff::Timestamp) -> Told {
        let step = self.step(id)?.clone();
        must(!step.skipped, "it was skipped while compiling")?;
        must(step.approval.is_none() || self.agreement(id)?.given, "too few have agreed to it")?;
        must(!self.cancelled || step.section == Section::Finally, "it starts after the operator's word")?;
        self.needs_have_ended(&step)?;
        self.section_is_due(step.section)?;
        let running = |same: &dyn Fn(&PlanStep) -> bool| {
            self.plan
                .steps
                .iter()
                .filter(|step| self.fates[&step.id].last == Last::Running && same(step))
                .count()
        };
        must(running(&|_| true) < self.jobs, "too many steps run at once")?;
        let siblings = running(&|other| other.definition == step.definition);
        let most = step.max_parallel.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        must(siblings < most, "too many instances run at once")?;
        let fate = self.fate(id)?;
        must(!fate.last.is_end(), "it has ended in this round, or is done with since an earlier one")?;
        must(fate.last != Last::Running, "it runs already")?;
        must(attempt == fate.attempts + 1, "attempts are counted")?;
        must(fate.not_before.is_none_or(|due| due <= at), "it is not due yet")?;
        let authors_word = step.on_crash == OnCrash::Rerun && fate.taken_over;
        must(step.effect != Effect::Destroy || !fate.dirty || authors_word, "it destroys again by guess")?;
        let failures = fate.failures;
        *fate = Fate { last: Last::Running, attempts: attempt, failures, dirty: true, ..NEW };
        Ok(())
    }

    fn needs_have_ended(&self, step: &PlanStep) -> Told {
        for need in &step.needs {
            let (other, fate) = (self.step(&need.step)?, &self.fates[&need.step]);
            let ended = match fate.last {
                Last::Succeeded | Last::Skipped => true,
                Last::Failed => need.reason == EdgeReason::Order || other.continue_on_error,
                Last::Blocked | Last::Cancelled => need.reason == EdgeReason::Order,
                Last::Nothing | Last::Running | Last::CutOff | Last::FailedForNow | Last::Rerun => false,
            };
            must(ended, &format!("it needs {}, which is {:?}", need.step, fate.last))?;
        }
        Ok(())
    }

    fn section_is_due(&self, section: Section) -> Told {
        let all_ended = |wanted: Section| self.of(wanted).all(|(_, fate)| fate.last.is_end());
        match section {
            Section::Main => Ok(()),
            Section::OnFailure => must(
                all_ended(Section::Main) && self.main_failed(),
                "nothing has failed, or main steps go on",
            ),
            Section::Finally => {
                must(all_ended(Section::Main), "main steps go on")?;
                let called_for = self.main_failed() && !self.cancelled;
                must(!called_for || all_ended(Section::OnFailure), "`on_failure` goes on")
            }
        }
    }

    fn main_failed(&self) -> bool {
        self.of(Section::Main).any(|(step, fate)| fate.last == Last::Failed && !step.continue_on_error)
    }

    fn of(&self, section: Section) -> impl Iterator<Item = (&PlanStep, &Fate)> {
        self.plan
            .steps
            .iter()
            .filter(move |step| step.section == section)
            .map(|step| (step, &self.fates[&step.id]))
    }

    fn ends(&mut self, id: &StepId, how: Last) -> Told {
        let fate = self.fate(id)?;
        must(!fate.last.is_end(), "it ends once in a round")?;
        fate.last = how;
        Ok(())
    }

    fn finished(&mut self, outcome: Outcome) -> Told {
        let runs = self.fates.values().any(|fate| fate.last == Last::Running);
        must(!runs, "the run ends while a step runs")?;
        must(self.of(Section::Main).all(|(_, fate)| fate.last.is_end()), "a main step has not ended")?;
        // After the second word `finally` is left for the round that resumes it.
        let left = self.of(Section::Finally).any(|(_, fate)| !fate.last.is_end());
        must(self.cancelled || !left, "a step of `finally` has not run")?;
        let cancelled = left || self.fates.values().any(|fate| fate.last == Last::Cancelled);
        let warned = self.fates.values().any(|fate| matches!(fate.last, Last::Failed | Last::Blocked));
        let expected = match (self.main_failed(), cancelled, warned) {
            (true, _, _) => Outcome::Failed,
            (false, true, _) => Outcome::Cancelled,
            (false, false, true) => Outcome::SucceededWithWarnings,
            (false, false, false) => Outcome::Succeeded,
        };
        must(outcome == expected, &format!("it ended as {expected:?}"))?;
        self.ended = Some(outcome);
        Ok(())
    }

    fn step(&self, id: &StepId) -> Result<&'p PlanStep, String> {
        self.plan.steps.iter().find(|step| step.id == *id).ok_or_else(|| format!("no step {id}"))
    }

    fn agreement(&mut self, id: &StepId) -> Result<&mut Agreement, String> {
        self.agreements.get_mut(id).ok_or_else(|| format!("no step {id}"))
    }

    fn fate(&mut self, id: &StepId) -> Result<&mut Fate, String> {
        self.fates.get_mut(id).ok_or_else(|| format!("no step {id}"))
    }
}
