//! Whether a value is of its declared type.

use super::{parse_duration, parse_size};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Node, NodeValue, holds_template};
use crate::environment::Environment;
use crate::id::{StoreName, TargetName};
use crate::runbook::ValueType;

/// Checks a value against its declared type; `what` names it in messages.
///
/// Names of targets and stores are looked up when the environment is known.
pub(crate) fn check_value(
    node: &Node,
    kind: &ValueType,
    what: &str,
    environment: Option<&Environment>,
) -> Vec<Diagnostic> {
    let mut check = Check { what, environment, errors: Vec::new() };
    check.value(node, kind);
    check.errors
}

/// Refuses every template in a value: values are what templates look at, they are not rendered themselves.
pub(crate) fn refuse_templates(node: &Node, what: &str) -> Vec<Diagnostic> {
    let mut check = Check { what, environment: None, errors: Vec::new() };
    check.no_templates(node);
    check.errors
}

impl ValueType {
    /// Names the type with its article, as in "expected a duration".
    pub(crate) fn with_article(&self) -> String {
        match self {
            Self::String => "a string".to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Duration => "a duration".to_owned(),
            Self::Size => "a size".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Target => "the name of a target".to_owned(),
            Self::Store => "the name of a store".to_owned(),
            Self::Enum(texts) => format!("one of `{}`", texts.join("`, `")),
            Self::List(_) => "a list".to_owned(),
            Self::Map => "a map".to_owned(),
        }
    }
}

struct Check<'a> {
    what: &'a str,
    environment: Option<&'a Environment>,
    errors: Vec<Diagnostic>,
}

impl Check<'_> {
    fn value(&mut self, node: &Node, kind: &ValueType) {
        match (kind, &node.value) {
            (ValueType::Map, NodeValue::Map(_)) => self.no_templates(node),
            (ValueType::List(kind), NodeValue::List(items)) => {
                for item in items {
                    self.value(item, kind);
                }
            }
            (_, NodeValue::String { text, raw, .. }) if !raw && holds_template(text) => self.template(node),
            (ValueType::Integer, NodeValue::Integer(_))
            | (ValueType::Number, NodeValue::Integer(_) | NodeValue::Float(_))
            | (ValueType::Boolean, NodeValue::Bool(_))
            | (ValueType::String, NodeValue::String { .. }) => {}
            (
                ValueType::Duration
                | ValueType::Size
                | ValueType::Path
                | ValueType::Target
                | ValueType::Store
                | ValueType::Enum(_),
                NodeValue::String { text, .. },
            ) => self.text(node, text, kind),
            _ => self.mismatch(node, kind),
        }
    }

    fn text(&mut self, node: &Node, text: &str, kind: &ValueType) {
        let environment = self.environment;
        match kind {
            ValueType::Duration => {
                if parse_duration(text).is_err() {
                    let help = "write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`";
                    self.no_good(node, &format!("`{text}` is no duration"), help);
                }
            }
            ValueType::Size => {
                if parse_size(text).is_err() {
                    let help = "write a number with a unit, such as `512KiB`, `64MiB` or `10GB`";
                    self.no_good(node, &format!("`{text}` is no size"), help);
                }
            }
            ValueType::Path if text.is_empty() => {
                self.no_good(node, "a path is not empty", "name a file or folder");
            }
            ValueType::Target => {
                if let Some(environment) = environment {
                    let targets = environment.settings.targets.keys().map(TargetName::as_str);
                    self.one_of(
                        node,
                        text,
                        "target",
                        &environment.settings.name,
                        &targets.collect::<Vec<_>>(),
                    );
                }
            }
            ValueType::Store => {
                if let Some(environment) = environment {
                    let stores = environment.settings.stores.keys().map(StoreName::as_str);
                    self.one_of(node, text, "store", &environment.settings.name, &stores.collect::<Vec<_>>());
                }
            }
            ValueType::Enum(texts) if !texts.iter().any(|allowed| allowed == text) => {
                let help = nearest(text, texts.iter().map(String::as_str)).map_or_else(
                    || format!("write one of: `{}`", texts.join("`, `")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.no_good(node, &format!("`{text}` is not allowed"), &help);
            }
            ValueType::Path
            | ValueType::Enum(_)
            | ValueType::String
            | ValueType::Integer
            | ValueType::Number
            | ValueType::Boolean
            | ValueType::List(_)
            | ValueType::Map => {}
        }
    }

    fn one_of(&mut self, node: &Node, name: &str, sort: &str, environment: &str, names: &[&str]) {
        if names.contains(&name) {
            return;
        }
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("add it to `{sort}s:` of the environment"),
            None => format!("it has: {}", names.join(", ")),
        };
        let message = format!("{}: environment `{environment}` has no {sort} `{name}`", self.what);
        self.errors.push(
            Diagnostic::new("rekindle::values::unknown_name", message)
                .label(&node.location, format!("no such {sort}"))
                .help(help),
        );
    }

    fn no_templates(&mut self, node: &Node) {
        match &node.value {
            NodeValue::String { text, raw, .. } if !raw && holds_template(text) => self.template(node),
            NodeValue::List(items) => items.iter().for_each(|item| self.no_templates(item)),
            NodeValue::Map(entries) => entries.iter().for_each(|entry| self.no_templates(&entry.value)),
            NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Integer(_)
            | NodeValue::Float(_)
            | NodeValue::String { .. } => {}
        }
    }

    fn template(&mut self, node: &Node) {
        let message = format!("{} holds a template, and values are not rendered", self.what);
        self.errors.push(
            Diagnostic::new("rekindle::values::template", message)
                .label(&node.location, "not rendered")
                .help("put the template where the value is used; `!raw` keeps braces as they are"),
        );
    }

    fn no_good(&mut self, node: &Node, why: &str, help: &str) {
        self.errors.push(
            Diagnostic::new("rekindle::values::wrong_value", format!("{}: {why}", self.what))
                .label(&node.location, "this value")
                .help(help),
        );
    }

    fn mismatch(&mut self, node: &Node, kind: &ValueType) {
        let expected = kind.with_article();
        let mut diagnostic = Diagnostic::new(
            "rekindle::values::wrong_type",
            format!("{} must be {expected}, found {}", self.what, node.kind()),
        )
        .label(&node.location, format!("expected {expected}"));
        let scalar = matches!(node.value, NodeValue::Bool(_) | NodeValue::Integer(_) | NodeValue::Float(_));
        let quoting_helps = matches!(
            kind,
            ValueType::String | ValueType::Path | ValueType::Target | ValueType::Store | ValueType::Enum(_)
        );
        if scalar && quoting_helps {
            diagnostic = diagnostic.help("quote it if it is meant as text");
        } else if scalar && matches!(kind, ValueType::Duration | ValueType::Size) {
            diagnostic = diagnostic.help("write the unit too");
        }
        self.errors.push(diagnostic);
    }
}
