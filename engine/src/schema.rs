//! JSON Schema (draft 2020-12) of the documents a user writes, for editors and independent validators.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::environment::Settings;
use crate::runbook::{OnConflict, OnCrash, Phase};
use crate::step::{Effect, KindInfo, Registry};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Gives the schema of an environment.
pub fn environment() -> Value {
    let mut schema = schema_of::<Settings>();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".into(), json!({ "const": "rekindle/v1" }));
        properties.insert("kind".into(), json!({ "const": "Environment" }));
        properties
            .insert("values".into(), json!({ "type": "object", "description": "Values for runbooks." }));
    }
    schema["title"] = json!("Environment");
    schema["required"] = json!(["apiVersion", "kind", "name"]);
    schema
}

/// Gives the schema of a runbook; `uses` and `with` know the kinds of the registry.
pub fn runbook(registry: &Registry) -> Value {
    let kinds: Vec<&KindInfo> = registry.kinds().map(|step| step.info()).collect();
    let steps = json!({ "type": "array", "items": { "$ref": "#/$defs/step" } });
    json!({
        "$schema": DIALECT,
        "title": "Runbook",
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "name", "version", "steps"],
        "properties": {
            "apiVersion": { "const": "rekindle/v1" },
            "kind": { "const": "Runbook" },
            "name": { "type": "string" },
            "version": { "type": "string", "description": "Semantic version; recorded with every run." },
            "requires": {
                "type": "string",
                "pattern": "^rekindle\\s",
                "description": "The versions of rekindle it is for: `rekindle >= 0.2`.",
            },
            "summary": { "type": "string" },
            "values": { "type": "object", "additionalProperties": { "$ref": "#/$defs/value" } },
            "concurrency": {
                "type": "object",
                "additionalProperties": false,
                "required": ["group"],
                "properties": {
                    "group": { "type": "string", "description": "Runs of one group exclude each other." },
                    "on_conflict": schema_of::<OnConflict>(),
                },
            },
            "defaults": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "timeout": duration(), "retry": { "$ref": "#/$defs/retry" } },
            },
            "steps": steps,
            "on_failure": steps,
            "finally": steps,
        },
        "$defs": { "step": step(&kinds), "retry": retry(), "value": value() },
    })
}

fn duration() -> Value {
    schema_of::<crate::values::DurationText>()
}

fn value() -> Value {
    let types = [
        "string", "integer", "number", "boolean", "duration", "size", "path", "target", "store", "list",
        "map",
    ];
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["type"],
        "properties": {
            "type": { "enum": types },
            "items": { "enum": types, "description": "The type of a list's items." },
            "enum": { "type": "array", "items": { "type": "string" }, "description": "The texts a string may be." },
            "default": { "description": "A value without one must be given." },
            "description": { "type": "string" },
        },
    })
}

fn retry() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["attempts"],
        "properties": {
            "attempts": { "type": "integer", "minimum": 1, "description": "Tries in all, the first included." },
            "delay": duration(),
            "backoff": { "type": "number", "minimum": 1 },
            "max_delay": duration(),
            "jitter": { "type": "number", "minimum": 0, "maximum": 1 },
        },
    })
}

fn step(kinds: &[&KindInfo]) -> Value {
    let names: Vec<&str> = kinds.iter().map(|info| info.kind.as_str()).collect();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|info| {
            json!({
                "if": { "properties": { "uses": { "const": info.kind } }, "required": ["uses"] },
                "then": { "properties": { "with": templated(info.params.as_value()) } },
            })
        })
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id"],
        "oneOf": [{ "required": ["uses"] }, { "required": ["run"] }],
        "properties": {
            "id": { "type": "string", "pattern": "^[a-z][a-z0-9-]*$" },
            "name": { "type": "string" },
            "uses": { "enum": names },
            "with": { "type": "object" },
            "run": { "type": ["array", "string"], "description": "Short for `uses: run`: an argv list, or a script." },
            "env": { "type": "object" },
            "needs": { "type": "array", "items": { "type": "string" } },
            "when": { "type": ["string", "boolean"] },
            "for_each": { "type": ["string", "array", "object"] },
            "max_parallel": { "type": "integer", "minimum": 1 },
            "retry": { "$ref": "#/$defs/retry" },
            "timeout": duration(),
            "deadline": duration(),
            "phase": schema_of::<Phase>(),
            "on_crash": schema_of::<OnCrash>(),
            "effect": schema_of::<Effect>(),
            "continue_on_error": { "type": "boolean" },
        },
        "allOf": rules,
    })
}

/// Lets a template stand wherever a kind's parameter wants something that is not text.
fn templated(schema: &Value) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let mut loosened = Map::new();
    for (key, part) in object {
        let part = match (key.as_str(), part) {
            ("$schema" | "title", _) => continue,
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, property)| (name.clone(), or_template(&templated(property))))
                .collect::<Map<_, _>>()
                .into(),
            ("items" | "additionalProperties", Value::Object(_)) => or_template(&templated(part)),
            ("oneOf" | "anyOf" | "allOf", Value::Array(options)) => options.iter().map(templated).collect(),
            _ => part.clone(),
        };
        loosened.insert(key.clone(), part);
    }
    Value::Object(loosened)
}

fn or_template(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": "\\{\\{" }] })
}

/// Gives the schema of a type with everything inlined.
pub fn schema_of<T: schemars::JsonSchema>() -> Value {
    let generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut()
        && !object.contains_key("properties")
    {
        object.remove("$schema");
    }
    schema
}
