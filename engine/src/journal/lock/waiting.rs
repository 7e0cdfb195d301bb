//! What a run waits for while nobody drives it: receives its records, yields the question if one is open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Event, Record};
use crate::id::{RunId, StepId};

/// What a run that nobody drives waits for. It keeps its group's lock meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// A person must say what became of steps that were under way; without limit.
    Decision {
        /// Which.
        steps: Vec<StepId>,
    },
    /// People must agree to steps.
    Approval {
        /// Which.
        steps: Vec<StepId>,
        /// When the wait is over and counts as a rejection; never when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
}

impl Waiting {
    /// Gives when it is over by itself.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Decision { .. } => None,
            Self::Approval { until, .. } => *until,
        }
    }

    /// Says it: `a decision on step restore`.
    pub fn describe(&self) -> String {
        match self {
            Self::Decision { steps } => format!("a decision on {}", list(steps)),
            Self::Approval { steps, until: None } => format!("approval of {}", list(steps)),
            Self::Approval { steps, until: Some(until) } => {
                format!("approval of {} until {until:.0}", list(steps))
            }
        }
    }

    /// Says what to type to end the wait.
    pub fn help(&self, run: &RunId) -> String {
        let cancel = format!("`rekindle cancel {run}`");
        match self {
            Self::Decision { steps } => {
                let words: Vec<_> =
                    steps.iter().map(|step| format!("--resolve {step}=done|rerun|fail")).collect();
                let resolve = words.join(" ");
                format!("decide with `rekindle resume {run} {resolve}`, or give it up with {cancel}")
            }
            Self::Approval { steps, .. } => {
                let step = steps.first().map_or("STEP", StepId::as_str);
                format!("`rekindle approve {run} {step}`, `rekindle reject {run} {step}`, or {cancel}")
            }
        }
    }
}

fn list(steps: &[StepId]) -> String {
    let names: Vec<_> = steps.iter().map(|step| format!("`{step}`")).collect();
    format!("step{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// Tells from a run's records what it waits for, if it does and its runner stopped by intent.
pub fn waiting(records: &[Record]) -> Option<Waiting> {
    let mut steps = Vec::new();
    let mut approval = None;
    let mut times: BTreeMap<&StepId, Option<Timestamp>> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::RunPaused { step, .. } => steps.push(step.clone()),
            Event::ApprovalRequested { step, expires_at, .. } => {
                times.insert(step, *expires_at);
            }
            Event::RunWaiting { steps } => {
                // The first of them that is not approved in time fails, and the run goes on to its end.
                let until = steps.iter().filter_map(|step| times.get(step).copied().flatten()).min();
                approval = Some(Waiting::Approval { steps: steps.clone(), until });
            }
            Event::RunStarted { .. } | Event::RunResumed { .. } | Event::RunFinished { .. } => {
                steps.clear();
                approval = None;
            }
            Event::StepStarted { .. }
            | Event::StepCheckpoint { .. }
            | Event::StepWarned { .. }
            | Event::StepSucceeded { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepBlocked { .. }
            | Event::StepCancelled { .. }
            | Event::StepProbed { .. }
            | Event::StepResolved { .. }
            | Event::StepApproved { .. }
            | Event::StepRejected { .. }
            | Event::ApprovalExpired { .. }
            | Event::RunReplanned { .. }
            | Event::CancelRequested { .. } => {}
        }
    }
    if steps.is_empty() { approval } else { Some(Waiting::Decision { steps }) }
}
