//! The fields that a schema names, for people: `account.user`, `tables[].name`, `env.*`.

use std::fmt::Write as _;

use serde_json::Value;

/// No kind nests deeper; a schema that refers to itself would not end.
const DEPTH_LIMIT: usize = 8;

/// Writes one field a line, those inside it after it, each with its description.
pub(super) fn write(text: &mut String, title: &str, schema: &Value) {
    let _ = writeln!(text, "\n{title}:");
    let before = text.len();
    inside(text, schema, "", 0);
    if text.len() == before {
        text.push_str("  (none)\n");
    }
}

/// Writes the fields of what may be a map, a list of maps, or one of several.
fn inside(text: &mut String, schema: &Value, path: &str, depth: usize) {
    if depth > DEPTH_LIMIT {
        return;
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            field(text, property, &path, Some(is_required(schema, name)), depth);
        }
    }
    if let Some(items) = schema.get("items") {
        inside(text, items, &format!("{path}[]"), depth + 1);
    }
    if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        field(text, values, &format!("{path}.*"), None, depth);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for option in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            inside(text, option, path, depth + 1);
        }
    }
}

/// `required` is none for the values of a map, whose keys are anybody's.
fn field(text: &mut String, schema: &Value, path: &str, required: Option<bool>, depth: usize) {
    let need = match required {
        Some(true) => ", required",
        Some(false) => ", optional",
        None => "",
    };
    let default = schema.get("default").filter(|value| !value.is_null());
    let default = default.map_or(String::new(), |value| format!(", default {value}"));
    let _ = writeln!(text, "  {path}  ({}{need}{default})", kind_of(schema));
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        for line in description.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(text, "      {}", line.trim());
        }
    }
    inside(text, schema, path, depth + 1);
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == name))
}

/// Gives a type in one word or a few: `string`, `target`, `all | schema-only`.
pub(super) fn kind_of(schema: &Value) -> String {
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        return format.to_owned();
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return options
            .iter()
            .map(|option| option.as_str().map_or(option.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            let kinds: Vec<_> = options.iter().map(kind_of).filter(|kind| kind != "null").collect();
            return kinds.join(" | ");
        }
    }
    if let Some(constant) = schema.get("const") {
        return constant.as_str().map_or(constant.to_string(), str::to_owned);
    }
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<_> =
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            kinds.join(" | ")
        }
        _ => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use crate::commands::steps::describe;
    use crate::world;

    /// Every field of a schema, found another way than it is printed: by its pointers.
    fn walk(schema: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
        let Value::Object(object) = schema else { return };
        for (word, part) in object {
            match (word.as_str(), part) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        let path = format!("{path}.{name}");
                        let required =
                            schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
                        let mut field = property.clone();
                        field["is_required"] = json!(required);
                        found.insert(path.trim_start_matches('.').to_owned(), field);
                        walk(property, &path, found);
                    }
                }
                ("items", _) => walk(part, &format!("{path}[]"), found),
                ("additionalProperties", Value::Object(_)) => {
                    found.insert(format!("{path}.*").trim_start_matches('.').to_owned(), part.clone());
                    walk(part, &format!("{path}.*"), found);
                }
                ("anyOf" | "oneOf" | "allOf", Value::Array(options)) => {
                    for option in options {
                        walk(option, path, found);
                    }
                }
                _ => {}
            }
        }
    }

    /// What was printed of each field: its line and its description.
    fn printed(section: &str) -> BTreeMap<String, (String, String)> {
        let mut fields = BTreeMap::new();
        let mut last = String::new();
        for line in section.lines().filter(|line| *line != "  (none)") {
            if let Some(description) = line.strip_prefix("      ") {
                let (_, text): &mut (String, String) = fields.get_mut(&last).unwrap();
                text.push_str(description);
                text.push(' ');
            } else if let Some((path, about)) =
                line.strip_prefix("  ").and_then(|line| line.split_once("  ("))
            {
                path.clone_into(&mut last);
                fields.insert(last.clone(), (about.to_owned(), String::new()));
            }
        }
        fields
    }

    #[test]
    fn what_is_printed_of_a_kind_is_what_its_schemas_say_and_no_more() {
        for step in world::built_in().kinds() {
            let info = step.info();
            let text = describe(info);
            let (with, outputs) = text.split_once("\noutputs:\n").unwrap();
            let with = with.split_once("\nwith:\n").unwrap().1;
            for (section, schema) in [(with, &info.params), (outputs, &info.outputs)] {
                let mut fields = BTreeMap::new();
                walk(schema.as_value(), "", &mut fields);
                let printed = printed(section);
                let names: Vec<_> = printed.keys().collect();
                assert_eq!(names, fields.keys().collect::<Vec<_>>(), "{}", info.kind);
                for (path, field) in fields {
                    let (about, description) = &printed[&path];
                    let kind = super::kind_of(&field);
                    assert!(about.starts_with(&kind) && !kind.is_empty(), "{}: {path} ({about}", info.kind);
                    if let Some(required) = field["is_required"].as_bool() {
                        let word = if required { ", required" } else { ", optional" };
                        assert!(about.contains(word), "{}: {path} ({about}", info.kind);
                    }
                    if !field["default"].is_null() {
                        assert!(
                            about.ends_with(&format!(", default {})", field["default"])),
                            "{path} ({about}"
                        );
                    }
                    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                    let said = field["description"].as_str().unwrap_or_default();
                    assert_eq!(words(description), words(said), "{}: {path}", info.kind);
                }
            }
        }
    }

    #[test]
    fn every_parameter_and_output_has_a_description() {
        let mut silent = Vec::new();
        for step in world::built_in().kinds() {
            let info = step.info();
            for schema in [&info.params, &info.outputs] {
                let properties = schema.as_value().get("properties").and_then(Value::as_object);
                for (name, property) in properties.into_iter().flatten() {
                    if property["description"].as_str().is_none_or(str::is_empty) {
                        silent.push(format!("{}.{name}", info.kind));
                    }
                }
            }
        }
        assert_eq!(silent, [""; 0]);
    }
}
