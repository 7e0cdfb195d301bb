//! Going on with a run under another plan: what of it still counts, and what is due again (decision 0008).

mod reuse;
mod same;

use std::sync::Arc;

use super::driver::{Driver, check};
use super::resume::{decided, refuse_finished_or_alive, rehearse};
use super::{Decision, Resume, RunEnd, RunError, RunRequest, RunState};
use crate::host::Masker;
use crate::id::RunId;
use crate::journal::{Event, Outcome, Record};
use crate::plan::Plan;
use crate::step::Registry;

pub use reuse::{Again, Gone, Had, Reuse};

/// A plan that a run may go on under.
#[derive(Clone, Copy)]
pub struct Proposal<'a> {
    /// Which run.
    pub run: &'a RunId,
    /// The plans it has had, oldest first.
    pub plans: &'a [Arc<Plan>],
    /// The plan to go on under.
    pub new: &'a Plan,
    /// The kinds that the plans' steps use.
    pub registry: &'a Registry,
    /// What people decided on steps in doubt.
    pub decisions: &'a [Decision],
}

impl Proposal<'_> {
    /// Looks what of the run would still count. Pure: [`replan`] comes to the same answer.
    ///
    /// # Errors
    /// When the run was never started, when the journal is not of its plans, on decisions on steps that need none,
    /// and when steps that were under way would be left undecided.
    pub fn look(&self, records: &[Record]) -> Result<Reuse, RunError> {
        let never = || RunError::NeverStarted(self.run.clone());
        let old = self.plans.last().ok_or_else(never)?;
        let before = RunState::replay(self.plans, records).map_err(RunError::Replay)?;
        if let Some(outcome @ (Outcome::Succeeded | Outcome::SucceededWithWarnings)) = before.outcome() {
            return Err(RunError::AlreadyFinished { run: self.run.clone(), outcome });
        }
        let (runner, last) = before.runner().cloned().zip(records.last()).ok_or_else(never)?;
        let mut events = vec![Event::RunResumed { runner, fence: None }];
        events.extend(decided(&Masker::default(), self.decisions));
        let after = rehearse(before.clone(), last.at, &events)?;
        reuse::compare(old, self, &before, &after)
    }
}

/// Goes on with a run under `request.plan`, which is durable already; `request.earlier` holds all plans it had
/// before. `agreed` is what the person agreed to who planned anew.
///
/// # Errors
/// As [`super::resume`] and [`Proposal::look`]. Also refuses, before anything is written, when the run has changed
/// since it was looked at.
pub async fn replan(
    request: RunRequest,
    resume: Resume,
    agreed: &Reuse,
    by: &str,
) -> Result<RunEnd, RunError> {
    check(&request)?;
    let records = request.journal.read().await?;
    let state = RunState::replay(&request.plans(), &records).map_err(RunError::Replay)?;
    refuse_finished_or_alive(&request, &state, &resume)?;
    let proposal = Proposal {
        run: &request.run,
        plans: &request.earlier,
        new: &request.plan,
        registry: &request.registry,
        decisions: &resume.decisions,
    };
    if proposal.look(&records)? != *agreed {
        return Err(RunError::Outdated(request.run.clone()));
    }
    let masker = &request.world.masker;
    let mut events =
        vec![Event::RunResumed { runner: request.options.runner.clone(), fence: request.fence.token() }];
    events.extend(decided(masker, &resume.decisions));
    events.push(Event::RunReplanned {
        plan_hash: request.plan.hash.clone(),
        reused: agreed.reused.clone(),
        by: masker.mask(by),
    });
    rehearse(state.clone(), request.world.clock.now(), &events)?;
    Driver::new(request, state, records).drive(events).await
}
