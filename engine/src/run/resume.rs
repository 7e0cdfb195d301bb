//! Going on with a run that was cut off, paused, cancelled, or that failed (decision 0003).

use std::sync::Arc;

use jiff::Timestamp;

use super::driver::{Driver, check, start};
use super::{RunEnd, RunError, RunRequest, RunState, Verdict};
use crate::host::Masker;
use crate::id::StepId;
use crate::journal::{Event, Outcome, Record, Resolution, RunnerIdentity};

/// What resuming needs beyond a [`RunRequest`], whose plan is the stored one.
pub struct Resume {
    /// What a person decided on steps in doubt.
    pub decisions: Vec<Decision>,
    /// What people said to steps that wait for approval.
    pub verdicts: Vec<Verdict>,
    /// Says whether the process that drove the run before still lives.
    pub is_alive: Arc<dyn Fn(&RunnerIdentity) -> bool + Send + Sync>,
}

/// A person's decision on one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub step: StepId,
    /// What.
    pub resolution: Resolution,
    /// Who.
    pub by: String,
    /// Why, in their words; may be empty.
    pub why: String,
}

/// Goes on with a run. Succeeded steps never run again.
///
/// A run that was cut off while it was failing first finishes that (`on_failure`, `finally`); then it tries again
/// what had failed, as the resumption of a failed run does. Not so one that waited for approval, or that was
/// answered: what people say to cleaning up is no word on trying again.
///
/// # Errors
/// Refuses, before anything is written, a run that has succeeded, one whose process still lives, a journal that
/// is not of this plan, and decisions on steps that need none. Otherwise as [`super::execute`].
pub async fn resume(request: RunRequest, resume: Resume) -> Result<RunEnd, RunError> {
    let decided_fail = resume.decisions.iter().any(|decision| decision.resolution == Resolution::Fail);
    let answers = !resume.verdicts.is_empty();
    let is_alive = Arc::clone(&resume.is_alive);
    let (was_failing, end) = go_on(request.clone(), resume).await?;
    let failed = matches!(end, RunEnd::Finished { outcome: Outcome::Failed, .. });
    let called_off = request.cancellation.graceful().is_cancelled();
    if !(was_failing && failed) || called_off || decided_fail || answers {
        return Ok(end);
    }
    Ok(go_on(request, Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive }).await?.1)
}

/// Goes on in the round that was cut off, or begins a new one. Also says whether the former had failed before.
async fn go_on(request: RunRequest, resume: Resume) -> Result<(bool, RunEnd), RunError> {
    check(&request)?;
    let records = request.journal.read().await?;
    if records.is_empty() {
        // Killed between making the run and its first event.
        let why = "the run has not started".to_owned();
        let Resume { mut decisions, mut verdicts, .. } = resume;
        return match (decisions.pop(), verdicts.pop()) {
            (Some(Decision { step, .. }), _) => Err(RunError::NothingToDecide { step, why }),
            (None, Some(Verdict { step, .. })) => Err(RunError::NotAwaited { step, why }),
            (None, None) => Ok((false, start(request).await?)),
        };
    }
    let state = RunState::replay(&request.plans(), &records).map_err(RunError::Replay)?;
    refuse_finished_or_alive(&request, &state, &resume)?;
    let now = request.world.clock.now();
    for verdict in &resume.verdicts {
        if let Some(why) = state.refusal(verdict, now) {
            return Err(RunError::NotAwaited { step: verdict.step.clone(), why });
        }
    }
    let resumed = Event::RunResumed { runner: request.options.runner.clone(), fence: request.fence.token() };
    let mut events = vec![resumed];
    let masker = &request.world.masker;
    events.extend(decided(masker, &resume.decisions));
    events.extend(resume.verdicts.into_iter().map(|verdict| verdict.into_event(|text| masker.mask(text))));
    rehearse(state.clone(), now, &events)?;
    let was_failing = state.outcome().is_none() && state.first_failure().is_some() && !state.waiting();
    Ok((was_failing, Driver::new(request, state, records).drive(events).await?))
}

pub(super) fn refuse_finished_or_alive(
    request: &RunRequest,
    state: &RunState,
    resume: &Resume,
) -> Result<(), RunError> {
    let run = request.run.clone();
    match state.outcome() {
        Some(outcome @ (Outcome::Succeeded | Outcome::SucceededWithWarnings)) => {
            return Err(RunError::AlreadyFinished { run, outcome });
        }
        // Whoever drove it has let go.
        Some(Outcome::Failed | Outcome::Cancelled) => return Ok(()),
        None if state.paused() || state.waiting() => return Ok(()),
        None => {}
    }
    match state.runner() {
        Some(runner) if *runner != request.options.runner && (resume.is_alive)(runner) => {
            Err(RunError::StillRunning { run, runner: runner.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Gives what is written down of people's decisions.
pub(super) fn decided(masker: &Masker, decisions: &[Decision]) -> impl Iterator<Item = Event> {
    decisions.iter().map(|decision| Event::StepResolved {
        step: decision.step.clone(),
        resolution: decision.resolution,
        by: decision.by.clone(),
        why: masker.mask(&decision.why),
    })
}

/// Tries the events on a copy, so that a wrong decision leaves nothing in the journal; gives the copy.
pub(super) fn rehearse(mut state: RunState, at: Timestamp, events: &[Event]) -> Result<RunState, RunError> {
    for event in events {
        let record = Record { seq: 0, at, event: event.clone() };
        state.apply(&record).map_err(|illegal| match event {
            Event::StepResolved { step, .. } => {
                RunError::NothingToDecide { step: step.clone(), why: illegal.why }
            }
            Event::StepApproved { step, .. } | Event::StepRejected { step, .. } => {
                RunError::NotAwaited { step: step.clone(), why: illegal.why }
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
            | Event::ApprovalRequested { .. }
            | Event::ApprovalExpired { .. }
            | Event::RunWaiting { .. }
            | Event::RunReplanned { .. }
            | Event::CancelRequested { .. }
            | Event::RunPaused { .. }
            | Event::RunFinished { .. } => RunError::Replay(illegal),
        })?;
    }
    Ok(state)
}
