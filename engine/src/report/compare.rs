//! Two runs → what differed between them: what they were to do, how their steps ended, how long they took.

use std::fmt::Write as _;

use serde::Serialize;

use super::types::{Report, StepReport, StepStatus};
use super::{report, words};
use crate::id::{RunId, StepId};
use crate::journal::{Event, Outcome, Record, SourceCommit};
use crate::plan::{Paint, Plan, PlanDiff, Style, diff, printable, short_hash};

/// What differed between two runs. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDiff {
    /// The one.
    pub old: RunSide,
    /// The other.
    pub new: RunSide,
    /// How their plans differ.
    pub plan: PlanDiff,
    /// Every step of either: those of the new run in the order of their start, then the others.
    pub steps: Vec<StepSides>,
}

/// One of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSide {
    /// Which; absent when its journal is empty.
    pub run: Option<RunId>,
    /// The runbook's name.
    pub runbook: String,
    /// The runbook's version.
    pub runbook_version: String,
    /// The runbook's commit, where it was known.
    pub commit: Option<SourceCommit>,
    /// The environment's name.
    pub environment: String,
    /// The hash of the plan.
    pub plan_hash: String,
    /// How it ended; absent when it has not.
    pub outcome: Option<Outcome>,
    /// From its start to its end or last sign of life.
    pub total_ms: u64,
}

/// One step in two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepSides {
    /// Which.
    pub id: StepId,
    /// In the one run; absent when it has no such step.
    pub old: Option<StepSide>,
    /// In the other run.
    pub new: Option<StepSide>,
}

/// One step in one of two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepSide {
    /// Where it stands.
    pub status: StepStatus,
    /// From its first start to its last end, waits included.
    pub took_ms: u64,
    /// How often it was tried.
    pub attempts: usize,
}

/// Compares two runs, each with its plan and its journal.
pub fn compare(old: (&Plan, &[Record]), new: (&Plan, &[Record])) -> RunDiff {
    let (old_report, new_report) = (report(old.0, old.1), report(new.0, new.1));
    let known = |steps: &[StepReport], id: &StepId| steps.iter().any(|step| step.id == *id);
    let only_old = old_report.steps.iter().filter(|step| !known(&new_report.steps, &step.id));
    let steps = new_report.steps.iter().chain(only_old).map(|step| StepSides {
        id: step.id.clone(),
        old: step_side(&old_report, &step.id),
        new: step_side(&new_report, &step.id),
    });
    RunDiff {
        steps: steps.collect(),
        plan: diff(old.0, new.0),
        old: run_side(old_report, old.1),
        new: run_side(new_report, new.1),
    }
}

/// Gives the commit that a run's runbook was of, where it was known.
pub fn commit(records: &[Record]) -> Option<&SourceCommit> {
    match records.first().map(|record| &record.event) {
        Some(Event::RunStarted { commit, .. }) => commit.as_ref(),
        Some(_) | None => None,
    }
}

fn run_side(report: Report, records: &[Record]) -> RunSide {
    RunSide {
        run: report.run,
        runbook: report.runbook,
        runbook_version: report.runbook_version,
        commit: commit(records).cloned(),
        environment: report.environment,
        plan_hash: report.plan_hash,
        outcome: report.outcome,
        total_ms: report.total_ms,
    }
}

fn step_side(report: &Report, id: &StepId) -> Option<StepSide> {
    let step = report.steps.iter().find(|step| step.id == *id)?;
    Some(StepSide { status: step.status, took_ms: step.took_ms, attempts: step.attempts.len() })
}

impl SourceCommit {
    /// Says it in a few words: `3f2a91c0d4e5, edited since`.
    pub fn words(&self) -> String {
        let id = printable(short_hash(&self.id));
        if self.dirty { format!("{id}, edited since") } else { id }
    }
}

impl RunDiff {
    /// Writes it for people: what each run was, what its plan has or lacks, and how every step fared.
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        // Writing to a `String` can't fail: the results are dropped here and below.
        for (title, old, new) in self.heading() {
            let mark = if old == new || title == "run" { " " } else { "~" };
            let _ = writeln!(text, "{mark} {title:<12} {:<36} {}", printable(&old), printable(&new));
        }
        text.push('\n');
        if self.plan.is_empty() {
            text.push_str("their plans do the same\n");
        } else {
            text.push_str(&self.plan.text(style));
        }
        let _ = writeln!(text, "\n{}", style.paint(Paint::Strong, "how the steps fared"));
        let width = self.steps.iter().map(|step| step.id.as_str().chars().count()).max().unwrap_or(0);
        for step in &self.steps {
            let status = |side: Option<StepSide>| side.map(|side| (side.status, side.attempts));
            let mark = if status(step.old) == status(step.new) { " " } else { "~" };
            let id = printable(step.id.as_str());
            let _ = writeln!(text, "{mark} {id:<width$}  {:<36} {}", fared(step.old), fared(step.new));
        }
        text
    }

    fn heading(&self) -> [(&'static str, String, String); 7] {
        let (old, new) = (&self.old, &self.new);
        let both = |of: &dyn Fn(&RunSide) -> String| (of(old), of(new));
        let row = |title, (old, new)| (title, old, new);
        [
            row("run", both(&|side| side.run.as_ref().map_or("not started".to_owned(), ToString::to_string))),
            row("runbook", both(&|side| format!("{} {}", side.runbook, side.runbook_version))),
            row("commit", both(&|side| side.commit.as_ref().map_or("-".to_owned(), SourceCommit::words))),
            row("environment", both(&|side| side.environment.clone())),
            row("plan", both(&|side| short_hash(&side.plan_hash).to_owned())),
            row("ended", both(&|side| ended(side.outcome).to_owned())),
            row("took", both(&|side| words::duration(side.total_ms))),
        ]
    }
}

fn ended(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::SucceededWithWarnings) => "succeeded with warnings",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        None => "not finished",
    }
}

fn fared(side: Option<StepSide>) -> String {
    let Some(side) = side else { return "-".to_owned() };
    let status = words::status(side.status);
    let tries = if side.attempts > 1 { format!(", {} attempts", side.attempts) } else { String::new() };
    if side.attempts == 0 {
        status.to_owned()
    } else {
        format!("{status} in {}{tries}", words::duration(side.took_ms))
    }
}
