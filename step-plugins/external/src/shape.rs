//! A JSON Schema that a plugin gave: receives its text, yields a validator that speaks as the built-in kinds do.

use jsonschema::Validator;
use jsonschema::error::{ValidationError, ValidationErrorKind};
use rekindle_engine::step::ParamsError;
use schemars::Schema;
use serde_json::{Map, Value};

/// How long a message that shows a value may be; a longer one shows none.
const MESSAGE_BYTES: usize = 300;

/// A schema and what checks values against it.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    validator: Validator,
}

impl Shape {
    /// Takes a schema.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment: `is not of type object`.
    pub(crate) fn new(schema: &Map<String, Value>) -> Result<Self, String> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err("must have `\"type\": \"object\"`".to_owned());
        }
        let value = Value::Object(schema.clone());
        if let Some(word) = reference(&value) {
            return Err(format!("must not have `{word}`: write subschemas where they are used"));
        }
        let validator =
            jsonschema::draft202012::new(&value).map_err(|error| format!("is no JSON Schema: {error}"))?;
        Ok(Self { schema: Schema::from(schema.clone()), validator })
    }

    /// Checks a value; gives the mistake that says most.
    pub(crate) fn check(&self, value: &Value) -> Result<(), ParamsError> {
        let mut errors: Vec<_> = self.validator.iter_errors(value).map(|error| mistake(&error)).collect();
        // By place, so that the same parameters always get the same message. What is missing comes last: nothing
        // can be left out to find the next mistake behind it.
        let is_missing = |error: &ParamsError| error.message.starts_with("missing field");
        errors.sort_by_key(|error| (is_missing(error), error.pointer.clone()));
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}

/// The compiler knows the words of serde: it has reported what is missing and what is too much already.
fn mistake(error: &ValidationError<'_>) -> ParamsError {
    let pointer = error.instance_path().as_str().to_owned();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            ParamsError { pointer, message: format!("missing field `{name}`") }
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let name = unexpected.first().map_or("", String::as_str);
            let part = name.replace('~', "~0").replace('/', "~1");
            ParamsError { pointer: format!("{pointer}/{part}"), message: format!("unknown field `{name}`") }
        }
        _ => {
            let shown = error.to_string();
            let message = if shown.len() > MESSAGE_BYTES { error.masked().to_string() } else { shown };
            ParamsError { pointer, message }
        }
    }
}

/// The compiler looks into schemas and follows no references.
fn reference(schema: &Value) -> Option<&'static str> {
    match schema {
        Value::Object(entries) => ["$ref", "$dynamicRef"]
            .into_iter()
            .find(|word| entries.get(*word).is_some_and(Value::is_string))
            .or_else(|| entries.values().find_map(reference)),
        Value::Array(items) => items.iter().find_map(reference),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(schema: Value) -> Result<Shape, String> {
        let Value::Object(schema) = schema else { panic!("{schema}") };
        Shape::new(&schema)
    }

    fn check(value: &Value) -> String {
        let shape = shape(json!({
            "type": "object", "additionalProperties": false, "required": ["url"],
            "properties": {
                "url": { "type": "string", "pattern": "^https?://" },
                "tries": { "type": "integer", "minimum": 1 },
                "to": { "type": "array", "items": { "type": "string", "format": "target" } },
            },
        }));
        match shape.unwrap().check(value) {
            Ok(()) => "fits".to_owned(),
            Err(error) => format!("{}: {}", error.pointer, error.message),
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_eq!(check(&json!({ "url": "http://a", "tries": 2, "to": ["a"] })), "fits");
        insta::assert_snapshot!(check(&json!({})), @": missing field `url`");
        insta::assert_snapshot!(check(&json!({ "url": "http://a", "ulr/x": 1 })), @"/ulr~1x: unknown field `ulr/x`");
        insta::assert_snapshot!(check(&json!({ "url": 3 })), @r#"/url: 3 is not of type "string""#);
        insta::assert_snapshot!(check(&json!({ "url": "ftp://a" })), @r#"/url: "ftp://a" does not match "^https?://""#);
        insta::assert_snapshot!(check(&json!({ "url": "http://a", "tries": 0, "to": ["a", 1] })), @r#"/to/1: 1 is not of type "string""#);
        assert!(check(&json!({ "url": "x".repeat(10_000) })).len() < MESSAGE_BYTES);
    }

    #[test]
    fn a_schema_must_be_one_that_the_compiler_can_look_into() {
        insta::assert_snapshot!(shape(json!({ "type": "string" })).unwrap_err(), @r#"must have `"type": "object"`"#);
        insta::assert_snapshot!(shape(json!({ "type": "object", "properties": 3 })).unwrap_err(), @r#"is no JSON Schema: 3 is not of type "object""#);
        let referring = json!({ "type": "object", "properties": { "a": { "$ref": "http://elsewhere/x" } } });
        insta::assert_snapshot!(shape(referring).unwrap_err(), @"must not have `$ref`: write subschemas where they are used");
        let named = json!({ "type": "object", "properties": { "$ref": { "type": "string" } } });
        assert!(shape(named).is_ok());
    }
}
