//! Targets, stores and secrets that parameters name exist in the environment.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::document::Node;
use crate::environment::Settings;
use crate::id::{SecretName, StoreName, TargetName};
use crate::plan::Param;

use super::report::Report;
use super::schema::{self, Closed, Property};

pub(super) struct Names<'n> {
    pub(super) settings: &'n Settings,
    pub(super) report: &'n mut Report,
}

impl Names<'_> {
    /// Checks every known name in a parameter tree by the `format` of its schema.
    pub(super) fn check(&mut self, param: &Param, schema: &Value, node: &Node) {
        match param {
            Param::Template(_) => {}
            Param::Value(value) => self.value(value, schema, node),
            Param::List(items) => {
                let Some(schema) = schema::items(schema) else { return };
                for (index, item) in items.iter().enumerate() {
                    let node = node.items().and_then(|nodes| nodes.get(index)).unwrap_or(node);
                    self.check(item, schema, node);
                }
            }
            Param::Map(entries) => {
                for (key, item) in entries {
                    if let Property::Known(schema) = schema::property(schema, key, Closed::WhenSaid) {
                        self.check(item, schema, node.get(key).unwrap_or(node));
                    }
                }
            }
        }
    }

    fn value(&mut self, value: &Value, schema: &Value, node: &Node) {
        match value {
            Value::String(name) => {
                if let Some(format) = schema::format(schema) {
                    self.name(name, format, node);
                }
            }
            Value::Array(items) => {
                let Some(schema) = schema::items(schema) else { return };
                for (index, item) in items.iter().enumerate() {
                    let node = node.items().and_then(|nodes| nodes.get(index)).unwrap_or(node);
                    self.value(item, schema, node);
                }
            }
            Value::Object(entries) => {
                for (key, item) in entries {
                    if let Property::Known(schema) = schema::property(schema, key, Closed::WhenSaid) {
                        self.value(item, schema, node.get(key).unwrap_or(node));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn name(&mut self, name: &str, format: &str, node: &Node) {
        let settings = self.settings;
        let (code, known): (_, Vec<&str>) = match format {
            "target" => (
                "rekindle::runbook::unknown_target",
                settings.targets.keys().map(TargetName::as_str).collect(),
            ),
            "store" => {
                ("rekindle::runbook::unknown_store", settings.stores.keys().map(StoreName::as_str).collect())
            }
            "secret" => (
                "rekindle::runbook::unknown_secret",
                settings.secrets.keys().map(SecretName::as_str).collect(),
            ),
            _ => return,
        };
        if known.contains(&name) {
            return;
        }
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("declare it under `{format}s:` in the environment"),
            None => format!("its {format}s are {}; declare others under `{format}s:`", known.join(", ")),
        };
        self.report.add(
            Diagnostic::new(code, format!("the environment `{}` has no {format} `{name}`", settings.name))
                .label(&node.location, format!("not a {format}"))
                .help(help),
        );
    }
}
