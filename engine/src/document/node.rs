//! The tree of a YAML document.

use super::{Location, Span};

/// One value of a document, with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: NodeValue,
    /// Where it stands: for collections from their first to their last byte.
    pub location: Location,
}

/// The kinds of value; plain scalars are resolved by the YAML 1.2 core schema (section 10.3.2) only.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction that fits 64 bits.
    Integer(i64),
    /// Any other finite number.
    Float(f64),
    /// A string scalar.
    String {
        /// The text after YAML escapes and folding.
        text: String,
        /// How it was written.
        style: ScalarStyle,
        /// Tagged `!raw`: braces in it are no template.
        raw: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order it was written; keys are strings and unique.
    Map(Vec<Entry>),
}

/// How a string scalar was written, which decides how offsets inside it map to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarStyle {
    /// Without quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// One `key: value` of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands, in the same source as the value.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Gives the entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            NodeValue::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Gives the items of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::List(items) => Some(items),
            _ => None,
        }
    }

    /// Gives the text of a string scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Gives the value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Names the kind of value in the words of a diagnostic: `a string`, `a list`, ….
    pub fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Integer(_) => "an integer",
            NodeValue::Float(_) => "a number",
            NodeValue::String { .. } => "a string",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }

    /// Gives the value as JSON, without locations; templates stay as they are written.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => (*value).into(),
            NodeValue::Integer(value) => (*value).into(),
            NodeValue::Float(value) => (*value).into(),
            NodeValue::String { text, .. } => text.as_str().into(),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
        }
    }
}
