//! What keeps a group of steps back keeps each of its steps back.
//!
//! A plan's edges from one group to the next lead to its first steps only; the others follow from them while a run
//! goes through once. A later round has some of the first steps behind it: there the others would start at once.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::step::{Need, StepState};
use crate::id::StepId;
use crate::plan::{EdgeReason, Plan};

/// Gives every step of a group the order that the group has to what lies outside of it.
pub(super) fn keep_together(plan: &Plan, steps: &mut IndexMap<StepId, StepState>) {
    let around = |step| plan.named_groups_around(step).map(|(id, _)| id).collect();
    let within: BTreeMap<&StepId, Vec<&StepId>> =
        plan.steps.iter().map(|step| (&step.id, around(step))).collect();
    let mut order: BTreeMap<&StepId, BTreeSet<&StepId>> = BTreeMap::new();
    for step in &plan.steps {
        for edge in step.needs.iter().filter(|edge| edge.reason == EdgeReason::Order) {
            let theirs = within.get(&edge.step).map_or(&[][..], Vec::as_slice);
            for group in within[&step.id].iter().filter(|group| !theirs.contains(group)) {
                order.entry(group).or_default().insert(&edge.step);
            }
        }
    }
    for step in &plan.steps {
        let Some(state) = steps.get_mut(&step.id) else { continue };
        for before in within[&step.id].iter().filter_map(|group| order.get(group)).flatten() {
            if !state.rules.needs.iter().any(|need| need.step == **before) {
                state.rules.needs.push(Need { step: (*before).clone(), blocks: false });
            }
        }
    }
}
