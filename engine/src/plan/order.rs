//! The order of steps: what comes before what.

use std::collections::BTreeSet;

use super::{Plan, PlanStep, Section};
use crate::id::StepId;

impl Plan {
    /// Finds a step of the run.
    pub fn step(&self, id: &StepId) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// Gives the steps of a section so that each comes after all it needs; where the edges leave it open, in
    /// runbook order.
    pub fn ordered(&self, section: Section) -> Vec<&PlanStep> {
        in_order(self.steps.iter().filter(|step| step.section == section).collect())
    }

    /// Gives every step that must have ended before `step` starts, near or far, of its own section and, for
    /// `on_failure:` and `finally:`, of the sections before it.
    pub fn ancestors(&self, step: &PlanStep) -> BTreeSet<StepId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&PlanStep> = vec![step];
        while let Some(step) = open.pop() {
            for edge in &step.needs {
                if found.insert(edge.step.clone()) {
                    open.extend(self.step(&edge.step));
                }
            }
        }
        let earlier = self.steps.iter().filter(|other| other.section < step.section);
        found.extend(earlier.map(|other| other.id.clone()));
        found
    }
}

/// Puts steps in an order in which each comes after all it needs. What is in a cycle (the compiler lets none
/// through) comes last.
fn in_order(mut waiting: Vec<&PlanStep>) -> Vec<&PlanStep> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ids: BTreeSet<&StepId> = waiting.iter().map(|step| &step.id).collect();
        let free = |step: &&PlanStep| !step.needs.iter().any(|edge| ids.contains(&edge.step));
        let Some(next) = waiting.iter().position(free) else {
            ordered.append(&mut waiting);
            break;
        };
        ordered.push(waiting.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use crate::plan::{Section, fixture};

    fn ids<'a>(steps: impl IntoIterator<Item = &'a crate::plan::PlanStep>) -> Vec<&'a str> {
        steps.into_iter().map(|step| step.id.as_str()).collect()
    }

    #[test]
    fn steps_come_after_what_they_need_and_else_in_runbook_order() {
        let mut plan = fixture::recovery();
        let before = ids(plan.ordered(Section::Main)).join(" ");
        plan.steps.reverse();
        let after = ids(plan.ordered(Section::Main)).join(" ");
        assert_eq!(
            before,
            "provision wait-ready restore reset-replication[0] reset-replication[1] verify smoke"
        );
        assert_eq!(
            after,
            "smoke provision wait-ready restore reset-replication[1] reset-replication[0] verify"
        );
    }

    #[test]
    fn ancestors_reach_through_other_steps_and_earlier_sections() {
        let plan = fixture::recovery();
        let ancestors = |id: &str| plan.ancestors(plan.step(&id.into()).unwrap());
        assert!(ancestors("verify").contains(&"provision".into()));
        assert!(!ancestors("smoke").contains(&"provision".into()));
        assert!(ancestors("report").contains(&"smoke".into()));
        assert!(ancestors("provision").is_empty());
    }
}
