//! Folds records into a report, one event at a time.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::types::{
    Attempt, AttemptEnd, Decision, REPORT_FORMAT, Replanning, Report, Resumption, StepReport, StepStatus,
};
use super::{approval, objectives, path};
use crate::id::StepId;
use crate::journal::{Event, Outcome, Record, Resolution};
use crate::plan::{PinnedStep, Plan, PlanStep, Section};
use crate::step::{Effect, ErrorClass, StepError};

/// Makes the report of a run from its journal, complete or not. Events of steps that the plan has not are
/// passed over.
pub fn report(plan: &Plan, records: &[Record]) -> Report {
    let mut fold = Fold::new(plan);
    for record in records {
        fold.event(&record.event, record.at);
        fold.report.last_at = Some(record.at);
    }
    let mut report = fold.report;
    report.total_ms = between(report.started_at, report.last_at);
    report.downtime_ms = report.resumptions.iter().map(|resumption| resumption.downtime_ms).sum();
    for step in &mut report.steps {
        step.took_ms = match (first_start(step), last_end(step, report.last_at)) {
            (Some(start), Some(end)) => between(Some(start), Some(end)),
            _ => 0,
        };
    }
    report.steps_done = steps_done(plan, &report);
    path::measure(plan, &mut report);
    report.objectives = objectives::objectives(plan, &report, &fold.recovery_points);
    // Stable: steps that never started stay in plan order, after the others.
    report.steps.sort_by_key(|step| first_start(step).unwrap_or(Timestamp::MAX));
    report.steps.sort_by_key(|step| step.status != StepStatus::FoundWhilePlanning);
    report
}

fn steps_done(plan: &Plan, report: &Report) -> bool {
    let may_fail: HashSet<&StepId> =
        plan.steps.iter().filter(|step| step.continue_on_error).map(|step| &step.id).collect();
    report.steps.iter().filter(|step| step.section == Section::Main).all(|step| match step.status {
        StepStatus::FoundWhilePlanning | StepStatus::Succeeded | StepStatus::Skipped => true,
        StepStatus::Failed => may_fail.contains(&step.id),
        StepStatus::NotStarted
        | StepStatus::WaitingForApproval
        | StepStatus::Running
        | StepStatus::WaitingToRetry
        | StepStatus::Interrupted
        | StepStatus::Blocked
        | StepStatus::Cancelled => false,
    })
}

/// Gives the milliseconds from one time to the other; none when the clock went back or one is missing.
pub(super) fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> u64 {
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

pub(super) fn first_start(step: &StepReport) -> Option<Timestamp> {
    step.attempts.first().map(|attempt| attempt.started_at)
}

/// Gives when a step's last attempt ended; `now` while it goes on.
pub(super) fn last_end(step: &StepReport, now: Option<Timestamp>) -> Option<Timestamp> {
    step.attempts.last().and_then(|attempt| attempt.ended_at.or(now))
}

struct Fold {
    report: Report,
    position: HashMap<StepId, usize>,
    recovery_points: Vec<Timestamp>,
    paused: bool,
}

impl Fold {
    fn new(plan: &Plan) -> Self {
        let pinned = plan.pinned.iter().map(found_while_planning);
        let steps: Vec<_> = pinned.chain(plan.steps.iter().map(not_started)).collect();
        let position = steps.iter().enumerate().map(|(position, step)| (step.id.clone(), position)).collect();
        let recovery_points =
            plan.pinned.iter().filter_map(|pinned| objectives::recovery_point(&pinned.outputs)).collect();
        let report = Report {
            format: REPORT_FORMAT,
            run: None,
            runbook: plan.runbook.name.clone(),
            runbook_version: plan.runbook.version.clone(),
            environment: plan.settings.name.clone(),
            plan_hash: plan.hash.clone(),
            outcome: None,
            steps_done: false,
            started_at: None,
            last_at: None,
            total_ms: 0,
            downtime_ms: 0,
            busy_ms: 0,
            most_at_once: 0,
            resumptions: Vec::new(),
            replans: Vec::new(),
            cancelled_by: None,
            question: None,
            decisions: Vec::new(),
            steps,
            critical_path: Vec::new(),
            objectives: None,
        };
        Self { report, position, recovery_points, paused: false }
    }

    fn event(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RunStarted { run, .. } => {
                self.report.run = Some(run.clone());
                self.report.started_at = Some(at);
            }
            Event::RunResumed { .. } => self.resumed(at),
            Event::RunReplanned { plan_hash, reused, by } => self.replanned(plan_hash, reused, by, at),
            Event::CancelRequested { by } => {
                self.report.cancelled_by.get_or_insert_with(|| by.clone());
            }
            Event::RunPaused { step: _, question } => {
                self.paused = true;
                self.report.question = Some(question.clone());
            }
            Event::RunFinished { outcome } => self.finished(*outcome),
            Event::StepResolved { step, resolution, by, why } => {
                self.resolved(step, *resolution, at);
                let (by, why) = (by.clone(), why.clone());
                let (step, resolution) = (step.clone(), *resolution);
                self.report.decisions.push(Decision { step, resolution, by, why, at });
            }
            Event::RunWaiting { .. } => self.paused = true,
            Event::StepStarted { step, .. }
            | Event::ApprovalRequested { step, .. }
            | Event::StepApproved { step, .. }
            | Event::StepRejected { step, .. }
            | Event::ApprovalExpired { step }
            | Event::StepCheckpoint { step, .. }
            | Event::StepWarned { step, .. }
            | Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step }
            | Event::StepBlocked { step, .. }
            | Event::StepCancelled { step }
            | Event::StepProbed { step, .. } => {
                if let Event::StepSucceeded { outputs, .. } = event {
                    self.recovery_points.extend(objectives::recovery_point(outputs));
                }
                if let Some(&position) = self.position.get(step) {
                    step_event(&mut self.report.steps[position], event, at);
                }
            }
        }
    }

    fn resumed(&mut self, at: Timestamp) {
        let lost_at = self.report.last_at.unwrap_or(at);
        for step in &mut self.report.steps {
            if step.status == StepStatus::Running {
                end_attempt(step, lost_at, AttemptEnd::Interrupted, None);
                step.status = StepStatus::Interrupted;
            }
        }
        self.report.resumptions.push(Resumption {
            lost_at,
            resumed_at: at,
            downtime_ms: between(Some(lost_at), Some(at)),
            paused: std::mem::take(&mut self.paused),
        });
        self.report.question = None;
    }

    fn replanned(&mut self, plan_hash: &str, reused: &[StepId], by: &str, at: Timestamp) {
        let (plan_hash, by) = (plan_hash.to_owned(), by.to_owned());
        for step in &mut self.report.steps {
            let fixed =
                step.status == StepStatus::FoundWhilePlanning || step.status == StepStatus::Interrupted;
            if !fixed && !reused.contains(&step.id) {
                step.status = StepStatus::NotStarted;
                step.blocked_by = None;
                // Answers to the plan before do not count any more.
                step.approval.iter_mut().for_each(|approval| approval.earlier = approval.answers.len());
            }
        }
        self.report.replans.push(Replanning { plan_hash, reused: reused.to_vec(), by, at });
    }

    fn resolved(&mut self, step: &StepId, resolution: Resolution, at: Timestamp) {
        self.report.question = None;
        let Some(&position) = self.position.get(step) else { return };
        let step = &mut self.report.steps[position];
        end_attempt(step, at, AttemptEnd::Interrupted, None);
        step.status = match resolution {
            Resolution::Done => StepStatus::Succeeded,
            Resolution::Rerun => StepStatus::NotStarted,
            Resolution::Fail => StepStatus::Failed,
        };
    }

    fn finished(&mut self, outcome: Outcome) {
        self.report.outcome = Some(outcome);
        self.report.question = None;
    }
}

