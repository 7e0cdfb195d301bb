//! The order of steps: what comes before what.

use std::collections::{BTreeSet, HashMap};

use super::{Plan, PlanStep, Section, StepGroup};
use crate::id::StepId;

impl Plan {
    /// Finds a step of the run.
    pub fn step(&self, id: &StepId) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// Gives the groups around a step, the innermost first. The step that ends a group is in it.
    pub fn groups_around(&self, step: &PlanStep) -> impl Iterator<Item = &StepGroup> {
        self.named_groups_around(step).map(|(_, group)| group)
    }

    /// As [`Plan::groups_around`], with their ids.
    pub(crate) fn named_groups_around(&self, step: &PlanStep) -> impl Iterator<Item = (&StepId, &StepGroup)> {
        let named = |id: &StepId| self.groups.get_key_value(id);
        let first = step.group.as_ref().and_then(named);
        std::iter::successors(first, move |(_, group)| group.within.as_ref().and_then(named))
    }

    /// Gives the groups around a step with their ids, the outermost first; none around one that is skipped as a
    /// whole.
    pub(crate) fn group_path(&self, step: &PlanStep) -> Vec<(&StepId, &StepGroup)> {
        if step.ends_group() && step.skipped {
            return Vec::new();
        }
        let mut path: Vec<_> = self.named_groups_around(step).collect();
        path.reverse();
        path
    }

    /// Gives the steps of a section so that each comes after all it needs; where the edges leave it open, in
    /// runbook order.
    pub fn ordered(&self, section: Section) -> Vec<&PlanStep> {
        in_order(&self.steps.iter().filter(|step| step.section == section).collect::<Vec<_>>())
    }
}

/// Puts steps in an order in which each comes after all it needs (Kahn's algorithm, lowest position first).
/// Edges to other steps don't matter. What is in a cycle (the compiler lets none through) comes last.
pub(crate) fn in_order<'a>(steps: &[&'a PlanStep]) -> Vec<&'a PlanStep> {
    let position: HashMap<&StepId, usize> =
        steps.iter().enumerate().map(|(position, step)| (&step.id, position)).collect();
    let mut waits_for = vec![0_usize; steps.len()];
    let mut followers = vec![Vec::new(); steps.len()];
    for (to, step) in steps.iter().enumerate() {
        for from in step.needs.iter().filter_map(|edge| position.get(&edge.step)) {
            waits_for[to] += 1;
            followers[*from].push(to);
        }
    }
    let mut free: BTreeSet<usize> = (0..steps.len()).filter(|at| waits_for[*at] == 0).collect();
    let mut ordered = Vec::with_capacity(steps.len());
    while let Some(next) = free.pop_first() {
        ordered.push(steps[next]);
        for &follower in &followers[next] {
            waits_for[follower] -= 1;
            if waits_for[follower] == 0 {
                free.insert(follower);
            }
        }
    }
    ordered.extend(steps.iter().zip(&waits_for).filter(|(_, waits)| **waits > 0).map(|(step, _)| step));
    ordered
}

#[cfg(test)]
mod tests {
    use crate::plan::{Section, fixture};

    fn main_ids(plan: &crate::plan::Plan) -> String {
        let ids: Vec<_> = plan.ordered(Section::Main).iter().map(|step| step.id.as_str()).collect();
        ids.join(" ")
    }

    #[test]
    fn steps_come_after_what_they_need_and_else_in_runbook_order() {
        let mut plan = fixture::recovery();
        insta::assert_snapshot!(main_ids(&plan), @"provision wait-ready restore reset-replication[0] reset-replication[1] verify smoke");
        plan.steps.reverse();
        insta::assert_snapshot!(main_ids(&plan), @"smoke provision wait-ready restore reset-replication[1] reset-replication[0] verify");
    }

    #[test]
    fn steps_in_a_cycle_are_not_lost() {
        let mut plan = fixture::recovery();
        plan.steps[0].needs = vec![fixture::needs("restore")];
        insta::assert_snapshot!(main_ids(&plan), @"smoke provision wait-ready restore reset-replication[0] reset-replication[1] verify");
    }
}
