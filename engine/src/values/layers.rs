//! Layers of one value: maps merge, lists and scalars replace, `null` deletes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::overrides;
use crate::document::{Location, Node, NodeValue};
use crate::runbook::ValueType;

/// Lays `node` over what is there, and notes where each part came from, by dotted path.
pub(super) fn lay_over(
    below: Option<Value>,
    node: &Node,
    path: &str,
    provenance: &mut BTreeMap<String, Location>,
) -> Option<Value> {
    if node.value == NodeValue::Null {
        forget(path, provenance);
        return None;
    }
    let Some(entries) = node.entries() else {
        forget(path, provenance);
        provenance.insert(path.to_owned(), node.location.clone());
        return Some(node.to_json());
    };
    let mut merged = if let Some(Value::Object(map)) = below {
        map
    } else {
        forget(path, provenance);
        Map::new()
    };
    provenance.insert(path.to_owned(), node.location.clone());
    for entry in entries {
        let path = format!("{path}.{}", entry.key);
        // `shift_remove` and not `remove`: the order of the rest is the order of the text.
        let below = merged.get(&entry.key).cloned();
        match lay_over(below, &entry.value, &path, provenance) {
            Some(value) => {
                merged.insert(entry.key.clone(), value);
            }
            None => {
                merged.shift_remove(&entry.key);
            }
        }
    }
    Some(Value::Object(merged))
}

fn forget(path: &str, provenance: &mut BTreeMap<String, Location>) {
    let inside = format!("{path}.");
    provenance.retain(|known, _| known != path && !known.starts_with(&inside));
}

/// Wraps a `--set` of `name.key.key` into the maps that its path names.
fn nested(keys: &[String], node: &Node) -> Node {
    keys.iter().rev().fold(node.clone(), |inner, key| Node {
        location: inner.location.clone(),
        value: NodeValue::Map(vec![crate::document::Entry {
            key: key.clone(),
            key_span: inner.location.span,
            value: inner,
        }]),
    })
}

/// Gives the word of a `--set`: its value, as the type that is declared, inside the maps that its path names.
pub(crate) fn set_as_declared(keys: &[String], node: &Node, kind: Option<&ValueType>) -> Node {
    nested(keys, &kind.map_or_else(|| node.clone(), |kind| as_declared(node, kind)))
}

/// Takes scalars that were read as something else as the text they are, where text is declared.
///
/// Only for `--set`: on a command line quotes are the shell's, so nobody can be asked for them.
fn as_declared(node: &Node, kind: &ValueType) -> Node {
    match (&node.value, kind) {
        (NodeValue::List(items), ValueType::List(kind)) => Node {
            value: NodeValue::List(items.iter().map(|item| as_declared(item, kind)).collect()),
            location: node.location.clone(),
        },
        (
            NodeValue::Bool(_) | NodeValue::Integer(_) | NodeValue::Float(_),
            ValueType::String | ValueType::Path | ValueType::Target | ValueType::Store | ValueType::Enum(_),
        ) => {
            let span = node.location.span;
            let written = node.location.source.text.get(span.start..span.end).unwrap_or_default();
            let location = Location { source: Arc::clone(&node.location.source), span };
            overrides::text(written, location)
        }
        _ => node.clone(),
    }
}
