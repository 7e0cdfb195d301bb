//! One turn of the driver: commands into events and tasks, messages into events.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;

use super::attempt::AttemptEnd;
use super::driver::Driver;
use super::preparation::{Condition, Prepared, Ready, prepare};
use super::reporter::Message;
use super::{Command, Question, RunEnd, RunError, StepStatus};
use crate::id::StepId;
use crate::journal::{Event, Outcome, StepFinding};
use crate::plan::PlanStep;
use crate::step::{Effect, Probe, StepError};

/// What came of a turn.
pub(super) enum Turn {
    /// The run is over, or waits for a decision.
    Ended(RunEnd),
    /// Something was written down: ask again what is next.
    WentOn,
    /// Nothing to do until something ends, or until then.
    Waits(Option<Timestamp>),
}

/// What a list of commands comes to.
#[derive(Default)]
struct Orders {
    events: Vec<Event>,
    starts: Vec<(PlanStep, Ready)>,
    probes: Vec<(PlanStep, Ready)>,
    questions: Vec<Question>,
    outcome: Option<Outcome>,
    until: Option<Timestamp>,
    /// Nothing can be done before people have agreed.
    awaits_approval: bool,
}

/// Tells a step that its checkpoint is durable.
type Kept = oneshot::Sender<Result<(), StepError>>;

impl Driver {
    pub(super) async fn take_turn(&mut self) -> Result<Turn, RunError> {
        if let Some(event) = self.cancel_to_write() {
            self.write(vec![event]).await?;
        }
        let commands = self.state.next(self.request.world.clock.now(), self.request.options.jobs);
        let Orders { events, starts, probes, questions, outcome, until, awaits_approval } =
            self.orders(commands);
        for (step, ready) in probes {
            self.spawn_probe(&step, ready);
        }
        if awaits_approval {
            return self.await_approval(until).await;
        }
        if events.is_empty() {
            return Ok(Turn::Waits(until));
        }
        let destroys = starts.iter().any(|(step, _)| step.effect == Effect::Destroy);
        if destroys {
            // Before a start is written down: what is refused here has not begun, and the journal says so.
            self.request.fence.check().await?;
        }
        // Durable before the effects: a crash must leave evidence that they may have begun.
        self.write(events).await?;
        if destroys {
            // Again, as late as can be: writing may have taken long.
            self.request.fence.check().await?;
        }
        for (step, ready) in starts {
            self.spawn_attempt(&step, ready);
        }
        Ok(match outcome {
            Some(outcome) => Turn::Ended(self.end(outcome)),
            None if !questions.is_empty() => Turn::Ended(RunEnd::Paused { questions }),
            None => Turn::WentOn,
        })
    }

    pub(super) fn end(&self, outcome: Outcome) -> RunEnd {
        let failure = self.state.first_failure().map(|(step, error)| (step.clone(), error.clone()));
        RunEnd::Finished { outcome, failure }
    }

    /// Gives the event of a cancellation that is not in the journal yet.
    pub(super) fn cancel_to_write(&self) -> Option<Event> {
        let cancellation = &self.request.cancellation;
        (cancellation.graceful().is_cancelled() && !self.state.cancel_requested())
            .then(|| Event::CancelRequested { by: cancellation.by() })
    }

    fn orders(&self, commands: Vec<Command>) -> Orders {
        let mut orders = Orders::default();
        for command in commands {
            match command {
                Command::Start { step, attempt } => self.order_start(&mut orders, &step, attempt),
                Command::Probe { step } => self.order_probe(&mut orders, &step),
                Command::Skip { step } => orders.events.push(Event::StepSkipped { step }),
                Command::Block { step, by } => orders.events.push(Event::StepBlocked { step, by }),
                Command::Cancel { step } => orders.events.push(Event::StepCancelled { step }),
                Command::Pause { step, question } => {
                    let question = self.shared.masked_text(&question);
                    orders.events.push(Event::RunPaused { step: step.clone(), question: question.clone() });
                    orders.questions.push(Question { step, question });
                }
                Command::AskApproval { step, needed, timeout } => {
                    orders.events.extend(self.order_ask(&step, needed, timeout));
                }
                Command::ExpireApproval { step } => orders.events.push(Event::ApprovalExpired { step }),
                Command::AwaitApproval { until } => {
                    (orders.awaits_approval, orders.until) = (true, until);
                }
                Command::Wait { until } => orders.until = Some(until),
                Command::Finish { outcome } => {
                    orders.events.push(Event::RunFinished { outcome });
                    orders.outcome = Some(outcome);
                }
            }
        }
        orders
    }

    fn order_start(&self, orders: &mut Orders, id: &StepId, attempt: u32) {
        let Some(step) = self.step(id) else { return };
        // A retry or a rerun was let through before, with the same outputs to look at.
        let condition = if self.state.status(id) == Some(&StepStatus::Pending) {
            Condition::Counts
        } else {
            Condition::WasTrue
        };
        let started = Event::StepStarted { step: id.clone(), attempt };
        match prepare(&self.request, &self.state, &step, condition) {
            Prepared::Ready(ready) => {
                orders.events.push(started);
                orders.starts.push((step, ready));
            }
            Prepared::Skip => orders.events.push(Event::StepSkipped { step: id.clone() }),
            Prepared::Broken(error) => {
                let error = self.shared.masked_error(error);
                orders
                    .events
                    .extend([started, Event::StepFailed { step: id.clone(), error, retry_at: None }]);
            }
        }
    }

