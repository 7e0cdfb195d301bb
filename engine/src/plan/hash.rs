//! What makes two plans the same plan: a sha256 over everything in it.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Plan;

/// What may be written next to a plan for people and other programs, and is no part of it: readers ignore it.
pub(crate) const ANNOTATIONS: [&str; 3] = ["preview", "estimates", "unknowns"];

impl Plan {
    /// Computes sha256 (hex) over the canonical form of everything but `hash`: what an approver approves.
    ///
    /// It covers runbook (with the hash of its text), settings, values, kinds, effects, parameters, edges and
    /// what plan-phase steps found with the time they looked. Where things stand in a file is not part of it.
    pub fn compute_hash(&self) -> String {
        // A plan holds nothing that JSON can't hold; if it ever does, the hash of nothing verifies nothing.
        hash_of(serde_json::to_value(self).unwrap_or_default())
    }

    /// Tells whether `hash` is the hash of the rest.
    pub fn verify_hash(&self) -> bool {
        self.hash == self.compute_hash()
    }
}

/// Gives as much of a hash as people compare: its first 12 digits.
pub fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Computes the hash of a plan as it stands in a file.
///
/// Taken over what is there and not over what this version understands of it, so that a plan keeps its hash when
/// later versions know more fields.
pub(super) fn hash_of(mut plan: Value) -> String {
    if let Value::Object(entries) = &mut plan {
        entries.shift_remove("hash");
        for annotation in ANNOTATIONS {
            entries.shift_remove(annotation);
        }
    }
    let mut canonical = String::new();
    write_canonical(&plan, &mut canonical);
    hex::encode(Sha256::digest(canonical.as_bytes()))
}

/// Writes JSON without spaces and with sorted keys, so that neither layout nor order of maps matters.
fn write_canonical(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => {
            into.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    into.push(',');
                }
                write_canonical(item, into);
            }
            into.push(']');
        }
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            into.push('{');
            for (position, (key, value)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    into.push(',');
                }
                write_text(key, into);
                into.push(':');
                write_canonical(value, into);
            }
            into.push('}');
        }
        // serde_json may read a float back one unit in the last place off (its `float_roundtrip` is not on):
        // fifteen digits survive the way through a file.
        Value::Number(number) if number.is_f64() => {
            // Writing to a `String` can't fail.
            let _ = write!(into, "{:.14e}", number.as_f64().unwrap_or_default());
        }
        Value::String(text) => write_text(text, into),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(into, "{value}");
        }
    }
}

/// Writes a JSON text as `serde_json` does, at once where there is nothing to escape.
fn write_text(text: &str, into: &mut String) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        into.push_str(&Value::from(text).to_string());
    } else {
        into.push('"');
        into.push_str(text);
        into.push('"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::write_canonical;
    use crate::plan::fixture;

    fn canonical(value: &serde_json::Value) -> String {
        let mut text = String::new();
        write_canonical(value, &mut text);
        text
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_items_does() {
        assert_eq!(canonical(&json!({"b": [1, 2], "a": "x\"y"})), r#"{"a":"x\"y","b":[1,2]}"#);
        assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])));
    }

    #[test]
    fn every_part_of_a_plan_is_in_its_hash() {
        let plan = fixture::recovery();
        assert!(plan.verify_hash());
        let changes: [fn(&mut crate::plan::Plan); 8] = [
            |plan| plan.runbook.sha256.push('0'),
            |plan| plan.settings.name.push('x'),
            |plan| plan.values["backup"] = "older".into(),
            |plan| plan.concurrency = None,
            |plan| plan.pinned[0].outputs["uri"] = "file:elsewhere".into(),
            |plan| plan.pinned[0].at = jiff::Timestamp::UNIX_EPOCH,
            |plan| plan.steps[0].effect = crate::step::Effect::Destroy,
            |plan| plan.steps[1].needs.clear(),
        ];
        for (position, change) in changes.into_iter().enumerate() {
            let mut other = plan.clone();
            change(&mut other);
            assert!(!other.verify_hash(), "change {position}");
        }
    }

    #[test]
    fn where_a_step_stands_is_not_in_the_hash() {
        let mut plan = fixture::recovery();
        plan.steps[0].location = None;
        assert!(plan.verify_hash());
    }
}
