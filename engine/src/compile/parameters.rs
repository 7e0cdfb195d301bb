//! `with:` against the schema of the kind, as far as that needs no rendering: names of parameters, types of
//! references, scripts.

use std::ops::Range;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Location, NodeValue};
use crate::step::KindInfo;
use crate::template::{Piece, Shape};

use super::draft::{Condition, Draft, Drafts, Leaf, Tree, TreeValue};
use super::outputs::{is_collection, sole_path};
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
        found.extend(walk.condition());
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
                let script = self.script(leaf, schema, path);
                let wrong = script.or_else(|| self.reference(leaf, schema, path));
                found.extend(wrong.or_else(|| self.inside_text(leaf, path)));
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
            Shape::Expression(_) => {
                let path = sole_path(analysis)?;
                (self.output(path)?, format!("`{}`", path.join(".")))
            }
        };
        if schema::fits(from, schema) {
            return None;
        }
        let same = schema::words(from) == schema::words(schema);
        let words = if same { schema::words_in_full } else { schema::words };
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
            .label(&at, format!("this is {}", words(from)))
            .help(format!("`{path}` is {}", words(schema))),
        )
    }

    /// Gives the schema of an output, or of what `run` and `failure` hold, by its path.
    fn output(&self, path: &[String]) -> Option<&Value> {
        let [root, name, outputs, rest @ ..] = path else { return None };
        if root != "steps" || outputs != "outputs" {
            return None;
        }
        let step = &self.drafts.all[self.drafts.find(name)?];
        if step.for_each.is_some() {
            return None;
        }
        lookup(step.kind?.info().outputs.as_value(), rest)
    }

    /// A list or a map in the midst of text, which has no text of its own.
    fn inside_text(&self, leaf: &Leaf<'_>, path: &str) -> Option<Diagnostic> {
        let analysis = leaf.template.analysis();
        let Shape::Mixed { pieces: Some(pieces) } = &analysis.shape else { return None };
        let emitted = |range: &Range<usize>| {
            pieces.iter().any(|piece| matches!(piece, Piece::Emit(whole) if whole == range))
        };
        let mut plain = analysis.references.iter().filter(|reference| emitted(&reference.range));
        let (reference, schema) = plain.find_map(|reference| {
            let schema = self.output(&reference.path).filter(|schema| is_collection(schema))?;
            Some((reference, schema))
        })?;
        Some(
            Diagnostic::new(
                "rekindle::runbook::parameter_type",
                format!(
                    "`{path}` of `{}` is text, and `{}` can't stand inside text",
                    self.info.kind,
                    reference.path.join(".")
                ),
            )
            .label(
                &super::spans::locate(leaf.node, reference.range.clone()),
                format!("this is {}", schema::words(schema)),
            )
            .help("join it (`{{ … | join(\",\") }}`), name a part of it, or make it the whole value"),
        )
    }

    /// A condition that is an output which is never true or false.
    fn condition(&self) -> Option<Diagnostic> {
        let Some(Condition::Expression(leaf)) = &self.draft.when else { return None };
        let path = sole_path(leaf.template.analysis())?;
        let from = self.output(path)?;
        if schema::fits(from, &serde_json::json!({ "type": "boolean" })) {
            return None;
        }
        let what = schema::words(from);
        Some(
            Diagnostic::new(
                "rekindle::runbook::condition",
                format!("`when` is `{}`, which is {what}, not a condition", path.join(".")),
            )
            .label(&leaf.node.location, "expected true or false")
            .help("compare it: `… == \"x\"`, `… > 0`, `… | length > 0`"),
        )
    }
}
