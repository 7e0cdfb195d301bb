//! The schemas of steps: their fields, and `with:` of every kind.

use serde_json::{Map, Value, json};

use super::runbook::duration;
use super::{DIALECT, schema_of};
use crate::runbook::{LIMITS, OnCrash, Phase};
use crate::step::{Effect, KindInfo, Registry};

/// The kind that `run:` is short for.
const RUN: &str = "run";

pub(super) fn kinds(registry: &Registry) -> Vec<&KindInfo> {
    registry.kinds().map(|step| step.info()).collect()
}

/// Gives the schema of what every kind takes and gives: an object with `uses`, `with` and `outputs`. The parts
/// of a kind stand under `$defs` by its name. Parameters are as a kind gets them, templates rendered.
pub fn steps(registry: &Registry) -> Value {
    let kinds = kinds(registry);
    let part = |schema: &schemars::Schema| {
        let mut schema = schema.as_value().clone();
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
        }
        schema
    };
    let definitions: Map<String, Value> = kinds
        .iter()
        .map(|info| {
            let definition = json!({
                "description": info.summary,
                "type": "object",
                "required": ["uses"],
                "properties": {
                    "uses": { "const": info.kind },
                    "effect": { "const": info.effect },
                    "with": part(&info.params),
                    "outputs": part(&info.outputs),
                },
                "additionalProperties": false,
            });
            (info.kind.clone(), definition)
        })
        .collect();
    let options: Vec<Value> =
        kinds.iter().map(|info| json!({ "$ref": format!("#/$defs/{}", info.kind) })).collect();
    json!({
        "$schema": DIALECT,
        "title": "Step kinds",
        "description": "What every step kind takes under `with` and gives as `steps.ID.outputs`.",
        "oneOf": options,
        "$defs": definitions,
    })
}

/// Gives the schema of a step of a runbook.
pub(super) fn step(kinds: &[&KindInfo]) -> Value {
    let names: Vec<&str> = kinds.iter().map(|info| info.kind.as_str()).collect();
    let summaries: Vec<&str> = kinds.iter().map(|info| info.summary.as_str()).collect();
    let mut rules: Vec<Value> = kinds.iter().map(|info| rule(info)).collect();
    rules.extend(kinds.iter().find(|info| info.kind == RUN).map(|info| shorthand(info)));
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id"],
        "oneOf": [{ "required": ["uses"] }, { "required": ["run"] }],
        "dependentRequired": { "env": ["run"], "max_parallel": ["for_each"] },
        "properties": {
            "id": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
                "maxLength": 63,
                "description": "Its name in the runbook, kebab-case.",
            },
            "name": { "type": "string", "description": "Its name for people." },
            // Shown by editors beside each name; validators pass over words they don't know.
            "uses": { "description": "The step kind.", "enum": names, "enumDescriptions": summaries },
            "with": { "type": "object", "description": "The parameters of the kind." },
            "run": { "type": ["array", "string"], "description": "Short for `uses: run`: an argv list, or a script." },
            "env": { "type": "object", "description": "The environment of `run`." },
            "needs": {
                "description": "Steps that must end first. A reference to `steps.ID` says it too.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
            "when": {
                "description": "An expression; false skips the step.",
                "anyOf": [{ "type": "string", "pattern": "\\S" }, { "type": "boolean" }],
            },
            "for_each": {
                "type": ["string", "array", "object"],
                "description": "One instance per item; templates name it `each.key` and `each.value`.",
            },
            "max_parallel": {
                "type": "integer",
                "minimum": 1,
                "maximum": LIMITS.max_parallel,
                "description": "How many instances run at once.",
            },
            "retry": { "$ref": "#/$defs/retry" },
            "timeout": duration("Of one attempt."),
            "deadline": duration("Of all attempts and waits."),
            "phase": schema_of::<Phase>(),
            "on_crash": schema_of::<OnCrash>(),
            "effect": schema_of::<Effect>(),
            "continue_on_error": { "type": "boolean", "description": "A failure here only warns." },
        },
        "allOf": rules,
    })
}

/// `with` of one kind. It must be there when the kind can't do without.
fn rule(info: &KindInfo) -> Value {
    let with = templated(info.params.as_value());
    let required = with.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    let mut then = json!({ "properties": { "with": with } });
    if required {
        then["required"] = json!(["with"]);
    }
    json!({ "if": { "properties": { "uses": { "const": info.kind } }, "required": ["uses"] }, "then": then })
}

/// `run:` and `env:` are parameters of the kind `run`, beside those under `with:`.
fn shorthand(info: &KindInfo) -> Value {
    let mut with = templated(info.params.as_value());
    let mut then = json!({});
    if let Some(object) = with.as_object_mut() {
        object.remove("required");
        if let Some(env) = object.get("properties").and_then(|properties| properties.get("env")) {
            then["properties"]["env"] = env.clone();
        }
    }
    then["properties"]["with"] = with;
    json!({ "if": { "required": [RUN] }, "then": then })
}

/// Lets a template stand wherever a kind's parameter wants something that is not any text.
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
    let any_text = schema.get("type") == Some(&json!("string"))
        && ["enum", "const", "pattern", "minLength", "maxLength"]
            .iter()
            .all(|word| schema.get(word).is_none());
    if any_text {
        return schema.clone();
    }
    let mut inner = schema.clone();
    // What editors show stands outside, where they look for it first.
    let mut outer = Map::new();
    for word in ["description", "default"] {
        if let Some(part) = inner.as_object_mut().and_then(|inner| inner.remove(word)) {
            outer.insert(word.to_owned(), part);
        }
    }
    outer.insert("anyOf".to_owned(), json!([inner, { "type": "string", "pattern": "\\{[{%]" }]));
    Value::Object(outer)
}
