//! The layers of values, of the runbook's own settings and of environments.

use super::ExplainInput;
use super::Layer;
use super::find::{Says, find};
use super::fold::{Over, Said};
use crate::document::{Location, Node, NodeValue};
use crate::values::{Override, set_as_declared};

pub(super) fn of_values(input: &ExplainInput<'_>, keys: &[&str]) -> Vec<Said> {
    let Some((name, rest)) = keys.split_first() else { return Vec::new() };
    let mut said = Vec::new();
    let mut add = |layer: Layer, over: Over, found: Option<(Says, Location)>| {
        said.extend(found.map(|(says, at)| Said { layer, at, says, over, note: None }));
    };
    let declaration = input.runbook.values.iter().find(|declared| declared.name.value == *name);
    if let Some(default) = declaration.and_then(|declared| declared.default.as_ref()) {
        let found = match default.value {
            // A default of null is a value like others.
            NodeValue::Null if rest.is_empty() => {
                Some((Says::Value(default.clone()), default.location.clone()))
            }
            _ => find(default, rest),
        };
        add(Layer::Runbook, Over::Merges, found);
    }
    for values in &input.environment.values {
        let found = values.get(name).and_then(|_| find(values, keys)).map(from_value);
        add(Layer::Environment, Over::FallsBack, found);
    }
    for given in input.overrides {
        match given {
            Override::File(node) => {
                let found = node.get(name).and_then(|_| find(node, keys)).map(from_value);
                add(Layer::ValuesFile, Over::FallsBack, found);
            }
            Override::Set { path, node } if path.first().is_some_and(|first| first == name) => {
                let laid = set_as_declared(&path[1..], node, declaration.map(|declared| &declared.kind));
                add(Layer::Set, Over::FallsBack, find(&laid, rest));
            }
            Override::Set { .. } => {}
        }
    }
    said
}

/// Counts the depth of a `null` from the value, not from the map of all values.
fn from_value((says, at): (Says, Location)) -> (Says, Location) {
    match says {
        Says::Deletes { depth } => (Says::Deletes { depth: depth.saturating_sub(1) }, at),
        Says::Value(_) | Says::Replaces => (says, at),
    }
}

pub(super) fn of_runbook(input: &ExplainInput<'_>, root: &str, keys: &[&str]) -> Vec<Said> {
    let found = input.document.get(root).and_then(|node| find(node, keys));
    let said =
        found.map(|(says, at)| Said { layer: Layer::Runbook, at, says, over: Over::Merges, note: None });
    said.into_iter().collect()
}

pub(super) fn of_environment(input: &ExplainInput<'_>, root: &str, keys: &[&str]) -> Vec<Said> {
    let path: Vec<&str> = std::iter::once(root).chain(keys.iter().copied()).collect();
    let words = |layer: &Node| find(layer, &path);
    let found = input.environment.layers.iter().filter_map(words);
    found
        .map(|(says, at)| Said { layer: Layer::Environment, at, says, over: Over::Merges, note: None })
        .collect()
}
