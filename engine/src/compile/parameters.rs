//! `with:` against the schema of the kind, as far as that needs no rendering: names of parameters, types of
//! references, scripts.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Location, NodeValue};
use crate::step::KindInfo;
use crate::template::Shape;

use super::draft::{Draft, Drafts, Leaf, Tree, TreeValue};
use super::references::lookup;
use super::report::Report;
use super::schema::{self, Closed, Property};

/// Reports all mistakes. Rendering goes on: a wrong name does not hide a wrong type.
pub(super) fn check(drafts: &Drafts<'_>, report: &mut Report) {
    for draft in &drafts.all {
        let Some(kind) = draft.kind else { continue };
        let walk = Walk { drafts, draft, info: kind.info() };
        let mut found = Vec::new();
        walk.tree(&draft.params, kind.info().params.as_value(), "", &mut found);
        report.extend(found);
    }
}

struct Walk<'s, 'a> {
    drafts: &'s Drafts<'a>,
    draft: &'s Draft<'a>,
    info: &'s KindInfo,
}

impl Walk<'_, '_> {
    fn tree(&self, tree: &Tree<'_>, schema: &Value, path: &str, found: &mut Vec<Diagnostic>) {
        match &tree.value {
            TreeValue::Value(_) => {}
            TreeValue::Template(leaf) => {
                found.extend(self.script(leaf, schema, path).or_else(|| self.reference(leaf, schema, path)));
            }
            TreeValue::List(items) => {
                if let Some(schema) = schema::items(schema) {
                    for item in items {
                        self.tree(item, schema, path, found);
                    }
                }
            }
            TreeValue::Map(entries) => {
                self.missing(tree, schema, path, found);
                for (position, (key, value)) in entries.iter().enumerate() {
                    let inner = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                    match schema::property(schema, key, Closed::WhenSaid) {
                        Property::Known(schema) => self.tree(value, schema, &inner, found),
                        Property::Open => {}
                        Property::Unknown => found.push(self.unknown(tree, position, schema, &inner)),
                    }
                }
            }
        }
    }

    fn unknown(&self, tree: &Tree<'_>, position: usize, schema: &Value, path: &str) -> Diagnostic {
        let entry = tree.node.entries().and_then(|entries| entries.get(position));
        let (key, at) = match entry {
            Some(entry) => {
                let source = tree.node.location.source.clone();
                (entry.key.as_str(), Location { source, span: entry.key_span })
            }
            None => (path, tree.node.location.clone()),
        };
        let names = schema::property_names(schema);
        let help = match nearest(key, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it takes none.".to_owned(),
            None => format!("it takes {}.", names.join(", ")),
        };
        Diagnostic::new(
            "rekindle::runbook::unknown_parameter",
            format!("`{}` has no parameter `{path}`", self.info.kind),
        )
        .label(&at, "not a parameter")
        .help(format!("{help} `rekindle steps {}` describes its parameters", self.info.kind))
    }

    fn missing(&self, tree: &Tree<'_>, schema: &Value, path: &str, found: &mut Vec<Diagnostic>) {
        for name in schema::required(schema) {
            if tree.node.get(name).is_some() {
                continue;
            }
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let at = if path.is_empty() { &self.draft.definition.uses.location } else { &tree.node.location };
            let said = match schema::property(schema, name, Closed::WhenSaid) {
                Property::Known(schema) => schema::description(schema),
                Property::Open | Property::Unknown => None,
            };
            let help = match said {
                Some(said) => format!("add `{name}` to `with`: {}", said.lines().next().unwrap_or_default()),
                None => format!("add `{name}` to `with`"),
            };
            found.push(
                Diagnostic::new(
                    "rekindle::runbook::missing_parameter",
                    format!("`{}` needs the parameter `{full}`", self.info.kind),
                )
                .label(at, format!("needs `{name}`"))
                .help(help),
            );
        }
    }

    /// Rendered text never reaches a shell. A script is what `run: |` gives, or a parameter whose schema has
    /// the format `script`.
    fn script(&self, leaf: &Leaf<'_>, schema: &Value, path: &str) -> Option<Diagnostic> {
        let is_script =
            schema::format(schema) == Some("script") || (self.info.kind == "run" && path == "script");
        if !is_script {
            return None;
        }
        let references = &leaf.template.analysis().references;
        let at = match references.first() {
            Some(reference) => super::spans::locate(leaf.node, reference.range.clone()),
            None => leaf.node.location.clone(),
        };
        Some(
            Diagnostic::new(
                "rekindle::runbook::template_in_script",
                "a script can't hold templates: what they render to would be read by the shell",
            )
            .label(&at, "a template")
            .help(
                "pass it through `env:` and write \"$NAME\", or use a list of arguments; `!raw` keeps braces",
            ),
        )
    }

    /// A template that can't have the type that is wanted, whatever it renders to.
    fn reference(&self, leaf: &Leaf<'_>, schema: &Value, path: &str) -> Option<Diagnostic> {
        let analysis = leaf.template.analysis();
        let text = serde_json::json!({ "type": "string" });
        let (from, what) = match &analysis.shape {
            Shape::Text => return None,
            Shape::Mixed { .. } => (&text, "text with templates in it".to_owned()),
            Shape::Expression(whole) => {
                let [reference] = analysis.references.as_slice() else { return None };
                let [root, name, outputs, rest @ ..] = reference.path.as_slice() else { return None };
                if reference.range != *whole || root != "steps" || outputs != "outputs" {
                    return None;
                }
                let step = &self.drafts.all[self.drafts.find(name)?];
                if step.for_each.is_some() {
                    return None;
                }
                (
                    lookup(step.kind?.info().outputs.as_value(), rest)?,
                    format!("`{}`", reference.path.join(".")),
                )
            }
        };
        if schema::fits(from, schema) {
            return None;
        }
        let at = if matches!(leaf.node.value, NodeValue::String { .. }) {
            super::spans::locate(leaf.node, 0..leaf.template.text().len())
        } else {
            leaf.node.location.clone()
        };
        Some(
            Diagnostic::new(
                "rekindle::runbook::parameter_type",
                format!("`{path}` of `{}` can't be {what}", self.info.kind),
            )
            .label(&at, format!("this is {}", schema::words(from)))
            .help(format!("`{path}` is {}", schema::words(schema))),
        )
    }
}
