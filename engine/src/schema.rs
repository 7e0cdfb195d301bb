//! JSON Schema (draft 2020-12) of the documents a user writes, for editors and independent validators.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::environment::Settings;
use crate::runbook::{OnConflict, OnCrash, Phase};
use crate::step::{Effect, KindInfo, Registry};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

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

/// Gives the schema of a composite step kind; `uses` and `with` know the kinds of the registry.
pub fn composite(registry: &Registry) -> Value {
    let mut schema = runbook(registry);
    schema["title"] = json!("StepKind");
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let runbooks_only = ["requires", "concurrency", "defaults", "on_failure", "finally"];
        properties.retain(|name, _| !runbooks_only.contains(&name.as_str()));
        let name = r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*$";
        properties.insert("kind".into(), json!({ "const": "StepKind" }));
        properties.insert(
            "name".into(),
            json!({ "type": "string", "pattern": name, "description": "What `uses:` names; also the file's name." }),
        );
        properties.insert(
            "outputs".into(),
            json!({
                "type": "object",
                "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$" },
                "description": "What later steps see as `steps.ID.outputs`: templates over the steps here.",
            }),
        );
    }
    schema
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
