//! People's agreement in the driver: the question with what is known now, the answers, and letting go of a run that
//! only people can bring on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::driver::Driver;
use super::preparation::{Condition, Prepared, Ready, prepare};
use super::turn::Turn;
use super::{RunEnd, RunError, Verdict, retry};
use crate::id::StepId;
use crate::journal::Event;
use crate::plan::{PlanStep, printable};

impl Driver {
    /// Gives the event that asks people to agree to a step. Its condition and parameters are looked at first: nobody
    /// is asked about what will not run.
    pub(super) fn order_ask(&self, id: &StepId, needed: u32, timeout: Option<Duration>) -> Option<Event> {
        let (plan_step, step) = (self.step(id)?, id.clone());
        Some(match prepare(&self.request, &self.state, &plan_step, Condition::Counts) {
            Prepared::Ready(ready) => {
                let now = self.request.world.clock.now();
                Event::ApprovalRequested {
                    step,
                    needed,
                    what: printable(&self.shared.masked_text(&what(&plan_step, &ready))),
                    expires_at: timeout.map(|timeout| retry::later(now, timeout)),
                }
            }
            Prepared::Skip => Event::StepSkipped { step },
            Prepared::Broken(error) => {
                Event::StepFailed { step, error: self.shared.masked_error(error), retry_at: None }
            }
        })
    }

    /// Writes down what a person said, or tells them why not.
    pub(super) async fn take_verdict(&mut self, verdict: Verdict) -> Result<(), RunError> {
        let approvals = Arc::clone(&self.request.approvals);
        if let Some(why) = self.state.refusal(&verdict, self.request.world.clock.now()) {
            approvals.settled(&verdict, Err(&why));
            return Ok(());
        }
        let event = verdict.clone().into_event(|text| self.shared.masked_text(text));
        self.write(vec![event]).await?;
        approvals.settled(&verdict, Ok(()));
        Ok(())
    }

    /// Stays where somebody will answer; lets go of the run otherwise.
    pub(super) async fn await_approval(&mut self, until: Option<Timestamp>) -> Result<Turn, RunError> {
        // A look that is under way may change what is next.
        let awaited = self.state.awaited();
        if self.request.approvals.attended(&awaited) || !self.probing.is_empty() {
            return Ok(Turn::Waits(until));
        }
        let steps = awaited.iter().map(|awaited| awaited.step.clone()).collect();
        self.write(vec![Event::RunWaiting { steps }]).await?;
        Ok(Turn::Ended(RunEnd::Waiting { awaited }))
    }
}

/// Says what a step will do, now that everything it refers to is known.
fn what(step: &PlanStep, Ready { kind, params }: &Ready) -> String {
    match kind.plan(params, &BTreeMap::new()) {
        Ok(intent) if !intent.summary.is_empty() => intent.summary,
        Ok(_) | Err(_) => step.intent.summary.clone(),
    }
}
