//! `values:` of a runbook: which inputs there are, of which types, with which defaults.

use super::{Spanned, ValueDeclaration, ValueType};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Fields, Location, Node, NodeValue, Reader};
use crate::values::check_value;

/// Names that mean something else in templates.
pub(crate) const RESERVED: [&str; 19] = [
    "and",
    "each",
    "else",
    "environment",
    "failure",
    "false",
    "if",
    "in",
    "is",
    "loop",
    "none",
    "not",
    "null",
    "or",
    "run",
    "self",
    "steps",
    "true",
    "values",
];

const TYPES: [(&str, Word); 11] = [
    ("string", Word::String),
    ("integer", Word::Integer),
    ("number", Word::Number),
    ("boolean", Word::Boolean),
    ("duration", Word::Duration),
    ("size", Word::Size),
    ("path", Word::Path),
    ("target", Word::Target),
    ("store", Word::Store),
    ("list", Word::List),
    ("map", Word::Map),
];

/// Gives the names of all types, as they stand after `type:`.
pub(crate) fn value_types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(name, _)| *name)
}

/// What stands after `type:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    String,
    Integer,
    Number,
    Boolean,
    Duration,
    Size,
    Path,
    Target,
    Store,
    List,
    Map,
}

impl Word {
    /// Gives the type that needs no more words.
    fn alone(self) -> Option<ValueType> {
        match self {
            Self::String => Some(ValueType::String),
            Self::Integer => Some(ValueType::Integer),
            Self::Number => Some(ValueType::Number),
            Self::Boolean => Some(ValueType::Boolean),
            Self::Duration => Some(ValueType::Duration),
            Self::Size => Some(ValueType::Size),
            Self::Path => Some(ValueType::Path),
            Self::Target => Some(ValueType::Target),
            Self::Store => Some(ValueType::Store),
            Self::Map => Some(ValueType::Map),
            Self::List => None,
        }
    }
}

/// Reads the declarations, in order.
pub(crate) fn read(reader: &mut Reader, node: &Node) -> Vec<ValueDeclaration> {
    let Some(entries) = node.entries() else {
        let _: Option<()> = reader.wrong_type(node, "`values`", "a map");
        return Vec::new();
    };
    entries.iter().filter_map(|entry| read_declaration(reader, entry)).collect()
}

fn read_declaration(reader: &mut Reader, entry: &Entry) -> Option<ValueDeclaration> {
    let location = entry.key_location();
    let name_fits = check_name(reader, &entry.key, &location);
    let mut fields = reader.fields(&entry.value, format!("the declaration of `{}`", entry.key))?;
    let kind = read_type(reader, &mut fields);
    let default = fields.take("default");
    let description = fields.take("description").and_then(|node| reader.text(node, "`description`"));
    reader.close(&fields);
    let kind = kind?;
    if let Some(default) = default
        && default.value != NodeValue::Null
    {
        for error in check_value(default, &kind, &format!("the default of `{}`", entry.key), None) {
            reader.report(error);
        }
    }
    name_fits.then(|| ValueDeclaration {
        name: Spanned { value: entry.key.clone(), location },
        kind,
        default: default.cloned(),
        description: description.unwrap_or_default().to_owned(),
    })
}

fn check_name(reader: &mut Reader, name: &str, at: &Location) -> bool {
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let diagnostic = if !fits {
        Diagnostic::new("rekindle::runbook::value_name", format!("`{name}` is not a name for a value"))
            .help("names are snake_case: a small letter, then small letters, digits and `_`")
    } else if RESERVED.contains(&name) {
        Diagnostic::new("rekindle::runbook::value_name", format!("the name `{name}` is reserved"))
            .help("it means something else in templates: choose another")
    } else {
        return true;
    };
    reader.report(diagnostic.label(at, "this name"));
    false
}

/// Reads `type:` with the `items:` or `enum:` that go with it.
fn read_type(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<ValueType> {
    let node = reader.require(fields, "type");
    let items = fields.take_entry("items");
    let allowed = fields.take_entry("enum");
    let node = node?;
    let word = reader.choice(node, "`type`", &TYPES)?;
    if word != Word::List
        && let Some(items) = items
    {
        return misplaced(reader, items, "`items` belongs to `type: list`");
    }
    if word != Word::String
        && let Some(allowed) = allowed
    {
        return misplaced(reader, allowed, "`enum` belongs to `type: string`");
    }
    match (allowed, items, word.alone()) {
        (Some(allowed), _, _) => read_enum(reader, &allowed.value),
        (None, Some(items), _) => read_items(reader, &items.value),
        (None, None, Some(kind)) => Some(kind),
        (None, None, None) => reader.wrong_value(
            node,
            "a list does not say what its items are",
            "add `items: string`, or another type",
        ),
    }
}

fn misplaced(reader: &mut Reader, entry: &Entry, message: &str) -> Option<ValueType> {
    reader.report(
        Diagnostic::new("rekindle::runbook::wrong_value", message)
            .label(&entry.key_location(), "not for this type")
            .help("remove it, or change the type"),
    );
    None
}

/// `items: path`, or `items: { type: string, enum: [...] }`.
fn read_items(reader: &mut Reader, node: &Node) -> Option<ValueType> {
    if node.entries().is_some() {
        let mut fields = reader.fields(node, "`items`")?;
        let kind = read_type(reader, &mut fields);
        reader.close(&fields);
        return kind.map(|kind| ValueType::List(Box::new(kind)));
    }
    match reader.choice(node, "`items`", &TYPES)?.alone() {
        Some(kind) => Some(ValueType::List(Box::new(kind))),
        None => reader.wrong_value(
            node,
            "lists of lists say what the inner items are",
            "write `items: { type: list, items: string }`, or another type",
        ),
    }
}

fn read_enum(reader: &mut Reader, node: &Node) -> Option<ValueType> {
    let items = reader.items(node, "`enum`")?;
    if items.is_empty() {
        return reader.wrong_value(node, "`enum` is empty", "list the texts that are allowed");
    }
    let texts: Vec<_> = items.iter().filter_map(|item| reader.text(item, "an item of `enum`")).collect();
    (texts.len() == items.len()).then(|| ValueType::Enum(texts.into_iter().map(str::to_owned).collect()))
}