fn step_event(step: &mut StepReport, event: &Event, at: Timestamp) {
    match event {
        Event::StepStarted { attempt, .. } => {
            step.status = StepStatus::Running;
            let end = AttemptEnd::Running;
            step.attempts.push(Attempt {
                number: *attempt,
                started_at: at,
                ended_at: None,
                end,
                error: None,
            });
        }
        Event::StepCheckpoint { .. } => step.checkpoints += 1,
        Event::StepWarned { text, .. } => step.warnings.push(text.clone()),
        Event::StepProbed { finding, .. } => step.probes.push(finding.clone()),
        Event::StepSucceeded { .. } => {
            end_attempt(step, at, AttemptEnd::Succeeded, None);
            step.status = StepStatus::Succeeded;
        }
        Event::StepFailed { error, retry_at, .. } => {
            let cancelled = error.class == ErrorClass::Cancelled;
            let end = if cancelled { AttemptEnd::Cancelled } else { AttemptEnd::Failed };
            end_attempt(step, at, end, Some(error));
            step.status = if retry_at.is_some() { StepStatus::WaitingToRetry } else { StepStatus::Failed };
        }
        Event::StepSkipped { .. } => step.status = StepStatus::Skipped,
        Event::StepBlocked { by, .. } => {
            step.status = StepStatus::Blocked;
            step.blocked_by = Some(by.clone());
        }
        Event::StepCancelled { .. } => {
            end_attempt(step, at, AttemptEnd::Cancelled, None);
            step.status = StepStatus::Cancelled;
        }
        Event::ApprovalRequested { .. }
        | Event::StepApproved { .. }
        | Event::StepRejected { .. }
        | Event::ApprovalExpired { .. } => approval::event(step, event, at),
        // Events of the run are not given to steps.
        Event::RunStarted { .. }
        | Event::RunResumed { .. }
        | Event::StepResolved { .. }
        | Event::RunReplanned { .. }
        | Event::CancelRequested { .. }
        | Event::RunPaused { .. }
        | Event::RunWaiting { .. }
        | Event::RunFinished { .. } => {}
    }
}

/// Ends the attempt that goes on, if one does: after a crash the end was recorded with the resumption.
fn end_attempt(step: &mut StepReport, at: Timestamp, end: AttemptEnd, error: Option<&StepError>) {
    if let Some(attempt) = step.attempts.last_mut()
        && attempt.end == AttemptEnd::Running
    {
        attempt.ended_at = Some(at);
        attempt.end = end;
        attempt.error = error.cloned();
    }
}

fn not_started(step: &PlanStep) -> StepReport {
    StepReport {
        id: step.id.clone(),
        kind: step.kind.clone(),
        section: step.section,
        effect: step.effect,
        status: if step.skipped { StepStatus::Skipped } else { StepStatus::NotStarted },
        blocked_by: None,
        approval: None,
        attempts: Vec::new(),
        took_ms: 0,
        warnings: Vec::new(),
        checkpoints: 0,
        probes: Vec::new(),
    }
}

fn found_while_planning(pinned: &PinnedStep) -> StepReport {
    StepReport {
        id: pinned.id.clone(),
        kind: pinned.kind.clone(),
        section: Section::Main,
        effect: Effect::Read,
        status: StepStatus::FoundWhilePlanning,
        blocked_by: None,
        approval: None,
        attempts: Vec::new(),
        took_ms: 0,
        warnings: Vec::new(),
        checkpoints: 0,
        probes: Vec::new(),
    }
}
