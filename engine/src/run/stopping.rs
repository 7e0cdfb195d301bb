//! The end of a run that is told to stop at once.

use super::attempt::ABORT_PATIENCE;
use super::driver::Driver;
use super::reporter::Message;
use super::{Command, RunEnd, RunError, StepStatus};
use crate::journal::Event;

impl Driver {
    /// Stops all steps, writes down what is known, and ends the run without `finally`.
    pub(super) async fn stop_at_once(&mut self) -> Result<RunEnd, RunError> {
        self.tasks.abort_all();
        let mut events: Vec<Event> = self.cancel_to_write().into_iter().collect();
        // What ended before the word is still true.
        while let Ok(message) = self.messages.try_recv() {
            if let Message::Ended { step, end } = message {
                events.extend(self.ended(&step, end));
            }
        }
        self.write(events).await?;
        let running = self.state.steps().filter(|(_, status)| **status == StepStatus::Running);
        let cancelled = running.map(|(step, _)| Event::StepCancelled { step: step.clone() }).collect();
        self.write(cancelled).await?;
        let events = self.state.next(self.request.world.clock.now(), 1).into_iter().filter_map(closing);
        let events = events.collect();
        self.write(events).await?;
        // Only now: what was closed may have been all that was left, and then nothing was stopped.
        let outcome = self.state.outcome_if_stopped();
        self.write(vec![Event::RunFinished { outcome }]).await?;
        Ok(self.end(outcome))
    }

    /// Stops whatever still runs, and gives it a moment to let go of what it holds.
    pub(super) async fn abort(&mut self) {
        self.messages.close();
        self.tasks.abort_all();
        let clock = std::sync::Arc::clone(&self.request.world.clock);
        tokio::select! {
            () = async { while self.tasks.join_next().await.is_some() {} } => {}
            () = clock.sleep(ABORT_PATIENCE) => {}
        }
    }
}

fn closing(command: Command) -> Option<Event> {
    match command {
        Command::Cancel { step } => Some(Event::StepCancelled { step }),
        Command::Skip { step } => Some(Event::StepSkipped { step }),
        Command::Block { step, by } => Some(Event::StepBlocked { step, by }),
        Command::Start { .. }
        | Command::Probe { .. }
        | Command::Pause { .. }
        | Command::AskApproval { .. }
        | Command::ExpireApproval { .. }
        | Command::AwaitApproval { .. }
        | Command::Wait { .. }
        | Command::Finish { .. } => None,
    }
}
