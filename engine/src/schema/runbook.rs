//! The schema of a runbook.

use serde_json::{Value, json};

use super::steps::{kinds, step};
use super::{DIALECT, schema_of};
use crate::runbook::{LIMITS, OnConflict, RESERVED_VALUES, value_types};
use crate::step::Registry;
use crate::values::DurationText;

/// What becomes a part of paths and messages: see `Reader::check_name`.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
const VALUE_NAME: &str = "^[a-z][a-z0-9_]*$";
/// As <https://semver.org> suggests it, without named groups.
const SEMVER: &str = "^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(-(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)\
    (\\.(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\\+[0-9a-zA-Z-]+(\\.[0-9a-zA-Z-]+)*)?$";

/// Gives the schema of a runbook; `uses` and `with` know the kinds of the registry.
pub fn runbook(registry: &Registry) -> Value {
    let steps = json!({ "type": "array", "items": { "$ref": "#/$defs/step" } });
    let described = |text: &str| {
        let mut steps = steps.clone();
        steps["description"] = json!(text);
        steps
    };
    let mut main = described("What is done, side by side as far as `needs` and references allow.");
    main["minItems"] = json!(1);
    json!({
        "$schema": DIALECT,
        "title": "Runbook",
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "name", "version", "steps"],
        "properties": {
            "apiVersion": { "const": "rekindle/v1" },
            "kind": { "const": "Runbook" },
            "name": { "type": "string", "pattern": NAME },
            "version": {
                "type": "string",
                "pattern": SEMVER,
                "description": "Semantic version; recorded with every run.",
            },
            "requires": {
                "type": "string",
                "pattern": "^rekindle\\s",
                "description": "The versions of rekindle it is for: `rekindle >= 0.2`.",
            },
            "summary": { "type": "string", "description": "One sentence for people." },
            "values": {
                "type": "object",
                "description": "The inputs; templates name them `values.NAME`.",
                "propertyNames": { "pattern": VALUE_NAME, "not": { "enum": RESERVED_VALUES } },
                "additionalProperties": { "$ref": "#/$defs/value" },
            },
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
                "description": "For every step that does not say otherwise.",
                "additionalProperties": false,
                "properties": { "timeout": duration("Of one attempt."), "retry": { "$ref": "#/$defs/retry" } },
            },
            "steps": main,
            "on_failure": described("Runs once after a failure, in this order."),
            "finally": described("Runs last, always, in this order."),
        },
        "$defs": definitions(registry),
    })
}

/// Gives what a document with steps and values refers to as `#/$defs/…`: `step`, `retry`, `value`.
pub(crate) fn definitions(registry: &Registry) -> Value {
    json!({ "step": step(&kinds(registry)), "retry": retry(), "value": value() })
}

pub(super) fn duration(description: &str) -> Value {
    let mut schema = schema_of::<DurationText>();
    schema["description"] =
        json!(format!("{description} A number with a unit, such as `90s`, `15m` or `1h30m`."));
    schema
}

/// A declaration under `values:`; `items` is the name of a type, or a declaration without default.
fn value() -> Value {
    let types: Vec<&str> = value_types().collect();
    let texts = json!({
        "type": "array",
        "minItems": 1,
        "items": { "type": "string" },
        "description": "The texts a string may be.",
    });
    // A list of lists says what the inner items are.
    let plain: Vec<&str> = types.iter().copied().filter(|name| *name != "list").collect();
    let declaration = |extra: Value| {
        let mut properties = json!({
            "type": { "enum": types },
            "items": {
                "description": "The type of a list's items.",
                "anyOf": [{ "enum": plain }, { "$ref": "#/$defs/value/$defs/items" }],
            },
            "enum": texts,
        });
        if let (Some(properties), Value::Object(extra)) = (properties.as_object_mut(), extra) {
            properties.extend(extra);
        }
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["type"],
            "properties": properties,
            "allOf": [
                {
                    "if": { "properties": { "type": { "const": "list" } } },
                    "then": { "required": ["items"] },
                    "else": { "properties": { "items": false } },
                },
                {
                    "if": { "not": { "properties": { "type": { "const": "string" } } } },
                    "then": { "properties": { "enum": false } },
                },
            ],
        })
    };
    let mut schema = declaration(json!({
        "default": { "description": "A value without one must be given." },
        "description": { "type": "string" },
    }));
    schema["$defs"] = json!({ "items": declaration(json!({})) });
    schema
}

fn retry() -> Value {
    json!({
        "type": "object",
        "description": "How failed attempts are repeated.",
        "additionalProperties": false,
        "required": ["attempts"],
        "properties": {
            "attempts": {
                "type": "integer",
                "minimum": 1,
                "maximum": LIMITS.attempts,
                "description": "Tries in all, the first included.",
            },
            "delay": duration("Before the second try."),
            "backoff": {
                "type": "number",
                "minimum": 1,
                "maximum": LIMITS.backoff,
                "description": "The factor between delays.",
            },
            "max_delay": duration("The longest delay, before jitter lengthens it."),
            "jitter": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "The part of itself by which each delay is lengthened at most.",
            },
        },
    })
}
