//! Whether what was promised was kept: recovery time and recovery point.

use jiff::Timestamp;
use serde_json::Value;

use super::fold::between;
use super::types::{Measured, Objectives, Report, Verdict};
use crate::journal::Outcome;
use crate::plan::{Plan, Section};
use crate::step::Effect;
use crate::values::DurationText;

/// Reads what point a step recovers to or has saved: `recovery_point` (RFC 3339) at the top of its outputs.
pub(super) fn recovery_point(outputs: &Value) -> Option<Timestamp> {
    outputs.get("recovery_point")?.as_str()?.parse().ok()
}

/// Compares what the run achieved with the environment's objectives.
///
/// Gives nothing for a run that recovers nothing: one that replaces no data, or one (a backup) whose every
/// recovery point is newer than its start.
pub(super) fn objectives(plan: &Plan, report: &Report, points: &[Timestamp]) -> Option<Objectives> {
    let started_at = report.started_at?;
    let replaces = |step: &crate::plan::PlanStep| {
        step.effect == Effect::Destroy && step.section == Section::Main && !step.skipped
    };
    let recovered = points.iter().filter(|point| **point <= started_at).max();
    if !plan.steps.iter().any(replaces) || (recovered.is_none() && !points.is_empty()) {
        return None;
    }
    let promised = plan.settings.objectives.as_ref();
    let ended = match report.outcome {
        // What is left is `finally:`, such as the step that writes this very report.
        None if report.steps_done => Ended::Well,
        None => Ended::NotYet,
        Some(Outcome::Succeeded | Outcome::SucceededWithWarnings) => Ended::Well,
        Some(Outcome::Failed | Outcome::Cancelled) => Ended::Badly,
    };
    let lost = recovered.map(|point| between(Some(*point), Some(started_at)));
    Some(Objectives {
        recovery_time: recovery_time(report.total_ms, promised.and_then(|promised| promised.rto), ended),
        recovery_point: recovered_to(lost, promised.and_then(|promised| promised.rpo), ended),
    })
}

#[derive(Clone, Copy)]
enum Ended {
    NotYet,
    Well,
    Badly,
}

fn recovery_time(total_ms: u64, promised: Option<DurationText>, ended: Ended) -> Measured {
    let promised_ms = promised.map(milliseconds);
    let kept = promised_ms.map(|promised| total_ms <= promised);
    let verdict = match (kept, ended) {
        (None, _) => Verdict::NoObjective,
        (Some(true), Ended::Well) => Verdict::Met,
        (Some(true), Ended::NotYet) => Verdict::Open,
        // Not recovered, or too late already.
        (Some(true), Ended::Badly) | (Some(false), _) => Verdict::Missed,
    };
    let achieved_ms = matches!(ended, Ended::Well).then_some(total_ms);
    Measured { achieved_ms, promised_ms, verdict }
}

fn recovered_to(lost_ms: Option<u64>, promised: Option<DurationText>, ended: Ended) -> Measured {
    let promised_ms = promised.map(milliseconds);
    let verdict = match (lost_ms, promised_ms, ended) {
        (_, None, _) => Verdict::NoObjective,
        (None, Some(_), _) => Verdict::Unknown,
        (Some(_), Some(_), Ended::Badly) => Verdict::Missed,
        (Some(lost), Some(promised), Ended::Well | Ended::NotYet) if lost > promised => Verdict::Missed,
        (Some(_), Some(_), Ended::NotYet) => Verdict::Open,
        (Some(_), Some(_), Ended::Well) => Verdict::Met,
    };
    let achieved_ms = lost_ms.filter(|_| matches!(ended, Ended::Well));
    Measured { achieved_ms, promised_ms, verdict }
}

fn milliseconds(duration: DurationText) -> u64 {
    u64::try_from(duration.0.as_millis()).unwrap_or(u64::MAX)
}
