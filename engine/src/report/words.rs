//! The words that all views of a report share.

use super::types::{Approval, Measured, Report, StepReport, StepStatus, Verdict};
use crate::journal::{Outcome, Resolution, StepFinding};
use crate::run::Answer;

/// `320ms`, `48.2s`, `1m 42s`, `2h 05m`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    if ms < 1000 {
        format!("{ms}ms")
    } else if seconds < 60 {
        format!("{seconds}.{}s", ms % 1000 / 100)
    } else if seconds < 3600 {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60)
    }
}

pub(super) fn outcome(report: &Report) -> &'static str {
    match report.outcome {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::SucceededWithWarnings) => "succeeded with warnings",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        None if report.question.is_some() => "waiting for a decision",
        None if report.steps.iter().any(|step| step.status == StepStatus::WaitingForApproval) => {
            "waiting for approval"
        }
        None if report.started_at.is_none() => "not started",
        None if report.steps_done => "succeeded, finishing",
        None => "not finished",
    }
}

pub(super) fn status(status: StepStatus) -> &'static str {
    match status {
        StepStatus::FoundWhilePlanning => "found while planning",
        StepStatus::NotStarted => "not started",
        StepStatus::Running => "running",
        StepStatus::WaitingForApproval => "waiting for approval",
        StepStatus::WaitingToRetry => "waiting to try again",
        StepStatus::Interrupted => "interrupted",
        StepStatus::Succeeded => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
        StepStatus::Blocked => "blocked",
        StepStatus::Cancelled => "cancelled",
    }
}

pub(super) fn finding(finding: &StepFinding) -> String {
    match finding {
        StepFinding::Absent => "nothing of its effect".to_owned(),
        StepFinding::Complete => "its whole effect".to_owned(),
        StepFinding::Partial { found } => format!("a part of its effect: {found}"),
        StepFinding::Unknown { why } => format!("nothing certain: {why}"),
    }
}

pub(super) fn resolution(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Done => "it is done",
        Resolution::Rerun => "run it again",
        Resolution::Fail => "count it as failed",
    }
}

/// What is worth saying of a step besides its time: `failed, 2 attempts, 1 warning, a probe found …`.
pub(super) fn remarks(step: &StepReport) -> Vec<String> {
    let mut remarks = Vec::new();
    match (&step.blocked_by, step.status) {
        (Some(by), StepStatus::Blocked) => remarks.push(format!("blocked by {by}")),
        (_, StepStatus::Succeeded) => {}
        (_, other) => remarks.push(status(other).to_owned()),
    }
    if step.attempts.len() > 1 {
        remarks.push(format!("{} attempts", step.attempts.len()));
    }
    if !step.warnings.is_empty() {
        remarks.push(count(step.warnings.len(), "warning"));
    }
    remarks.extend(step.probes.iter().map(|found| format!("a probe found {}", finding(found))));
    remarks
}

/// Everything that people said to steps, and what was left unsaid, with whom and when:
/// `restore: approved by kim at 2026-…: looks right`.
pub(super) fn approvals(report: &Report) -> Vec<(&StepReport, String)> {
    let mut lines = Vec::new();
    for step in &report.steps {
        let Some(approval) = &step.approval else { continue };
        for said in &approval.answers {
            let word = match said.answer {
                Answer::Approve => "approved",
                Answer::Reject => "rejected",
            };
            let from = if said.from.is_empty() { String::new() } else { format!(" ({})", said.from) };
            let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
            lines.push((step, format!("{word} by {}{from} at {:.0}{why}", said.by, said.at)));
        }
        if approval.expired {
            let until = approval.expires_at.map_or_else(String::new, |at| format!(" until {at:.0}"));
            lines.push((step, format!("too few approved{until}: {}", tally(approval))));
        } else if step.status == StepStatus::WaitingForApproval {
            let until = approval.expires_at.map_or_else(String::new, |at| format!(", until {at:.0}"));
            lines.push((step, format!("waiting: {}{until}", tally(approval))));
        }
    }
    lines
}

fn tally(approval: &Approval) -> String {
    format!("{} of {}", approval.approved_by().len(), approval.needed)
}

pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `resumed once, 3.1s without a runner`; nothing when one process did it all.
pub(super) fn resumptions(report: &Report) -> Option<String> {
    let times = match report.resumptions.len() {
        0 => return None,
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    };
    Some(format!("resumed {times}, {} without a runner", duration(report.downtime_ms)))
}

/// `replanned once`; nothing when the first plan was the only one.
pub(super) fn replans(report: &Report) -> Option<String> {
    Some(match report.replans.len() {
        0 => return None,
        1 => "replanned once".to_owned(),
        2 => "replanned twice".to_owned(),
        more => format!("replanned {more} times"),
    })
}

/// `1m 42s, promised 1h 00m: met`.
pub(super) fn measured(measured: &Measured) -> String {
    let achieved = measured.achieved_ms.map_or_else(|| "not known".to_owned(), duration);
    let promised = measured.promised_ms.map(duration).unwrap_or_default();
    match measured.verdict {
        Verdict::Met => format!("{achieved}, promised {promised}: met"),
        Verdict::Missed if measured.achieved_ms.is_none() => {
            format!("not recovered, promised {promised}: missed")
        }
        Verdict::Missed => format!("{achieved}, promised {promised}: missed"),
        Verdict::Open => format!("not decided yet, promised {promised}"),
        Verdict::NoObjective => format!("{achieved}, nothing promised"),
        Verdict::Unknown => format!("not known: no step says what it recovered to; promised {promised}"),
    }
}

/// `provision 1.5s → restore 48.2s (after 2.0s)`.
pub(super) fn critical_path(report: &Report) -> String {
    let links = report.critical_path.iter().map(|link| {
        // Less than a tenth of a second is the driver's own.
        let waited = match link.waited_ms {
            0..100 => String::new(),
            waited => format!(" (after waiting {})", duration(waited)),
        };
        format!("{} {}{waited}", link.step, duration(link.took_ms))
    });
    links.collect::<Vec<_>>().join(" → ")
}
