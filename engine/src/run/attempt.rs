//! One attempt of a step, or one probe: in its own task, with a time limit, asked to stop before it is stopped.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::host::Clock;
use crate::step::{ErasedStep, ErrorClass, Probe, StepContext, StepError};
use crate::values::DurationText;

/// How long an aborted task gets to reach a point where it can be dropped.
pub(super) const ABORT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a probe may take. It only looks.
pub(super) const PROBE_LIMIT: Duration = Duration::from_mins(10);

/// How an attempt ended.
#[derive(Debug, PartialEq)]
pub(super) enum AttemptEnd {
    /// With proof.
    Succeeded(Value),
    /// With an error of its own, or out of time.
    Failed(StepError),
    /// By the operator's word; with what it said when that was more than "cancelled".
    Stopped(Option<StepError>),
}

/// What is needed to run or probe a step once.
pub(super) struct Attempt {
    pub(super) kind: Arc<dyn ErasedStep>,
    pub(super) params: Value,
    pub(super) cx: StepContext,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limit: Option<Duration>,
    pub(super) grace: Duration,
    /// The operator's word, as far as it concerns this step. The step's own token is its child.
    pub(super) stop: CancellationToken,
    /// The token that the step sees.
    pub(super) own: CancellationToken,
}

/// Who asked the step to stop.
#[derive(Clone, Copy)]
enum Asked {
    Operator,
    Limit(Duration),
}

impl Attempt {
    /// Runs the step to its end.
    pub(super) async fn run(self) -> AttemptEnd {
        let Self { kind, params, cx, clock, limit, grace, stop, own } = self;
        // Dropping the set aborts the task: whoever drops this future stops the step.
        let mut task = JoinSet::new();
        task.spawn(async move { kind.run(&params, &cx).await });
        let asked = tokio::select! {
            biased;
            // The step hears of it at the same time as we do, and may be the first to act on it.
            Some(ended) = task.join_next() => return own_end(ended, stop.is_cancelled()),
            () = stop.cancelled() => Asked::Operator,
            limit = passed(clock.as_ref(), limit) => Asked::Limit(limit),
        };
        own.cancel();
        let ended = tokio::select! {
            biased;
            Some(ended) = task.join_next() => Some(flat(ended)),
            () = clock.sleep(grace) => None,
        };
        if ended.is_none() {
            task.abort_all();
            tokio::select! {
                _ = task.join_next() => {}
                () = clock.sleep(ABORT_PATIENCE) => {}
            }
        }
        asked_end(asked, ended)
    }

    /// Probes the step. A probe that fails, hangs or panics tells nothing, and its error says why.
    pub(super) async fn probe(self) -> Result<Probe<Value>, StepError> {
        let Self { kind, params, cx, clock, limit, .. } = self;
        let mut task = JoinSet::new();
        task.spawn(async move { kind.probe(&params, &cx).await });
        tokio::select! {
            biased;
            Some(ended) = task.join_next() => flat(ended),
            limit = passed(clock.as_ref(), limit) => Err(out_of_time(limit)),
        }
    }
}

async fn passed(clock: &dyn Clock, limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            clock.sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

fn flat<T>(ended: Result<Result<T, StepError>, JoinError>) -> Result<T, StepError> {
    ended.unwrap_or_else(|error| Err(unwound(error)))
}

fn unwound(error: JoinError) -> StepError {
    let words = match error.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned()),
        },
        Err(cancelled) => cancelled.to_string(),
    };
    StepError::permanent(format!("the step kind panicked: {words}"))
        .help("this is a defect, please report it")
}

fn out_of_time(limit: Duration) -> StepError {
    StepError::transient(format!("not done within {}", DurationText(limit)))
        .help("give it more time with `timeout:` or `deadline:`")
}

/// The end of a step that ended before we told it to; `is_asked` says whether the operator has.
fn own_end(ended: Result<Result<Value, StepError>, JoinError>, is_asked: bool) -> AttemptEnd {
    match flat(ended) {
        Ok(outputs) => AttemptEnd::Succeeded(outputs),
        Err(error) if is_asked && error.class == ErrorClass::Cancelled => AttemptEnd::Stopped(None),
        Err(error) => AttemptEnd::Failed(match error.class {
            ErrorClass::Transient | ErrorClass::Permanent => error,
            ErrorClass::Cancelled => StepError {
                class: ErrorClass::Permanent,
                message: format!("it gave up though nobody asked it to stop: {}", error.message),
                help: error.help,
            },
        }),
    }
}

/// The end of a step that was asked to stop: success counts, whenever it comes.
fn asked_end(asked: Asked, ended: Option<Result<Value, StepError>>) -> AttemptEnd {
    match (asked, ended) {
        (_, Some(Ok(outputs))) => AttemptEnd::Succeeded(outputs),
        (Asked::Limit(limit), Some(Err(_)) | None) => AttemptEnd::Failed(out_of_time(limit)),
        (Asked::Operator, Some(Err(error))) => AttemptEnd::Stopped(match error.class {
            ErrorClass::Transient | ErrorClass::Permanent => Some(error),
            ErrorClass::Cancelled => None,
        }),
        (Asked::Operator, None) => AttemptEnd::Stopped(Some(StepError::transient(
            "it did not stop when it was asked to, so it was aborted",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_hears_the_operator_first_was_cancelled_and_has_not_failed() {
        let gave_up = || Ok(Err(StepError::cancelled()));
        assert!(matches!(own_end(gave_up(), true), AttemptEnd::Stopped(None)));
        assert!(
            matches!(own_end(gave_up(), false), AttemptEnd::Failed(error) if error.class == ErrorClass::Permanent)
        );
        let failed = Ok(Err(StepError::permanent("no room")));
        assert!(matches!(own_end(failed, true), AttemptEnd::Failed(_)), "it failed by itself");
    }
}
