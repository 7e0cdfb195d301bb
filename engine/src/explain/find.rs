//! What one document says about a path.

use crate::document::{Location, Node, NodeValue};

/// What a layer says about a path.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// This.
    Value(Node),
    /// `null`: it is not there. On the path itself, or so many keys from its beginning.
    Deletes { depth: usize },
    /// A list or a scalar stands where the path goes on: what was there is gone.
    Replaces,
}

/// Follows keys through maps, and numbers through lists. Gives where the word stands, too.
pub(super) fn find(node: &Node, keys: &[&str]) -> Option<(Says, Location)> {
    let mut node = node;
    let mut at = node.location.clone();
    for (depth, key) in keys.iter().enumerate() {
        match &node.value {
            NodeValue::Map(entries) => {
                let entry = entries.iter().find(|entry| entry.key == *key)?;
                at = entry.key_location();
                node = &entry.value;
            }
            NodeValue::List(items) => match key.parse::<usize>().ok().and_then(|index| items.get(index)) {
                Some(item) => {
                    at = item.location.clone();
                    node = item;
                }
                None => return Some((Says::Replaces, at)),
            },
            NodeValue::Null => return Some((Says::Deletes { depth }, at)),
            NodeValue::Bool(_) | NodeValue::Integer(_) | NodeValue::Float(_) | NodeValue::String { .. } => {
                return Some((Says::Replaces, at));
            }
        }
    }
    match node.value {
        NodeValue::Null => Some((Says::Deletes { depth: keys.len() }, at)),
        _ => Some((Says::Value(node.clone()), at)),
    }
}
