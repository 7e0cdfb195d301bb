//! Two JSON values → the fields that differ, by dotted path.

use serde_json::Value;

use super::FieldChange;

/// Compares two values: maps key by key, everything else as a whole.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(String::new(), old, new, &mut changes);
    changes
}

fn walk(path: String, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before {
                walk(join(&path, key), Some(value), after.get(key), changes);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                walk(join(&path, key), None, Some(value), changes);
            }
        }
        // A part that only one has is told key by key too: `+ retry.attempts: 3`.
        (Some(Value::Object(before)), None) if !before.is_empty() => {
            for (key, value) in before {
                walk(join(&path, key), Some(value), None, changes);
            }
        }
        (None, Some(Value::Object(after))) if !after.is_empty() => {
            for (key, value) in after {
                walk(join(&path, key), None, Some(value), changes);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            changes.push(FieldChange { field: path, old: old.cloned(), new: new.cloned() });
        }
    }
}

/// Appends a key to a path; one that is no plain word is quoted. The first is as its part names it.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (path.is_empty(), plain) {
        (true, _) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (false, false) => format!("{path}[{}]", Value::from(key)),
    }
}
