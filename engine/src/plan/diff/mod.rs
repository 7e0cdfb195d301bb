//! Two plans → what differs between them, part by part and field by field.

mod fields;
mod shape;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{PinnedStep, Plan, PlanStep};
use crate::id::StepId;
use crate::step::Effect;

/// What differs between two plans. As JSON: only the parts that differ, each a list.
///
/// When two plans were looked up (`pinned[].at`) is no difference, though it is in their hashes. A template that
/// stays the same may still render to something else when `values`, `settings` or `pinned` differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PlanDiff {
    /// The procedure: name, version, summary, the hash of its text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runbook: Vec<FieldChange>,
    /// What was asked for: the runbook and environment as named, values given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<FieldChange>,
    /// The documents it was made from, by role and name; old and new are sha256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<FieldChange>,
    /// The files it refers to, by path; old and new are sha256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FieldChange>,
    /// The versions and digests of step kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<FieldChange>,
    /// The environment: `targets.primary.host`, `objectives.rto`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<FieldChange>,
    /// The values: `retention.keep_last`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<FieldChange>,
    /// Everything else of the plan as a whole: `concurrency.name`, `format`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<FieldChange>,
    /// What was found while planning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<StepChange>,
    /// The steps: those of the new plan in its order, then those that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepChange>,
    /// The steps that both have stand in another order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reordered: bool,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Its path: `with.target`, `retry.delay`, `needs`.
    pub field: String,
    /// What it was; absent when it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it is; absent when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// One step that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum StepChange {
    /// Only the new plan has it.
    Added(StepWords),
    /// Only the old plan has it.
    Removed(StepWords),
    /// Both have it.
    Changed {
        /// Which.
        id: StepId,
        /// Every field that differs; never empty.
        fields: Vec<FieldChange>,
    },
}

/// What is said of a step that only one of the plans has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepWords {
    /// Which.
    pub id: StepId,
    /// Its kind.
    pub kind: String,
    /// What it may do.
    pub effect: Effect,
    /// What it would do, for people.
    pub summary: String,
}

impl StepChange {
    /// Which step.
    pub fn id(&self) -> &StepId {
        match self {
            Self::Added(words) | Self::Removed(words) => &words.id,
            Self::Changed { id, .. } => id,
        }
    }
}

impl PlanDiff {
    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Finds what differs in a step; nothing when it is the same in both.
    pub fn step(&self, id: &StepId) -> Option<&StepChange> {
        self.steps.iter().find(|change| change.id() == id)
    }
}

/// Compares two plans.
pub fn diff(old: &Plan, new: &Plan) -> PlanDiff {
    let (old_shape, new_shape) = (shape::of(old), shape::of(new));
    let part = |name: &str| fields::compare(old_shape.get(name), new_shape.get(name));
    PlanDiff {
        runbook: part("runbook"),
        inputs: part("inputs"),
        sources: part("sources"),
        files: part("files"),
        kinds: part("kinds"),
        settings: part("settings"),
        values: part("values"),
        other: part(shape::OTHER),
        pinned: diff_pinned(&old.pinned, &new.pinned),
        steps: compare_steps(&steps(old), &steps(new)),
        reordered: common_order(old, new) != common_order(new, old),
    }
}

/// Compares what was found while planning. When it was looked is no difference.
pub fn diff_pinned(old: &[PinnedStep], new: &[PinnedStep]) -> Vec<StepChange> {
    compare_steps(&pinned(old), &pinned(new))
}

/// A step with its fields as they are compared.
struct Shaped {
    words: StepWords,
    fields: Value,
}

fn steps(plan: &Plan) -> Vec<Shaped> {
    let shaped = |step: &PlanStep| Shaped {
        words: StepWords {
            id: step.id.clone(),
            kind: step.kind.clone(),
            effect: step.effect,
            summary: step.intent.summary.clone(),
        },
        fields: shape::of_step(step),
    };
    plan.unpinned.iter().chain(&plan.steps).map(shaped).collect()
}

fn pinned(steps: &[PinnedStep]) -> Vec<Shaped> {
    let shaped = |step: &PinnedStep| Shaped {
        words: StepWords {
            id: step.id.clone(),
            kind: step.kind.clone(),
            effect: Effect::Read,
            summary: step.intent.summary.clone(),
        },
        fields: shape::of_pinned(step),
    };
    steps.iter().map(shaped).collect()
}

fn compare_steps(old: &[Shaped], new: &[Shaped]) -> Vec<StepChange> {
    let by_id = |steps: &[Shaped]| -> BTreeMap<StepId, usize> {
        steps.iter().enumerate().map(|(position, step)| (step.words.id.clone(), position)).collect()
    };
    let (old_places, new_places) = (by_id(old), by_id(new));
    let mut changes = Vec::new();
    for step in new {
        match old_places.get(&step.words.id) {
            None => changes.push(StepChange::Added(step.words.clone())),
            Some(&position) => {
                let fields = fields::compare(Some(&old[position].fields), Some(&step.fields));
                if !fields.is_empty() {
                    changes.push(StepChange::Changed { id: step.words.id.clone(), fields });
                }
            }
        }
    }
    let gone = old.iter().filter(|step| !new_places.contains_key(&step.words.id));
    changes.extend(gone.map(|step| StepChange::Removed(step.words.clone())));
    changes
}

/// Gives the steps of one plan that another has too, in order.
fn common_order<'a>(plan: &'a Plan, other: &Plan) -> Vec<&'a StepId> {
    let known: std::collections::BTreeSet<&StepId> = other.steps.iter().map(|step| &step.id).collect();
    plan.steps.iter().map(|step| &step.id).filter(|id| known.contains(id)).collect()
}
