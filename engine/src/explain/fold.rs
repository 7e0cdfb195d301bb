//! Words of layers → what they come to, and which of them count.

use serde_json::{Map, Value};

use super::find::Says;
use super::{Layer, Word};
use crate::document::{Location, Node, NodeValue};

/// One layer's word on its way.
pub(super) struct Said {
    pub(super) layer: Layer,
    pub(super) at: Location,
    pub(super) says: Says,
    /// What it does to the words below it.
    pub(super) over: Over,
    pub(super) note: Option<String>,
}

/// What a word does to those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Maps merge, anything else replaces.
    Merges,
    /// Also a map replaces.
    Replaces,
    /// `null` goes back to the first word.
    FallsBack,
    /// Nothing: it is only told.
    Nothing,
}

/// Gives the value and the words. Only the last that counts wins, or all whose maps are merged.
pub(super) fn fold(said: Vec<Said>) -> (Option<Value>, Vec<Word>) {
    let mut value: Option<Value> = None;
    let mut counting: Vec<usize> = Vec::new();
    let mut first: Option<(Option<Value>, Vec<usize>)> = None;
    for (position, word) in said.iter().enumerate() {
        match (&word.says, word.over) {
            (_, Over::Nothing) => continue,
            (Says::Value(node), over) => {
                let merges = over != Over::Replaces && value.as_ref().is_some_and(Value::is_object);
                if !merges || node.entries().is_none() {
                    counting.clear();
                    value = None;
                }
                // A default of null is a value; any other null is a word of its own.
                value = laid(value, node).or(Some(Value::Null));
                counting.push(position);
            }
            (Says::Deletes { depth: 0 }, Over::FallsBack) => {
                (value, counting) = first.clone().unwrap_or_default();
            }
            (Says::Deletes { .. } | Says::Replaces, _) => {
                value = None;
                counting.clear();
            }
        }
        if position == 0 && word.layer == Layer::Runbook {
            first = Some((value.clone(), counting.clone()));
        }
    }
    let words = said.into_iter().enumerate();
    (value, words.map(|(position, word)| told(word, counting.contains(&position))).collect())
}

/// Lays a node over JSON as values are laid over each other.
fn laid(below: Option<Value>, node: &Node) -> Option<Value> {
    match &node.value {
        NodeValue::Map(entries) => {
            let mut map = match below {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            for entry in entries {
                let inner = map.get(&entry.key).cloned();
                match laid(inner, &entry.value) {
                    Some(value) => {
                        map.insert(entry.key.clone(), value);
                    }
                    None => {
                        map.shift_remove(&entry.key);
                    }
                }
            }
            Some(Value::Object(map))
        }
        NodeValue::Null => None,
        _ => Some(node.to_json()),
    }
}

fn told(word: Said, wins: bool) -> Word {
    let (value, note) = match word.says {
        Says::Value(node) => (Some(node.to_json()), word.note),
        Says::Deletes { .. } if word.over == Over::Nothing => (None, word.note),
        Says::Deletes { depth: 0 } if word.over == Over::FallsBack => {
            (None, Some("null: back to the default".to_owned()))
        }
        Says::Deletes { .. } => (None, Some("deleted by null".to_owned())),
        Says::Replaces => (None, word.note.or_else(|| Some("replaced by something without this".to_owned()))),
    };
    let source = &word.at.source;
    let at = match word.layer {
        Layer::Set => source.name.clone(),
        Layer::Runbook | Layer::Environment | Layer::Patch | Layer::ValuesFile => {
            format!("{}:{}", source.name, source.line_and_column(word.at.span.start).0)
        }
    };
    Word { layer: word.layer, at, value, note, wins }
}
