//! What of a run still counts under a new plan. Receives both plans and the state, yields lists for people and for
//! the journal.

use std::collections::BTreeMap;

use super::Proposal;
use super::same::Comparison;
use crate::id::StepId;
use crate::plan::{EdgeReason, Plan, PlanStep, Section};
use crate::run::{RunError, RunState, StepStatus};
use crate::runbook::OnCrash;
use crate::step::Effect;

/// What of a run still counts under a new plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reuse {
    /// Steps that are the same, and all of whose needs are: what they did, or began, still counts. In plan order.
    pub reused: Vec<StepId>,
    /// Steps that were done, or under way, and run again. In plan order.
    pub again: Vec<Again>,
    /// Steps that were done, or under way, and that the new plan has no more: what they did stays.
    pub left: Vec<Gone>,
}

/// How far a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Had {
    /// It had succeeded.
    Succeeded,
    /// It had begun, and nobody knows how it ended.
    Begun,
}

/// A step that runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Which.
    pub step: StepId,
    /// What it may do, under the new plan or the one before: the worse of the two.
    pub effect: Effect,
    /// How far it was.
    pub had: Had,
    /// Why, for people: `with changes`, `it needs step provision, which runs again`.
    pub why: String,
}

/// A step that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub step: StepId,
    /// What it may have done.
    pub effect: Effect,
    /// How far it was.
    pub had: Had,
}

/// Compares. `before` is the run as it was left, `after` as it is once it is resumed and people have decided.
pub(super) fn compare(
    old: &Plan,
    proposal: &Proposal<'_>,
    before: &RunState,
    after: &RunState,
) -> Result<Reuse, RunError> {
    let (was, is) = (by_id(old), by_id(proposal.new));
    let whys = whys(old, proposal, after, (&was, &is));
    let (mut reused, mut again, mut left) = (Vec::new(), Vec::new(), Vec::new());
    let mut undecided = Vec::new();
    for step in &proposal.new.steps {
        if !whys.contains_key(&step.id) && after.can_reuse(&step.id, step.continue_on_error) {
            reused.push(step.id.clone());
        } else if let Some(earlier) = was.get(&step.id)
            && let Some(had) = had(earlier, before, after, &mut undecided)
        {
            let effect = earlier.effect.max(step.effect);
            let why = whys.get(&step.id).cloned().unwrap_or_default();
            again.push(Again { step: step.id.clone(), effect, had, why });
        }
    }
    for earlier in old.steps.iter().filter(|earlier| !is.contains_key(&earlier.id)) {
        if let Some(had) = had(earlier, before, after, &mut undecided) {
            left.push(Gone { step: earlier.id.clone(), effect: earlier.effect, had });
        }
    }
    if undecided.is_empty() {
        Ok(Reuse { reused, again, left })
    } else {
        Err(RunError::Undecided { steps: undecided })
    }
}

type ById<'a> = BTreeMap<&'a StepId, &'a PlanStep>;

fn by_id(plan: &Plan) -> ById<'_> {
    plan.steps.iter().map(|step| (&step.id, step)).collect()
}

/// Says how far a main step was that does not count any more; nothing when it had no effect. Notes steps that were
/// cut off, and on which neither their author nor a person has said that they may just run again.
fn had(step: &PlanStep, before: &RunState, after: &RunState, undecided: &mut Vec<StepId>) -> Option<Had> {
    let was_under_way = match before.status(&step.id)? {
        StepStatus::Running | StepStatus::InDoubt | StepStatus::Cancelled { in_flight: true } => true,
        StepStatus::Pending
        | StepStatus::AwaitingApproval
        | StepStatus::WaitingRetry { .. }
        | StepStatus::Succeeded
        | StepStatus::Failed { .. }
        | StepStatus::Skipped
        | StepStatus::Blocked { .. }
        | StepStatus::Cancelled { in_flight: false } => false,
    };
    let is_in_doubt = after.status(&step.id) == Some(&StepStatus::InDoubt);
    if was_under_way && is_in_doubt && step.on_crash != OnCrash::Rerun {
        undecided.push(step.id.clone());
    }
    if was_under_way || is_in_doubt {
        return Some(Had::Begun);
    }
    // Steps of `on_failure` and `finally` run in every round anyhow.
    let succeeded = after.status(&step.id) == Some(&StepStatus::Succeeded);
    (succeeded && step.section == Section::Main).then_some(Had::Succeeded)
}

/// Gives why steps of the new plan do not count as done, for those whose definition or needs say so.
fn whys(
    old: &Plan,
    proposal: &Proposal<'_>,
    after: &RunState,
    (was, is): (&ById<'_>, &ById<'_>),
) -> BTreeMap<StepId, String> {
    let comparison = Comparison::new(old, proposal, after);
    let mut whys: BTreeMap<StepId, String> = BTreeMap::new();
    for step in &proposal.new.steps {
        let why = match was.get(&step.id) {
            None => Some("it is new".to_owned()),
            Some(earlier) => comparison.difference(earlier, step),
        };
        whys.extend(why.map(|why| (step.id.clone(), why)));
    }
    // Plans are written in about the order in which they run, so few rounds are enough.
    let mut news = true;
    while std::mem::take(&mut news) {
        for step in &proposal.new.steps {
            if whys.contains_key(&step.id) {
                continue;
            }
            let is_due = |need: &&StepId| {
                is.get(need).is_some_and(|needed| {
                    whys.contains_key(*need) || !after.can_reuse(need, needed.continue_on_error)
                })
            };
            if let Some(need) = blocking_needs(step).find(is_due) {
                whys.insert(step.id.clone(), format!("it needs step `{need}`, which is due"));
                news = true;
            }
        }
    }
    whys
}

fn blocking_needs(step: &PlanStep) -> impl Iterator<Item = &StepId> {
    let blocks = |reason: &EdgeReason| match reason {
        EdgeReason::Declared | EdgeReason::Inferred { .. } => true,
        EdgeReason::Order => false,
    };
    step.needs.iter().filter(move |edge| blocks(&edge.reason)).map(|edge| &edge.step)
}
