//! The layers of a step's fields: the runbook's `defaults:`, the step, and patches.

use serde_json::Value;

use super::find::{Says, find};
use super::fold::{Over, Said};
use super::{ExplainInput, Layer};
use crate::document::{Location, Node, NodeValue};
use crate::runbook::patch::{self, Operation, Patch, Side};

const SECTIONS: [&str; 3] = ["steps", "on_failure", "finally"];

pub(super) fn of_step(input: &ExplainInput<'_>, keys: &[&str]) -> Vec<Said> {
    let Some((id, fields)) = keys.split_first() else { return Vec::new() };
    let mut words = Words { id, fields, said: Vec::new(), own_retry: false };
    let known = step(input.document, id).is_some() || value(input, id, &[]).is_some();
    if known
        && matches!(fields.first(), Some(&("timeout" | "retry")))
        && let Some(defaults) = input.document.get("defaults")
    {
        words.add(Layer::Runbook, Over::Merges, defaults, Some("default for every step"));
    }
    if let Some(step) = step(input.document, id) {
        words.add_step(Layer::Runbook, step, Over::Merges);
    }
    let name = input.runbook.name.value.as_str();
    for patches in unused(input, name) {
        words.note_unused(patches);
    }
    for patch in input.environment.patches.get(name).into_iter().flatten() {
        words.patch(patch);
    }
    words.said
}

/// Gives a field of a step after all patches, or what `defaults` says of it.
pub(super) fn value(input: &ExplainInput<'_>, id: &str, fields: &[&str]) -> Option<Value> {
    let patches = input.environment.patches.get(input.runbook.name.value.as_str());
    let applied = patch::apply(input.document, patches.map_or(&[], Vec::as_slice)).ok()?;
    let step = step(&applied.document, id)?;
    let own = fields.first().is_some_and(|field| step.get(field).is_some());
    let node = match fields.first() {
        Some(&("timeout" | "retry")) if !own => input.document.get("defaults")?,
        _ => step,
    };
    match find(node, fields)?.0 {
        Says::Value(node) => Some(node.to_json()),
        Says::Deletes { .. } | Says::Replaces => None,
    }
}

/// Finds a step of any section.
fn step<'n>(document: &'n Node, id: &str) -> Option<&'n Node> {
    let steps = SECTIONS.iter().filter_map(|section| document.get(section)?.items()).flatten();
    steps.into_iter().find(|step| step.get("id").and_then(Node::text) == Some(id))
}

/// Gives the lists of patches that a layer above replaces by its own.
fn unused<'a>(input: &ExplainInput<'a>, runbook: &str) -> Vec<&'a Node> {
    let layers = input.environment.layers.iter();
    let mut lists: Vec<&Node> = layers.filter_map(|layer| layer.get("patches")?.get(runbook)).collect();
    lists.pop();
    lists
}

struct Words<'p> {
    id: &'p str,
    fields: &'p [&'p str],
    said: Vec<Said>,
    /// A `retry` of the step itself was met: it replaces the default as a whole.
    own_retry: bool,
}

impl Words<'_> {
    fn add(&mut self, layer: Layer, over: Over, within: &Node, note: Option<&str>) {
        if let Some((says, at)) = find(within, self.fields) {
            self.said.push(Said { layer, at, says, over, note: note.map(str::to_owned) });
        }
    }

    /// Adds what a step, or fields laid over it, say.
    fn add_step(&mut self, layer: Layer, step: &Node, over: Over) {
        let retry = self.fields.first() == Some(&"retry") && step.get("retry").is_some();
        let first_retry = retry && !self.own_retry;
        self.own_retry |= retry;
        let over = if first_retry { Over::Replaces } else { over };
        if find(step, self.fields).is_some() {
            self.add(layer, over, step, None);
        } else if over == Over::Replaces && !self.said.is_empty() {
            let note =
                if first_retry { "its own `retry` replaces the default" } else { "the step is replaced" };
            self.note(layer, Over::Replaces, &step.location, note.to_owned());
        }
    }

    fn note(&mut self, layer: Layer, over: Over, at: &Location, note: String) {
        self.said.push(Said { layer, at: at.clone(), says: Says::Replaces, over, note: Some(note) });
    }

    fn patch(&mut self, patch: &Patch) {
        match &patch.operation {
            Operation::Set { step, fields } if step.value == self.id => {
                self.add_step(Layer::Patch, fields, Over::Merges);
            }
            Operation::Replace { step, with } if step.value == self.id => {
                let hands_on = self.fields.first() == Some(&"needs") && with.get("needs").is_none();
                if !hands_on {
                    self.own_retry = false;
                    self.add_step(Layer::Patch, with, Over::Replaces);
                }
            }
            Operation::Disable { step, reason } if step.value == self.id => {
                let note = format!("disabled: {}", reason.value);
                self.note(Layer::Patch, Over::Nothing, &step.location, note);
            }
            Operation::Insert { side, anchor, steps } => {
                for step in steps.iter().filter(|step| step.get("id").and_then(Node::text) == Some(self.id)) {
                    self.add_step(Layer::Patch, step, Over::Merges);
                    if self.fields == ["needs"] && step.get("needs").is_none() {
                        let side = match side {
                            Side::After => format!("inserted after {}", anchor.value),
                            Side::Before => format!("inserted before {}: what that needs", anchor.value),
                        };
                        self.note(Layer::Patch, Over::Nothing, &anchor.location, side);
                    }
                }
                if *side == Side::Before && anchor.value == self.id && self.fields == ["needs"] {
                    let ids: Vec<Node> = steps.iter().filter_map(|step| step.get("id").cloned()).collect();
                    let says =
                        Says::Value(Node { value: NodeValue::List(ids), location: anchor.location.clone() });
                    let (layer, at) = (Layer::Patch, anchor.location.clone());
                    let note = Some("added by the steps inserted before it".to_owned());
                    self.said.push(Said { layer, at, says, over: Over::Merges, note });
                }
            }
            Operation::Set { .. } | Operation::Replace { .. } | Operation::Disable { .. } => {}
        }
    }

    /// Tells of patches of this step in a list that a layer above replaces.
    fn note_unused(&mut self, patches: &Node) {
        for item in patches.items().unwrap_or_default() {
            let names = |key: &str| item.get(key).and_then(Node::text) == Some(self.id);
            let sets = item.get("set").is_none_or(|set| find(set, self.fields).is_some());
            if names("step") && sets {
                let note = "not applied: an environment above has patches of its own for this runbook";
                self.note(Layer::Patch, Over::Nothing, &item.location, note.to_owned());
            }
        }
    }
}
