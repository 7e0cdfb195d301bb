//! People's agreement: who is asked, who has answered, and what that makes of a step.
//!
//! A step that needs approval and could start otherwise asks once, then waits. Approvals count for the plan their
//! giver saw and each person counts once; enough of them let the step start, in this and every later round of the
//! run. One rejection, or the end of the time, makes it fail.

use jiff::Timestamp;

use super::apply::{Legal, ensure, illegal};
use super::step::StepState;
use super::{RunState, StepStatus};
use crate::id::StepId;
use crate::run::{Answer, Verdict};
use crate::step::StepError;

/// A step that waits for people to agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Which.
    pub step: StepId,
    /// The number of the record that asked: an answer to an earlier question is not one to this.
    pub request: u64,
    /// What it will do.
    pub what: String,
    /// How many people must agree.
    pub needed: u32,
    /// Who has, in order.
    pub approved_by: Vec<String>,
    /// When it fails if they have not.
    pub expires_at: Option<Timestamp>,
}

impl Awaited {
    /// Gives how many more people must agree.
    pub fn missing(&self) -> usize {
        usize::try_from(self.needed).unwrap_or(usize::MAX).saturating_sub(self.approved_by.len())
    }

    /// Says whether a person of this name has approved. Names that differ in case are one: `Kim` is no second person.
    pub fn has_approved(&self, name: &str) -> bool {
        knows(&self.approved_by, name)
    }

    /// Says it for people: `restore (1 of 2)`.
    pub fn words(&self) -> String {
        format!("{} ({} of {})", self.step, self.approved_by.len(), self.needed)
    }
}

fn knows(names: &[String], name: &str) -> bool {
    let same = |known: &String| known.trim().to_lowercase() == name.trim().to_lowercase();
    names.iter().any(same)
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    seq: u64,
    what: String,
    needed: u32,
    by: Vec<String>,
    pub(super) expires_at: Option<Timestamp>,
}

impl StepState {
    /// Says whether people must agree before it may start, and have not.
    pub(super) fn must_be_approved(&self) -> bool {
        self.rules.approval.is_some() && !self.approved
    }
}

impl RunState {
    /// Gives the steps that wait for people to agree, in plan order.
    pub fn awaited(&self) -> Vec<Awaited> {
        let open = |(id, state): (&StepId, &StepState)| {
            let request = state.request.as_ref().filter(|_| state.status == StepStatus::AwaitingApproval)?;
            Some(Awaited {
                step: id.clone(),
                request: request.seq,
                what: request.what.clone(),
                needed: request.needed,
                approved_by: request.by.clone(),
                expires_at: request.expires_at,
            })
        };
        self.steps.iter().filter_map(open).collect()
    }

    /// Says why a person's answer can't be taken now; nothing when it can. Looked at before it is written down.
    pub fn refusal(&self, verdict: &Verdict, now: Timestamp) -> Option<String> {
        let Some(state) = self.steps.get(&verdict.step) else {
            return Some(format!("the plan has no step `{}`", verdict.step));
        };
        let Some(request) = state.request.as_ref().filter(|_| state.status == StepStatus::AwaitingApproval)
        else {
            return Some(format!(
                "step `{}` is {}, it does not wait for approval",
                verdict.step,
                state.status.word()
            ));
        };
        if verdict.plan_hash != self.plan_hash {
            return Some("the answer is to another plan".to_owned());
        }
        if verdict.request != request.seq {
            return Some(format!("the answer is to an earlier question on step `{}`", verdict.step));
        }
        if let Some(at) = request.expires_at.filter(|at| *at <= now) {
            return Some(format!("the time to approve step `{}` was over at {at:.0}", verdict.step));
        }
        let again = verdict.answer == Answer::Approve && knows(&request.by, &verdict.by);
        again.then(|| format!("{} has approved step `{}` already", verdict.by, verdict.step))
    }

    pub(super) fn request_approval(
        &mut self,
        step: &StepId,
        (needed, what): (u32, &str),
        expires_at: Option<Timestamp>,
        seq: u64,
    ) -> Legal {
        let state = self.find(step)?;
        let legal = state.status == StepStatus::Pending && state.must_be_approved() && self.may_start(state);
        ensure(legal, || illegal(step, state, "ask for approval"))?;
        let rule = state.rules.approval.map(|rule| rule.needed);
        ensure(rule == Some(needed), || format!("step `{step}` does not need {needed} approvals"))?;
        let state = self.found(step)?;
        state.status = StepStatus::AwaitingApproval;
        state.request = Some(Request { seq, what: what.to_owned(), needed, by: Vec::new(), expires_at });
        Ok(())
    }

    pub(super) fn approve(&mut self, step: &StepId, plan_hash: &str, by: &str) -> Legal {
        self.check_answer(step, plan_hash)?;
        let state = self.found(step)?;
        let Some(request) = &mut state.request else { return Err(illegal(step, state, "be approved")) };
        if !knows(&request.by, by) {
            request.by.push(by.to_owned());
        }
        if request.by.len() >= usize::try_from(request.needed).unwrap_or(usize::MAX) {
            state.request = None;
            state.approved = true;
            state.status = StepStatus::Pending;
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, step: &StepId, plan_hash: &str, by: &str, why: &str) -> Legal {
        self.check_answer(step, plan_hash)?;
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        self.fail_unapproved(step, &StepError::permanent(format!("rejected by {by}{because}")))
    }

    pub(super) fn expire(&mut self, step: &StepId) -> Legal {
        let state = self.find(step)?;
        let may = state.status == StepStatus::AwaitingApproval
            && state.request.as_ref().is_some_and(|request| request.expires_at.is_some());
        ensure(may, || illegal(step, state, "run out of time"))?;
        let within = state
            .rules
            .approval
            .and_then(|rule| rule.timeout)
            .map_or_else(|| " in time".to_owned(), |timeout| format!(" within {timeout}"));
        self.fail_unapproved(step, &StepError::permanent(format!("not approved{within}")))
    }

    fn check_answer(&self, step: &StepId, plan_hash: &str) -> Legal {
        let state = self.find(step)?;
        ensure(state.status == StepStatus::AwaitingApproval, || {
            illegal(step, state, "be approved or rejected")
        })?;
        ensure(plan_hash == self.plan_hash, || format!("the answer on step `{step}` is to another plan"))
    }

    fn fail_unapproved(&mut self, step: &StepId, error: &StepError) -> Legal {
        self.found(step)?.request = None;
        self.fail_for_good(step, error)
    }
}
