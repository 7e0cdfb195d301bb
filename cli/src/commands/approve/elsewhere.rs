//! An answer to a run that another process drives: left in its inbox, and waited for until the journal has it.

use std::time::{Duration, Instant};

use rekindle_engine::journal::{Event, LockError, LockOwner, Record, RunDirectory};
use rekindle_engine::run::{Answer, Inbox, Verdict};

use super::super::runs::last_runner;
use super::replay;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::terminal::missing;

/// How long the process that drives the run may take to write the answer down.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Gives the answer to the process that drives the run; nothing when there is none (any more), so that this one must.
pub(super) async fn leave(directory: &RunDirectory, verdict: &Verdict) -> Result<Option<Exit>, Failure> {
    if is_free(directory)? {
        return Ok(None);
    }
    let left = Inbox::of(directory).put(verdict).map_err(|error| Failure::failed(error.to_string()))?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        // Looked at before the journal: it goes away only after the journal has the answer, or refuses it.
        let waits = left.waits();
        if is_recorded(directory, verdict)? {
            return said(directory, verdict).map(Some);
        }
        if !waits {
            return Err(Failure::input(format!("the answer on `{}` came too late", verdict.step))
                .help(format!("`rekindle runs show {}` says what happened", directory.id())));
        }
        if is_free(directory)? && left.waits() {
            // It ended meanwhile, and did not see the answer: go on in its place.
            left.withdraw();
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    left.withdraw();
    if is_recorded(directory, verdict)? {
        return said(directory, verdict).map(Some);
    }
    Err(Failure::failed("the process that drives the run did not take the answer: it was withdrawn")
        .help(format!("is it stopped? `rekindle runs show {}`", directory.id())))
}

/// Says whether nobody drives the run.
fn is_free(directory: &RunDirectory) -> Result<bool, Failure> {
    let records = directory.records().map_err(|error| Failure::input(error.to_string()))?;
    if last_runner(&records).is_some_and(rekindle_host::is_alive) && !is_over(&records) {
        // Not tried for: a lock that we hold for a moment could be in the way of one who needs it.
        return Ok(false);
    }
    let runner = rekindle_host::identity(env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::failed(format!("failed to find out who I am: {error}")))?;
    match directory.lock(&LockOwner { run: directory.id().clone(), runner }) {
        Ok(_lock) => Ok(true),
        Err(LockError::Held { .. }) => Ok(false),
        Err(error) => Err(Failure::failed(error.to_string())),
    }
}

/// Says whether whoever drove the run has let go of it.
fn is_over(records: &[Record]) -> bool {
    matches!(
        records.last().map(|record| &record.event),
        Some(Event::RunWaiting { .. } | Event::RunPaused { .. } | Event::RunFinished { .. })
    )
}

fn is_recorded(directory: &RunDirectory, verdict: &Verdict) -> Result<bool, Failure> {
    let records = directory.records().map_err(|error| Failure::input(error.to_string()))?;
    Ok(records.iter().filter(|record| record.seq > verdict.request).any(|record| match &record.event {
        Event::StepApproved { step, by, .. } => {
            verdict.answer == Answer::Approve && (step, by) == (&verdict.step, &verdict.by)
        }
        Event::StepRejected { step, by, .. } => {
            verdict.answer == Answer::Reject && (step, by) == (&verdict.step, &verdict.by)
        }
        _ => false,
    }))
}

fn said(directory: &RunDirectory, verdict: &Verdict) -> Result<Exit, Failure> {
    let (step, by) = (&verdict.step, &verdict.by);
    let state = replay(directory)?;
    let awaited = state.awaited().into_iter().find(|awaited| awaited.request == verdict.request);
    let (text, exit) = match (verdict.answer, awaited) {
        (Answer::Approve, Some(awaited)) => {
            (format!("{step} is approved by {by}; {}", missing(&awaited)), Exit::Waiting)
        }
        (Answer::Approve, None) => {
            (format!("{step} is approved by {by}: the run goes on in its process"), Exit::Done)
        }
        (Answer::Reject, _) => (format!("{step} is rejected by {by}"), Exit::Done),
    };
    output::line(&text);
    Ok(exit)
}
