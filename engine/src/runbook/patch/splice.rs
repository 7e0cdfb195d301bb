//! The steps of a document as lists that can be changed, and put back.

use crate::document::{Entry, Location, Node, NodeValue};

/// The lists of steps of a runbook.
const SECTIONS: [&str; 3] = ["steps", "on_failure", "finally"];

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    section: usize,
    index: usize,
}

impl Position {
    /// Tells whether the edges decide when it runs, and not its place in the list.
    pub(super) fn is_among_main_steps(self) -> bool {
        self.section == 0
    }
}

/// All steps of a runbook by section.
pub(super) struct Steps {
    sections: [Vec<Node>; 3],
}

impl Steps {
    pub(super) fn of(document: &Node) -> Self {
        let items = |section: &str| document.get(section).and_then(Node::items).unwrap_or_default().to_vec();
        Self { sections: SECTIONS.map(items) }
    }

    /// Gives every step.
    pub(super) fn all(&self) -> impl Iterator<Item = &Node> {
        self.sections.iter().flatten()
    }

    pub(super) fn find(&self, id: &str) -> Option<Position> {
        self.sections.iter().enumerate().find_map(|(section, steps)| {
            let index = steps.iter().position(|step| id_of(step) == Some(id))?;
            Some(Position { section, index })
        })
    }

    pub(super) fn get(&self, at: Position) -> &Node {
        &self.sections[at.section][at.index]
    }

    pub(super) fn set(&mut self, at: Position, step: Node) {
        self.sections[at.section][at.index] = step;
    }

    pub(super) fn insert_before(&mut self, at: Position, steps: Vec<Node>) {
        self.sections[at.section].splice(at.index..at.index, steps);
    }

    pub(super) fn insert_after(&mut self, at: Position, steps: Vec<Node>) {
        let behind = at.index + 1;
        self.sections[at.section].splice(behind..behind, steps);
    }

    /// Gives the document with these steps in place of its own.
    pub(super) fn put_into(self, document: &Node) -> Node {
        let mut document = document.clone();
        if let NodeValue::Map(entries) = &mut document.value {
            for (section, steps) in SECTIONS.into_iter().zip(self.sections) {
                if let Some(entry) = entries.iter_mut().find(|entry| entry.key == section)
                    && entry.value.items().is_some()
                {
                    entry.value.value = NodeValue::List(steps);
                }
            }
        }
        document
    }
}

/// Gives a step's id.
pub(super) fn id_of(step: &Node) -> Option<&str> {
    step.get("id")?.text()
}

/// Gives a step with a field that stands at `at`, in place of the one that it has.
pub(super) fn with_field(step: &Node, key: &str, value: NodeValue, at: &Location) -> Node {
    let mut step = step.clone();
    if let NodeValue::Map(entries) = &mut step.value {
        let new =
            Entry { key: key.to_owned(), key_span: at.span, value: Node { value, location: at.clone() } };
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => *entry = new,
            None => entries.push(new),
        }
    }
    step
}

/// Gives a step with these `needs` unless it has some.
pub(super) fn with_needs(step: &Node, needs: &[Node], at: &Location) -> Node {
    if needs.is_empty() || step.get("needs").is_some() {
        return step.clone();
    }
    with_field(step, "needs", NodeValue::List(needs.to_vec()), at)
}

/// Gives what a step declares to wait for.
pub(super) fn needs_of(step: &Node) -> Vec<Node> {
    match step.get("needs") {
        Some(Node { value: NodeValue::List(items), .. }) => items.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}
