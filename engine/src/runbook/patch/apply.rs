//! Patches put into the document of a runbook.

use std::collections::HashMap;

use super::splice::{Position, Steps, id_of, needs_of, with_field, with_needs};
use super::{Operation, Patch, Side};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Location, Node, NodeValue, ScalarStyle, in_source_order, lay_over};
use crate::runbook::Spanned;

/// A runbook's document with the patches of an environment in it.
#[derive(Debug, Clone)]
pub struct Patched {
    /// The document.
    pub document: Node,
    /// The steps that are disabled, by id, each with the reason.
    pub disabled: HashMap<String, Spanned<String>>,
}

/// Applies patches in their order to the document of a runbook that is right by itself.
///
/// Steps of all three lists can be patched, also those that an earlier patch has inserted. A step of `steps:`
/// that is inserted or replaces another and has no `needs` gets those of its place: after X it needs X, before X
/// and in place of X it needs what X needs.
///
/// # Errors
///
/// Every patch that can't be applied, in the order of the text.
pub fn apply(document: &Node, patches: &[Patch]) -> Result<Patched, Vec<Diagnostic>> {
    let mut patching = Patching {
        steps: Steps::of(document),
        disabled: HashMap::new(),
        set: HashMap::new(),
        decided: HashMap::new(),
        errors: Vec::new(),
    };
    for patch in patches {
        patching.apply(&patch.operation);
    }
    if !patching.errors.is_empty() {
        in_source_order(&mut patching.errors);
        return Err(patching.errors);
    }
    Ok(Patched { document: patching.steps.put_into(document), disabled: patching.disabled })
}

struct Patching {
    steps: Steps,
    disabled: HashMap<String, Spanned<String>>,
    /// Which steps were `set`, and where.
    set: HashMap<String, Location>,
    /// Which steps were disabled or replaced, and where.
    decided: HashMap<String, Location>,
    errors: Vec<Diagnostic>,
}

impl Patching {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Set { step, fields } => self.set(step, fields),
            Operation::Disable { step, reason } => {
                if self.find(step).is_some() && self.decide(step) {
                    self.disabled.insert(step.value.clone(), reason.clone());
                }
            }
            Operation::Insert { side, anchor, steps } => self.insert(*side, anchor, steps),
            Operation::Replace { step, with } => self.replace(step, with),
        }
    }

    fn find(&mut self, id: &Spanned<String>) -> Option<Position> {
        let found = self.steps.find(&id.value);
        if found.is_none() {
            let ids: Vec<&str> = self.steps.all().filter_map(id_of).collect();
            let group = id.value.split(['/', '[']).next().filter(|group| *group != id.value);
            let help = match (
                group.filter(|group| ids.contains(group)),
                nearest(&id.value, ids.iter().copied()),
            ) {
                (Some(group), _) => format!(
                    "patches name steps as the runbook writes them: patch `{group}`; what is inside a composite step \
                     kind can't be patched, give it a value for what should differ"
                ),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("its steps are: {}", ids.join(", ")),
            };
            self.errors.push(
                Diagnostic::new(
                    "rekindle::patch::unknown_step",
                    format!("the runbook has no step `{}` to patch", id.value),
                )
                .label(&id.location, "no such step")
                .help(help),
            );
        }
        found
    }

    /// Notes that a patch disables or replaces a step; two that do can't both be meant.
    fn decide(&mut self, id: &Spanned<String>) -> bool {
        let Some(first) = self.decided.get(&id.value) else {
            self.decided.insert(id.value.clone(), id.location.clone());
            return true;
        };
        let help = format!("the other one stands at {first}: keep one of them");
        self.errors.push(
            Diagnostic::new(
                "rekindle::patch::conflict",
                format!("two patches disable or replace `{}`", id.value),
            )
            .label(&id.location, "decided again")
            .label(first, "decided here")
            .help(help),
        );
        false
    }

    fn set(&mut self, id: &Spanned<String>, fields: &Node) {
        let Some(at) = self.find(id) else { return };
        let step = self.steps.get(at);
        let mut orphans = Vec::new();
        let (Some(own), Some(over)) = (step.entries(), fields.entries()) else { return };
        let entries = lay_over(own, over, "", &mut orphans);
        let step = Node { value: NodeValue::Map(entries), location: step.location.clone() };
        self.steps.set(at, step);
        self.set.insert(id.value.clone(), id.location.clone());
        self.errors.extend(orphans.into_iter().map(|orphan| {
            Diagnostic::new(
                "rekindle::patch::nothing_to_delete",
                format!("`{}` has no `{}` that null could delete", id.value, orphan.path),
            )
            .label(&orphan.at, "deletes nothing")
            .help("remove the line, or write a value")
        }));
    }

    fn replace(&mut self, id: &Spanned<String>, with: &Node) {
        let Some(at) = self.find(id) else { return };
        if !self.decide(id) {
            return;
        }
        if let Some(set) = self.set.get(&id.value) {
            let help = format!("it is set at {set}: remove that, or put it behind this patch");
            self.errors.push(
                Diagnostic::new(
                    "rekindle::patch::conflict",
                    format!("`{}` is replaced after it was set", id.value),
                )
                .label(&id.location, "what was set is lost")
                .help(help),
            );
            return;
        }
        let mut step = with_needs(with, &needs_of(self.steps.get(at)), &id.location);
        if step.get("id").is_none() {
            step = with_field(&step, "id", text(&id.value), &id.location);
        }
        self.steps.set(at, step);
    }

    fn insert(&mut self, side: Side, anchor: &Spanned<String>, inserted: &[Node]) {
        let Some(at) = self.find(anchor) else { return };
        self.check_ids(inserted);
        let place = self.steps.get(at).clone();
        if !at.is_among_main_steps() {
            // There the order of the list is the order of the run.
            return match side {
                Side::After => self.steps.insert_after(at, inserted.to_vec()),
                Side::Before => self.steps.insert_before(at, inserted.to_vec()),
            };
        }
        let needs = match side {
            Side::After => vec![Node { value: text(&anchor.value), location: anchor.location.clone() }],
            Side::Before => needs_of(&place),
        };
        let steps = inserted.iter().map(|step| with_needs(step, &needs, &anchor.location)).collect();
        match side {
            Side::After => self.steps.insert_after(at, steps),
            Side::Before => {
                let mut needs = needs_of(&place);
                needs.extend(inserted.iter().filter_map(|step| step.get("id").cloned()));
                self.steps.set(at, with_field(&place, "needs", NodeValue::List(needs), &anchor.location));
                self.steps.insert_before(at, steps);
            }
        }
    }

    /// Says which of the inserted steps have an id that is taken, also as templates spell it.
    fn check_ids(&mut self, inserted: &[Node]) {
        let spelt = |id: &str| id.replace('-', "_");
        for (position, step) in inserted.iter().enumerate() {
            let Some(id) = step.get("id") else { continue };
            let Some(name) = id.text() else { continue };
            let mut known = self.steps.all().chain(&inserted[..position]);
            let taken = known.find(|other| id_of(other).is_some_and(|other| spelt(other) == spelt(name)));
            if let Some(first) = taken.and_then(|other| other.get("id")) {
                let help = format!("it is that of the step at {}; give this one another", first.location);
                self.errors.push(
                    Diagnostic::new(
                        "rekindle::patch::duplicate_id",
                        format!("an inserted step has the id `{name}`, which is taken"),
                    )
                    .label(&id.location, "used again")
                    .help(help),
                );
            }
        }
    }
}

fn text(text: &str) -> NodeValue {
    NodeValue::String { text: text.to_owned(), style: ScalarStyle::Plain, raw: false }
}