    fn order_probe(&self, orders: &mut Orders, id: &StepId) {
        let Some(step) = self.step(id) else { return };
        if self.probing.contains(id) {
            return;
        }
        match prepare(&self.request, &self.state, &step, Condition::WasTrue) {
            Prepared::Ready(ready) => orders.probes.push((step, ready)),
            Prepared::Skip => {}
            Prepared::Broken(error) => orders.events.extend(self.probed(id, Err(error))),
        }
    }

    /// Takes in a message, and all others that have arrived: they share one sync.
    pub(super) async fn take_in(&mut self, first: Message) -> Result<(), RunError> {
        let mut messages = vec![first];
        while let Ok(message) = self.messages.try_recv() {
            messages.push(message);
        }
        let mut events: Vec<Event> = self.cancel_to_write().into_iter().collect();
        let mut ended = BTreeSet::new();
        let mut kept = Vec::new();
        for message in messages {
            match message {
                Message::Ended { step, end } => {
                    events.extend(self.ended(&step, end));
                    ended.insert(step);
                }
                Message::Probed { step, probe } => {
                    self.probing.remove(&step);
                    events.extend(self.probed(&step, probe));
                }
                Message::Checkpoint { step, value, done } => {
                    let runs =
                        self.state.status(&step) == Some(&StepStatus::Running) && !ended.contains(&step);
                    events.extend(checkpoint(step, value, done, runs, &mut kept));
                }
            }
        }
        self.write(events).await?;
        for done in kept {
            // A step that was dropped meanwhile does not need the answer.
            let _ = done.send(Ok(()));
        }
        Ok(())
    }

    pub(super) fn ended(&self, step: &StepId, end: AttemptEnd) -> Vec<Event> {
        let step = step.clone();
        match end {
            AttemptEnd::Succeeded(outputs) => {
                vec![Event::StepSucceeded { step, outputs: self.shared.masked_value(outputs) }]
            }
            AttemptEnd::Failed(error) => {
                let now = self.request.world.clock.now();
                let mut error = self.shared.masked_error(error);
                let retry_at = self.state.retry_at(&step, &error, now);
                if self.state.is_out_of_time(&step, &error, now) {
                    error.message.push_str(" (not tried again: its deadline comes first)");
                }
                vec![Event::StepFailed { step, error, retry_at }]
            }
            AttemptEnd::Stopped(said) => {
                let warning = said.map(|error| Event::StepWarned {
                    step: step.clone(),
                    text: self.shared.masked_text(&format!("while it was being stopped: {}", error.message)),
                });
                warning.into_iter().chain([Event::StepCancelled { step }]).collect()
            }
        }
    }

    fn probed(&self, step: &StepId, probe: Result<Probe<Value>, StepError>) -> Vec<Event> {
        // What became of the step does not depend on it any more when it was cancelled meanwhile.
        let last_error = match self.state.status(step) {
            Some(StepStatus::WaitingRetry { error, .. }) => Some(error.message.clone()),
            Some(StepStatus::InDoubt) => None,
            Some(
                StepStatus::Pending
                | StepStatus::AwaitingApproval
                | StepStatus::Running
                | StepStatus::Succeeded
                | StepStatus::Failed { .. }
                | StepStatus::Skipped
                | StepStatus::Blocked { .. }
                | StepStatus::Cancelled { .. },
            )
            | None => return Vec::new(),
        };
        let found = |finding| Event::StepProbed { step: step.clone(), finding };
        let given_up = |why: String| {
            last_error.map(|last| Event::StepFailed {
                step: step.clone(),
                error: StepError::permanent(format!(
                    "{last}; it can't be tried again, because it destroys and {why}"
                ))
                .help("look at the target, then resume the run: it asks what to do"),
                retry_at: None,
            })
        };
        match probe {
            Ok(Probe::Absent) => vec![found(StepFinding::Absent)],
            Ok(Probe::Complete(outputs)) => {
                let outputs = self.shared.masked_value(outputs);
                vec![found(StepFinding::Complete), Event::StepSucceeded { step: step.clone(), outputs }]
            }
            Ok(Probe::Partial { found: part }) => {
                let part = self.shared.masked_text(&part);
                let failure = given_up(format!("a part of its effect is there: {part}"));
                [found(StepFinding::Partial { found: part })].into_iter().chain(failure).collect()
            }
            Ok(Probe::Unknown { why }) | Err(StepError { message: why, .. }) => {
                let why = self.shared.masked_text(&why);
                let failure = given_up(format!("nobody can tell whether its effect is there: {why}"));
                [found(StepFinding::Unknown { why })].into_iter().chain(failure).collect()
            }
        }
    }
}

fn checkpoint(step: StepId, value: Value, done: Kept, runs: bool, kept: &mut Vec<Kept>) -> Option<Event> {
    if runs {
        kept.push(done);
        return Some(Event::StepCheckpoint { step, value });
    }
    let _ = done.send(Err(StepError::permanent("the step has ended, so its checkpoint could not be kept")));
    None
}
