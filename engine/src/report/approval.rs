//! Folds what people said to a step into its report.

use jiff::Timestamp;

use super::types::{Approval, Said, StepReport, StepStatus};
use crate::journal::Event;
use crate::run::Answer;

/// Takes in an event of an approval; passes over all others.
pub(super) fn event(step: &mut StepReport, event: &Event, at: Timestamp) {
    match event {
        Event::ApprovalRequested { needed, what, expires_at, .. } => {
            step.status = StepStatus::WaitingForApproval;
            let answers = step.approval.take().map(|before| before.answers).unwrap_or_default();
            step.approval = Some(Approval {
                needed: *needed,
                what: what.clone(),
                requested_at: at,
                expires_at: *expires_at,
                expired: false,
                earlier: answers.len(),
                answers,
            });
        }
        Event::StepApproved { by, why, from, .. } => {
            let Some(approval) = &mut step.approval else { return };
            approval.answers.push(said(Answer::Approve, (by, from), why, at));
            if approval.approved_by().len() >= usize::try_from(approval.needed).unwrap_or(usize::MAX) {
                step.status = StepStatus::NotStarted;
            }
        }
        Event::StepRejected { by, why, from, .. } => {
            let said = said(Answer::Reject, (by, from), why, at);
            step.approval.iter_mut().for_each(|approval| approval.answers.push(said.clone()));
            step.status = StepStatus::Failed;
        }
        Event::ApprovalExpired { .. } => {
            step.approval.iter_mut().for_each(|approval| approval.expired = true);
            step.status = StepStatus::Failed;
        }
        Event::RunStarted { .. }
        | Event::RunResumed { .. }
        | Event::StepStarted { .. }
        | Event::StepCheckpoint { .. }
        | Event::StepWarned { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepBlocked { .. }
        | Event::StepCancelled { .. }
        | Event::StepProbed { .. }
        | Event::StepResolved { .. }
        | Event::RunReplanned { .. }
        | Event::RunWaiting { .. }
        | Event::CancelRequested { .. }
        | Event::RunPaused { .. }
        | Event::RunFinished { .. } => {}
    }
}

fn said(answer: Answer, (by, from): (&str, &str), why: &str, at: Timestamp) -> Said {
    Said { answer, by: by.to_owned(), from: from.to_owned(), why: why.to_owned(), at }
}

impl Approval {
    /// Gives who has agreed since the question was asked last, each once.
    pub fn approved_by(&self) -> Vec<&str> {
        let mut by: Vec<&str> = Vec::new();
        for said in self.answers.iter().skip(self.earlier) {
            if said.answer == Answer::Approve && !by.contains(&said.by.as_str()) {
                by.push(&said.by);
            }
        }
        by
    }
}
