//! Looking things up in the JSON Schemas of step kinds (draft 2020-12, subschemas inlined).

use std::collections::BTreeSet;

use serde_json::Value;

/// Whether a map may hold keys that its schema does not name and does not forbid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Only when the schema says `additionalProperties: false`: parameters.
    WhenSaid,
    /// Whenever the schema names properties: outputs, which are written by a type.
    WhenNamed,
}

/// What a schema says about one key.
pub(super) enum Property<'s> {
    /// This.
    Known(&'s Value),
    /// Nothing, but it may be there.
    Open,
    /// It can't be there.
    Unknown,
}

/// Flattens `anyOf`, `oneOf` and `allOf`.
pub(super) fn alternatives(schema: &Value) -> Vec<&Value> {
    let mut flat = Vec::new();
    flatten(schema, &mut flat, 0);
    flat
}

fn flatten<'s>(schema: &'s Value, flat: &mut Vec<&'s Value>, depth: usize) {
    let parts: Vec<&Value> = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|word| schema.get(word)?.as_array())
        .flatten()
        .collect();
    if parts.is_empty() || depth > 16 || schema.get("properties").is_some() {
        flat.push(schema);
        return;
    }
    for part in parts {
        flatten(part, flat, depth + 1);
    }
}

pub(super) fn property<'s>(schema: &'s Value, key: &str, closed: Closed) -> Property<'s> {
    let mut unknown = false;
    for alternative in alternatives(schema) {
        let named = alternative.get("properties");
        if let Some(found) = named.and_then(|properties| properties.get(key)) {
            return Property::Known(found);
        }
        match alternative.get("additionalProperties") {
            Some(Value::Bool(false)) => unknown = true,
            Some(Value::Object(_)) => return Property::Known(&alternative["additionalProperties"]),
            Some(_) => return Property::Open,
            None if closed == Closed::WhenNamed && named.is_some() => unknown = true,
            None if accepts(alternative, "object") => return Property::Open,
            None => {}
        }
    }
    if unknown { Property::Unknown } else { Property::Open }
}

pub(super) fn property_names(schema: &Value) -> Vec<&str> {
    alternatives(schema)
        .into_iter()
        .filter_map(|alternative| alternative.get("properties")?.as_object())
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect()
}

/// Gives the keys that must be there; none when the value can be of several kinds of map.
pub(super) fn required(schema: &Value) -> Vec<&str> {
    let maps: Vec<&Value> =
        alternatives(schema).into_iter().filter(|alternative| accepts(alternative, "object")).collect();
    let [only] = maps.as_slice() else { return Vec::new() };
    only.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn items(schema: &Value) -> Option<&Value> {
    alternatives(schema).into_iter().find_map(|alternative| alternative.get("items"))
}

pub(super) fn format(schema: &Value) -> Option<&str> {
    alternatives(schema).into_iter().find_map(|alternative| alternative.get("format")?.as_str())
}

pub(super) fn description(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

fn accepts(alternative: &Value, kind: &str) -> bool {
    types_of(alternative).is_none_or(|types| types.contains(kind))
}

fn types_of(alternative: &Value) -> Option<BTreeSet<&str>> {
    match alternative.get("type") {
        Some(Value::String(one)) => Some([one.as_str()].into()),
        Some(Value::Array(several)) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => {
            let constants = alternative.get("const").into_iter();
            let constants: Vec<&Value> = constants
                .chain(alternative.get("enum").and_then(Value::as_array).into_iter().flatten())
                .collect();
            (!constants.is_empty() && constants.iter().all(|constant| constant.is_string()))
                .then(|| ["string"].into())
        }
    }
}

/// Gives the JSON types a value may have, without `null`; none when it may have any.
pub(super) fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    let mut all = BTreeSet::new();
    for alternative in alternatives(schema) {
        all.extend(types_of(alternative)?);
    }
    all.remove("null");
    (!all.is_empty()).then_some(all)
}

/// The formats that name things of the environment: a name of one is never a name of another.
const NAMES: [&str; 3] = ["target", "store", "secret"];

/// Tells whether some value of type `from` can be a value of type `to`: by JSON type, by what it names, and for
/// lists by their items. An empty list fits any.
pub(super) fn fits(from: &Value, to: &Value) -> bool {
    if let (Some(from), Some(to)) = (format(from), format(to))
        && NAMES.contains(&from)
        && NAMES.contains(&to)
        && from != to
    {
        return false;
    }
    if let (Some(from_types), Some(to_types)) = (types(from), types(to)) {
        let fit =
            |from: &&str| to_types.contains(from) || (*from == "integer" && to_types.contains("number"));
        let common: Vec<_> = from_types.iter().filter(|from| fit(from)).collect();
        if common.is_empty() {
            return false;
        }
        if common == [&"array"]
            && let (Some(from), Some(to)) = (items(from), items(to))
        {
            return fits(from, to);
        }
    }
    true
}

/// Names what a schema wants: `an integer`, ``one of `a`, `b` ``.
pub(super) fn words(schema: &Value) -> String {
    let mut choices = Vec::new();
    for alternative in alternatives(schema) {
        let several = alternative.get("enum").and_then(Value::as_array).into_iter().flatten();
        choices.extend(alternative.get("const").into_iter().chain(several).filter_map(Value::as_str));
    }
    if !choices.is_empty() {
        return format!("one of `{}`", choices.join("`, `"));
    }
    let Some(types) = types(schema) else { return "another value".to_owned() };
    let names = types.into_iter().map(|name| match name {
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a map",
        _ => "a string",
    });
    names.collect::<Vec<_>>().join(" or ")
}

/// As [`words`], with what a name names and what a list holds: where two schemas differ in nothing else.
pub(super) fn words_in_full(schema: &Value) -> String {
    match (words(schema).as_str(), items(schema), named(schema)) {
        ("a list", Some(inner), _) => format!("a list, each item {}", words_in_full(inner)),
        (_, _, Some(name)) => format!("the name of a {name}"),
        (words, _, _) => words.to_owned(),
    }
}

fn named(schema: &Value) -> Option<&str> {
    format(schema).filter(|format| NAMES.contains(format))
}
