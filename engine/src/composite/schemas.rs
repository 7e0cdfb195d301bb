//! JSON Schemas of a composite's values and outputs, so that they are checked and described as those of any kind.

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::Composite;
use crate::document::{Node, NodeValue};
use crate::runbook::ValueType;
use crate::schema::schema_of;
use crate::step::Registry;
use crate::template::{Shape, Template};
use crate::values::{DurationText, SizeText};

/// Gives the schema of `with:`.
pub(super) fn params(composite: &Composite) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for value in &composite.values {
        let mut schema = value_type(&value.kind);
        if !value.description.is_empty() {
            schema["description"] = value.description.as_str().into();
        }
        match &value.default {
            Some(default) if default.value == NodeValue::Null => {}
            Some(default) => schema["default"] = default.to_json(),
            None => required.push(value.name.value.as_str()),
        }
        properties.insert(value.name.value.clone(), schema);
    }
    schema(json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    }))
}

/// Gives the schema of `outputs`, as far as the templates tell: one that is exactly a reference has the type of
/// what it refers to.
pub(super) fn outputs(composite: &Composite, registry: &Registry) -> Schema {
    let entries = composite.end.with.entries().unwrap_or_default();
    let properties: Map<String, Value> =
        entries.iter().map(|entry| (entry.key.clone(), output(composite, registry, &entry.value))).collect();
    let required: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    schema(json!({ "type": "object", "properties": properties, "required": required }))
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_else(|_| Schema::from(true))
}

fn value_type(kind: &ValueType) -> Value {
    match kind {
        ValueType::String => json!({ "type": "string" }),
        ValueType::Integer => json!({ "type": "integer" }),
        ValueType::Number => json!({ "type": "number" }),
        ValueType::Boolean => json!({ "type": "boolean" }),
        ValueType::Duration => schema_of::<DurationText>(),
        ValueType::Size => schema_of::<SizeText>(),
        ValueType::Path => json!({ "type": "string", "format": "path" }),
        ValueType::Target => json!({ "type": "string", "format": "target" }),
        ValueType::Store => json!({ "type": "string", "format": "store" }),
        ValueType::Enum(texts) => json!({ "type": "string", "enum": texts }),
        ValueType::List(items) => json!({ "type": "array", "items": value_type(items) }),
        ValueType::Map => json!({ "type": "object" }),
    }
}

fn output(composite: &Composite, registry: &Registry, node: &Node) -> Value {
    let NodeValue::String { text, raw: false, .. } = &node.value else { return json!({}) };
    let Ok(template) = Template::parse(text) else { return json!({}) };
    let analysis = template.analysis();
    match (&analysis.shape, analysis.references.as_slice()) {
        (Shape::Expression(whole), [only]) if only.range == *whole => {
            referred(composite, registry, &only.path).unwrap_or_else(|| json!({}))
        }
        (Shape::Expression(_), _) => json!({}),
        (Shape::Text | Shape::Mixed { .. }, _) => json!({ "type": "string" }),
    }
}

fn referred(composite: &Composite, registry: &Registry, path: &[String]) -> Option<Value> {
    match path {
        [root, name] if root == "values" => {
            let value = composite.values.iter().find(|value| value.name.value == *name)?;
            Some(value_type(&value.kind))
        }
        [root, name, outputs, rest @ ..] if root == "steps" && outputs == "outputs" => {
            let meant = name.replace('_', "-");
            let is_it = |id: &str| id.replace('_', "-") == meant;
            let step = composite.steps.iter().find(|step| is_it(&step.id.value))?;
            if step.for_each.is_some() {
                return None;
            }
            let schema = registry.get(&step.uses.value)?.info().outputs.as_value().clone();
            rest.iter().try_fold(schema, |schema, part| schema.get("properties")?.get(part).cloned())
        }
        _ => None,
    }
}
