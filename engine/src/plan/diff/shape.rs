//! Plans in the shape in which they are compared: lists with names as maps, parameters as a person wrote them.

use serde_json::{Map, Value};

use crate::plan::hash::ANNOTATIONS;
use crate::plan::{Edge, EdgeReason, Param, PinnedStep, Plan, PlanStep};

/// The part that holds what has no part of its own.
pub(super) const OTHER: &str = "other";

/// What is compared step by step, or follows from the rest.
const ELSEWHERE: [&str; 4] = ["hash", "steps", "unpinned", "pinned"];
const PARTS: [&str; 7] = ["runbook", "inputs", "sources", "files", "kinds", "settings", "values"];
/// The part whose fields are parts of their own.
const ORIGIN: &str = "origin";

/// Gives the parts of a plan but its steps, by name. What a later format adds comes under [`OTHER`].
pub(super) fn of(plan: &Plan) -> Map<String, Value> {
    let mut parts = Map::new();
    let mut other = Map::new();
    let Ok(Value::Object(mut whole)) = serde_json::to_value(plan) else { return parts };
    if let Some(Value::Object(origin)) = whole.shift_remove(ORIGIN) {
        whole.extend(origin);
    }
    for (name, value) in whole {
        if ELSEWHERE.contains(&name.as_str()) || ANNOTATIONS.contains(&name.as_str()) {
            continue;
        }
        if PARTS.contains(&name.as_str()) {
            parts.insert(name, named(value));
        } else if !value.is_null() {
            other.insert(name, value);
        }
    }
    parts.insert(OTHER.to_owned(), Value::Object(other));
    parts
}

/// Turns a list of files into a map of their hashes, by role and name.
fn named(value: Value) -> Value {
    let Value::Array(items) = value else { return value };
    let text = |item: &Value, field: &str| item.get(field).and_then(Value::as_str).map(str::to_owned);
    let entry = |item: &Value| {
        let name = text(item, "path").or_else(|| text(item, "name"))?;
        let key = text(item, "role").map_or(name.clone(), |role| format!("{role} {name}"));
        let proof = item.get("sha256").or_else(|| item.get("size_bytes")).cloned();
        Some((key, proof.unwrap_or_default()))
    };
    let entries: Option<Map<String, Value>> = items.iter().map(entry).collect();
    entries.map_or(Value::Array(items), Value::Object)
}

/// Gives the fields of a step but its id.
pub(super) fn of_step(step: &PlanStep) -> Value {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(step) else { return Value::Null };
    fields.shift_remove("id");
    fields.shift_remove("params");
    fields.insert("with".to_owned(), written(&step.params));
    fields.insert("needs".to_owned(), step.needs.iter().map(edge).collect());
    Value::Object(fields)
}

/// Gives what a step found while planning, but not when it looked.
pub(super) fn of_pinned(step: &PinnedStep) -> Value {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(step) else { return Value::Null };
    fields.shift_remove("id");
    fields.shift_remove("at");
    Value::Object(fields)
}

fn edge(edge: &Edge) -> Value {
    Value::String(match &edge.reason {
        EdgeReason::Declared => edge.step.to_string(),
        EdgeReason::Inferred { reference } => format!("{} (inferred from {reference})", edge.step),
        EdgeReason::Order => format!("{} (order)", edge.step),
    })
}

/// Gives parameters as they stand under `with:`, templates as their text.
fn written(param: &Param) -> Value {
    match param {
        Param::Value(value) => value.clone(),
        Param::Template(text) => Value::String(text.clone()),
        Param::List(items) => items.iter().map(written).collect(),
        Param::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), written(value))).collect())
        }
    }
}
