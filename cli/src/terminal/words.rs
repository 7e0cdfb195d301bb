//! Events, bytes and durations in words.

use std::time::Duration;

use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Outcome, StepFinding};
use rekindle_engine::plan::{printable, short_hash};
use rekindle_engine::run::Awaited;

/// Gives a duration with three digits that matter: `340ms`, `12.4s`, `3m05s`, `2h07m`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Gives a size in binary units: `312.4 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Gives how a run ended.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::SucceededWithWarnings => "succeeded with warnings",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

/// Gives the help that belongs to an event, on a line of its own.
pub(crate) fn help(event: &Event) -> Option<String> {
    match event {
        Event::StepFailed { error, .. } => {
            error.help.as_ref().map(|help| format!("    help: {}", printable(help)))
        }
        _ => None,
    }
}

/// Gives an event as one line without its time, or nothing when a person has no use for it.
pub(crate) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted { run, runbook, runbook_version, environment, .. } => {
            format!("run {run}: {runbook} {runbook_version} in {environment}")
        }
        Event::RunResumed { .. } => "resumed".to_owned(),
        Event::StepStarted { step, attempt: 1 } => format!("{step}: started"),
        Event::StepStarted { step, attempt } => format!("{step}: started, attempt {attempt}"),
        Event::StepCheckpoint { .. } => return None,
        Event::StepWarned { step, text } => format!("{step}: warning: {}", printable(text)),
        Event::StepSucceeded { step, .. } => format!("{step}: done"),
        Event::StepFailed { step, error, retry_at } => {
            let next = retry_at.map_or(String::new(), |at| format!("; next attempt at {at:.0}"));
            format!("{step}: failed: {}{next}", printable(&error.to_string()))
        }
        Event::StepSkipped { step } => format!("{step}: skipped, its condition is false"),
        Event::StepBlocked { step, by } => format!("{step}: blocked by {by}"),
        Event::StepCancelled { step } => format!("{step}: cancelled"),
        Event::StepProbed { step, finding } => format!("{step}: looked: {}", found(finding)),
        Event::StepResolved { step, resolution, by, why } => {
            said(step, &format!("decided as {}", format!("{resolution:?}").to_lowercase()), by, "", why)
        }
        Event::ApprovalRequested { step, needed, what, expires_at } => {
            let until = expires_at.map_or(String::new(), |at| format!(", until {at:.0}"));
            format!("{step}: waits for approval by {needed}{until}: {what}")
        }
        Event::StepApproved { step, by, why, from, .. } => said(step, "approved", by, from, why),
        Event::StepRejected { step, by, why, from, .. } => said(step, "rejected", by, from, why),
        Event::ApprovalExpired { step } => format!("{step}: too few approved in time"),
        Event::RunWaiting { .. } => "waiting for approval".to_owned(),
        Event::RunReplanned { plan_hash, by, reused } => {
            let hash = short_hash(plan_hash);
            format!("planned again by {by}: plan {hash}, {} steps still count", reused.len())
        }
        Event::CancelRequested { by } => format!("cancelling ({by})"),
        Event::RunPaused { step, question } => format!("paused at {step}: {question}"),
        Event::RunFinished { outcome: how } => format!("run {}", outcome(*how)),
    })
}

fn said(step: &StepId, word: &str, by: &str, from: &str, why: &str) -> String {
    let from = if from.is_empty() { String::new() } else { format!(" ({from})") };
    let why = if why.is_empty() { String::new() } else { format!(": {}", printable(why)) };
    format!("{step}: {word} by {}{from}{why}", printable(by))
}

/// Gives a question that is open: `restore (1 of 2: kim), until …: restore …`.
pub(crate) fn awaited(awaited: &Awaited) -> String {
    let by = if awaited.approved_by.is_empty() {
        String::new()
    } else {
        format!(": {}", awaited.approved_by.join(", "))
    };
    let until = awaited.expires_at.map_or(String::new(), |at| format!(", until {at:.0}"));
    let (step, count, needed) = (&awaited.step, awaited.approved_by.len(), awaited.needed);
    format!("{step} ({count} of {needed}{by}){until}: {}", awaited.what)
}

fn found(finding: &StepFinding) -> String {
    match finding {
        StepFinding::Absent => "its effect is not there".to_owned(),
        StepFinding::Complete => "its effect is there".to_owned(),
        StepFinding::Partial { found } => format!("a part is there: {found}"),
        StepFinding::Unknown { why } => format!("can't tell: {why}"),
    }
}
