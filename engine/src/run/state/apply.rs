//! One record onto the state. Checks before it changes anything: after an error the state is as it was.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::step::StepState;
use super::{IllegalTransition, RunState, Started, StepStatus};
use crate::id::StepId;
use crate::journal::{Event, Outcome, Record, Resolution, StepFinding};
use crate::plan::Section;
use crate::runbook::OnCrash;
use crate::step::{Effect, ErrorClass, StepError};

pub(super) type Legal = Result<(), String>;

impl RunState {
    /// Takes one record in.
    ///
    /// # Errors
    /// When the record can't follow the ones before it. The state is then unchanged.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalTransition> {
        self.check_phase(&record.event)
            .and_then(|()| self.transition(record))
            .map_err(|why| IllegalTransition { seq: record.seq, why })?;
        self.last_at = record.at;
        Ok(())
    }

    /// Checks what may come before the start, after the end, and in a pause.
    fn check_phase(&self, event: &Event) -> Legal {
        match event {
            Event::RunStarted { plan_hash, .. } => {
                ensure(self.started.is_none(), || "the run has started already".to_owned())?;
                ensure(*plan_hash == self.plan_hash, || "it belongs to another plan".to_owned())
            }
            Event::RunResumed { .. } => {
                ensure(self.started.is_some(), || "the run has not started".to_owned())?;
                match self.outcome {
                    None | Some(Outcome::Failed | Outcome::Cancelled) => Ok(()),
                    Some(Outcome::Succeeded | Outcome::SucceededWithWarnings) => {
                        Err("the run has succeeded already".to_owned())
                    }
                }
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
            | Event::ApprovalRequested { .. }
            | Event::StepApproved { .. }
            | Event::StepRejected { .. }
            | Event::ApprovalExpired { .. }
            | Event::RunWaiting { .. }
            | Event::RunReplanned { .. }
            | Event::CancelRequested { .. }
            | Event::RunPaused { .. }
            | Event::RunFinished { .. } => {
                ensure(self.started.is_some(), || "the run has not started".to_owned())?;
                ensure(self.outcome.is_none(), || "the run has ended".to_owned())?;
                let asks = matches!(event, Event::RunPaused { .. });
                ensure(!self.paused || asks, || "the run is paused".to_owned())?;
                ensure(!self.waiting, || "nobody drives the run: it waits for approval".to_owned())
            }
        }
    }

    fn transition(&mut self, record: &Record) -> Legal {
        let at = record.at;
        match &record.event {
            Event::RunStarted { run, runner, .. } => {
                self.started = Some(Started { run: run.clone(), at, runner: runner.clone() });
                Ok(())
            }
            Event::RunResumed { runner, .. } => {
                if let Some(started) = &mut self.started {
                    started.runner = runner.clone();
                }
                self.resume(at);
                Ok(())
            }
            Event::StepStarted { step, attempt } => self.start(step, *attempt, at),
            Event::StepCheckpoint { step, value } => {
                let state = self.running(step)?;
                state.checkpoint = Some(value.clone());
                Ok(())
            }
            Event::StepWarned { step, .. } => self.find(step).map(|_| ()),
            Event::StepSucceeded { step, outputs } => self.succeed(step, outputs),
            Event::StepFailed { step, error, retry_at } => self.fail(step, error, *retry_at),
            Event::StepSkipped { step } => self.skip(step),
            Event::StepBlocked { step, by } => self.block(step, by),
            Event::StepCancelled { step } => self.cancel(step),
            Event::StepProbed { step, finding } => self.probed(step, finding),
            Event::StepResolved { step, resolution, by, why } => self.resolve(step, *resolution, by, why),
            Event::ApprovalRequested { step, needed, what, expires_at } => {
                self.request_approval(step, (*needed, what), *expires_at, record.seq)
            }
            Event::StepApproved { step, plan_hash, by, .. } => self.approve(step, plan_hash, by),
            Event::StepRejected { step, plan_hash, by, why, .. } => self.reject(step, plan_hash, by, why),
            Event::ApprovalExpired { step } => self.expire(step),
            Event::RunWaiting { .. } => {
                let awaits = self.steps.values().any(|state| state.status == StepStatus::AwaitingApproval);
                ensure(awaits, || "no step waits for approval".to_owned())?;
                self.waiting = true;
                Ok(())
            }
            Event::RunReplanned { plan_hash, reused, .. } => self.replan(plan_hash, reused),
            Event::CancelRequested { .. } => {
                self.cancel_requested = true;
                Ok(())
            }
            Event::RunPaused { step, .. } => {
                let state = self.find(step)?;
                ensure(state.status == StepStatus::InDoubt, || illegal(step, state, "ask for a decision"))?;
                self.paused = true;
                Ok(())
            }
            Event::RunFinished { outcome } => {
                let nothing_runs = self.steps.values().all(|state| state.status != StepStatus::Running);
                let stopped = self.cancel_requested && nothing_runs && *outcome == self.outcome_if_stopped();
                ensure(stopped || self.finish() == Some(*outcome), || {
                    format!("the run can't end as {outcome:?} here")
                })?;
                self.outcome = Some(*outcome);
                Ok(())
            }
        }
    }

    fn start(&mut self, step: &StepId, attempt: u32, at: Timestamp) -> Legal {
        let state = self.find(step)?;
        ensure(self.may_start(state), || illegal(step, state, "start"))?;
        ensure(attempt == state.attempt + 1, || {
            format!("step `{step}` is due for attempt {}, not {attempt}", state.attempt + 1)
        })?;
        ensure(!state.must_be_approved(), || format!("step `{step}` has not been approved"))?;
        // `on_crash: rerun` on a step in doubt is the author's own word that this is safe.
        ensure(!state.must_be_probed() || state.status == StepStatus::InDoubt, || {
            format!("step `{step}` destroys, and nothing has shown that it is safe to try again")
        })?;
        let state = self.found(step)?;
        state.status = StepStatus::Running;
        state.attempt = attempt;
        state.began_at.get_or_insert(at);
        state.found = None;
        state.cleared = state.rules.effect != Effect::Destroy;
        Ok(())
    }

    fn succeed(&mut self, step: &StepId, outputs: &Value) -> Legal {
        let state = self.found(step)?;
        let seen_complete = state.found == Some(StepFinding::Complete);
        let legal = match state.status {
            StepStatus::Running => true,
            StepStatus::InDoubt | StepStatus::WaitingRetry { .. } => seen_complete,
            StepStatus::Pending
            | StepStatus::AwaitingApproval
            | StepStatus::Succeeded
            | StepStatus::Failed { .. }
            | StepStatus::Skipped
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => false,
        };
        ensure(legal, || illegal(step, state, "succeed"))?;
        state.status = StepStatus::Succeeded;
        self.outputs.insert(step.clone(), outputs.clone());
        Ok(())
    }

    fn fail(&mut self, step: &StepId, error: &StepError, retry_at: Option<Timestamp>) -> Legal {
        let state = self.find(step)?;
        // Nobody is asked to approve what can't even be prepared.
        let unfit = state.status == StepStatus::Pending && state.must_be_approved() && self.may_start(state);
        if unfit && retry_at.is_none() {
            return self.fail_for_good(step, error);
        }
        let state = self.found(step)?;
        let given_up = matches!(state.status, StepStatus::WaitingRetry { .. })
            && matches!(state.found, Some(StepFinding::Partial { .. } | StepFinding::Unknown { .. }));
        ensure(state.status == StepStatus::Running || (given_up && retry_at.is_none()), || {
            illegal(step, state, "fail")
        })?;
        if retry_at.is_some() {
            let attempts = state.rules.retry.as_ref().map_or(1, |retry| retry.attempts);
            ensure(error.class == ErrorClass::Transient, || {
                format!("step `{step}` failed for good, so it can't be tried again")
            })?;
            ensure(state.failures + 1 < attempts, || format!("step `{step}` has no attempts left"))?;
        }
        if !given_up {
            state.failures += 1;
        }
        match retry_at {
            Some(at) => {
                state.status = StepStatus::WaitingRetry { at, error: error.clone() };
                state.found = None;
            }
            None => self.fail_for_good(step, error)?,
        }
        Ok(())
    }

    pub(super) fn fail_for_good(&mut self, step: &StepId, error: &StepError) -> Legal {
        let state = self.found(step)?;
        state.status = StepStatus::Failed { error: error.clone() };
        let first = state.rules.section == Section::Main && !state.rules.continue_on_error;
        if first && self.first_failure.is_none() {
            self.first_failure = Some((step.clone(), error.clone()));
        }
        Ok(())
    }

    fn skip(&mut self, step: &StepId) -> Legal {
        let state = self.find(step)?;
        let legal = state.status == StepStatus::Pending
            && self.is_open(state.rules.section)
            && (state.rules.skipped || self.may_start(state));
        ensure(legal, || illegal(step, state, "be skipped"))?;
        self.found(step)?.status = StepStatus::Skipped;
        Ok(())
    }

    fn block(&mut self, step: &StepId, by: &StepId) -> Legal {
        let state = self.find(step)?;
        let blamed = self.blamed(state, &BTreeMap::new());
        let legal = state.status == StepStatus::Pending && blamed.as_ref() == Some(by);
        ensure(legal, || illegal(step, state, "be blocked"))?;
        self.found(step)?.status = StepStatus::Blocked { by: by.clone() };
        Ok(())
    }

    fn cancel(&mut self, step: &StepId) -> Legal {
        let state = self.find(step)?;
        let in_flight = match state.status {
            StepStatus::Running | StepStatus::InDoubt => true,
            StepStatus::Pending | StepStatus::AwaitingApproval | StepStatus::WaitingRetry { .. } => false,
            StepStatus::Succeeded
            | StepStatus::Failed { .. }
            | StepStatus::Skipped
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => return Err(illegal(step, state, "be cancelled")),
        };
        ensure(self.cancel_requested, || format!("nobody asked to cancel step `{step}`"))?;
        self.found(step)?.status = StepStatus::Cancelled { in_flight };
        Ok(())
    }

    fn probed(&mut self, step: &StepId, finding: &StepFinding) -> Legal {
        let state = self.found(step)?;
        let waits_in_doubt =
            matches!(state.status, StepStatus::WaitingRetry { .. }) && state.must_be_probed();
        let in_doubt = state.status == StepStatus::InDoubt && state.rules.on_crash == OnCrash::Probe;
        ensure(waits_in_doubt || in_doubt, || illegal(step, state, "be probed"))?;
        state.found = Some(finding.clone());
        if *finding == StepFinding::Absent {
            state.cleared = true;
            if in_doubt {
                state.status = StepStatus::Pending;
            }
        }
        Ok(())
    }

    fn resolve(&mut self, step: &StepId, resolution: Resolution, by: &str, why: &str) -> Legal {
        let state = self.found(step)?;
        ensure(state.status == StepStatus::InDoubt, || illegal(step, state, "be decided on"))?;
        match resolution {
            Resolution::Done => {
                state.status = StepStatus::Succeeded;
                Ok(())
            }
            Resolution::Rerun => {
                state.status = StepStatus::Pending;
                state.cleared = true;
                Ok(())
            }
            Resolution::Fail => {
                let because = if why.is_empty() { String::new() } else { format!(": {why}") };
                let error = StepError::permanent(format!("{by} decided that it failed{because}"));
                self.fail_for_good(step, &error)
            }
        }
    }

    pub(super) fn find(&self, step: &StepId) -> Result<&StepState, String> {
        self.steps.get(step).ok_or_else(|| format!("the plan has no step `{step}`"))
    }

    pub(super) fn found(&mut self, step: &StepId) -> Result<&mut StepState, String> {
        self.steps.get_mut(step).ok_or_else(|| format!("the plan has no step `{step}`"))
    }

    fn running(&mut self, step: &StepId) -> Result<&mut StepState, String> {
        let state = self.found(step)?;
        ensure(state.status == StepStatus::Running, || illegal(step, state, "report"))?;
        Ok(state)
    }
}

pub(super) fn ensure(legal: bool, why: impl FnOnce() -> String) -> Legal {
    if legal { Ok(()) } else { Err(why()) }
}

pub(super) fn illegal(step: &StepId, state: &StepState, what: &str) -> String {
    format!("step `{step}` is {} and can't {what} now", state.status.word())
}
