//! The schema of an environment.

use serde_json::{Map, Value, json};

use super::schema_of;
use crate::environment::Settings;

/// Gives the schema of an environment, which may be a part of one: what a file leaves out, another that it
/// extends or that extends it may say, and `null` deletes.
pub fn environment() -> Value {
    let mut schema = partial(&schema_of::<Settings>());
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".into(), json!({ "const": "rekindle/v1" }));
        properties.insert("kind".into(), json!({ "const": "Environment" }));
        properties
            .insert("name".into(), json!({ "type": "string", "description": "Its name; not inherited." }));
        properties.insert(
            "extends".into(),
            json!({ "type": "string", "description": "NAME for NAME.yaml beside this file, or a path from its folder." }),
        );
        properties
            .insert("values".into(), json!({ "type": "object", "description": "Values for runbooks." }));
        properties.insert("patches".into(), patches());
    }
    schema["title"] = json!("Environment");
    schema["required"] = json!(["apiVersion", "kind"]);
    schema
}

fn patches() -> Value {
    let id = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$" });
    let step = json!({ "type": "object" });
    let operation = |required: &[&str], properties: Value| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        })
    };
    let steps = json!({ "type": "array", "minItems": 1, "items": step });
    json!({
        "type": "object",
        "description": "What is changed in the steps of runbooks, by the runbook's name; applied in this order.",
        "additionalProperties": { "type": ["array", "null"], "items": { "oneOf": [
            operation(&["step", "set"], json!({ "step": id, "set": { "type": "object", "minProperties": 1 } })),
            operation(
                &["step", "disable", "reason"],
                json!({ "step": id, "disable": { "const": true }, "reason": { "type": "string" } }),
            ),
            operation(&["step", "replace"], json!({ "step": id, "replace": step })),
            operation(&["after", "insert"], json!({ "after": id, "insert": steps })),
            operation(&["before", "insert"], json!({ "before": id, "insert": steps })),
        ] } },
    })
}

/// Lets every field be left out, and be null.
fn partial(schema: &Value) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let mut loosened = object.clone();
    loosened.remove("required");
    if let Some(Value::Object(properties)) = object.get("properties") {
        let each = properties.iter().map(|(name, property)| (name.clone(), or_null(&partial(property))));
        loosened.insert("properties".into(), each.collect::<Map<_, _>>().into());
    }
    if let Some(inner @ Value::Object(_)) = object.get("additionalProperties") {
        loosened.insert("additionalProperties".into(), or_null(&partial(inner)));
    }
    if let Some(Value::Array(options)) = object.get("anyOf") {
        loosened.insert("anyOf".into(), options.iter().map(partial).collect());
    }
    Value::Object(loosened)
}

fn or_null(schema: &Value) -> Value {
    let Some(kind) = schema.get("type").and_then(Value::as_str).filter(|kind| *kind != "null") else {
        let nullable = |kinds: &Value| kinds.as_array().is_some_and(|kinds| kinds.contains(&json!("null")));
        if schema.get("type").is_some_and(nullable) || schema.get("anyOf").is_some() {
            return schema.clone();
        }
        return json!({ "anyOf": [schema, { "type": "null" }] });
    };
    let mut schema = schema.clone();
    schema["type"] = json!([kind, "null"]);
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}
