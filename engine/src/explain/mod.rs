//! Who said it: every layer that has a word on one setting, weakest first, and the one that wins.
//!
//! Works on documents only. It folds the words of the layers by the rules that `values`, `environment` and
//! `runbook::patch` go by, and tests hold it against what these come to.

mod find;
mod fold;
mod layers;
mod nearby;
mod steps;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;
use serde_json::Value;

use crate::document::Node;
use crate::environment::Environment;
use crate::runbook::Runbook;
use crate::values::Override;

pub use text::text;

/// What explanations are found in; all of it is sound.
#[derive(Clone, Copy)]
pub struct ExplainInput<'a> {
    /// The document of the runbook, without patches.
    pub document: &'a Node,
    /// The runbook, with patches.
    pub runbook: &'a Runbook,
    /// The environment.
    pub environment: &'a Environment,
    /// Values files and `--set`s, weakest first.
    pub overrides: &'a [Override],
}

/// Where one setting comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Such as `values.retention.keep_last`.
    pub path: String,
    /// What it comes to; nothing when the last word deletes it. Templates are not rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What was said about it, weakest first.
    pub words: Vec<Word>,
}

/// What one layer says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// Which sort of layer.
    pub layer: Layer,
    /// Where it stands: `file:line`, or the argument.
    pub at: String,
    /// The value; nothing when it deletes or only notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What else is to be known, such as `deleted` or `disabled: replicas are managed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// It counts: alone, or for maps together with others that count.
    pub wins: bool,
}

/// The sorts of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The runbook: a default or a step.
    Runbook,
    /// A file of the environment.
    Environment,
    /// A patch of the environment.
    Patch,
    /// `--values FILE`
    ValuesFile,
    /// `--set`
    Set,
}

/// Nobody said anything about a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing sets `{path}`")]
pub struct Unset {
    /// The path.
    pub path: String,
    /// What to do.
    pub help: String,
}

/// The first parts of paths.
const ROOTS: [&str; 13] = [
    "values",
    "steps",
    "defaults",
    "concurrency",
    "cluster",
    "targets",
    "stores",
    "secrets",
    "objectives",
    "journal",
    "policy",
    "schedules",
    "patches",
];

/// Tells which layers say something about a dotted path: `values.NAME…`, `steps.ID.FIELD…`, `defaults.…` and
/// `concurrency.…` of the runbook, or a part of the environment such as `targets.primary.host`.
///
/// # Errors
///
/// When none does, with the nearest path that is set.
pub fn explain(input: &ExplainInput<'_>, path: &str) -> Result<Explanation, Unset> {
    let keys: Vec<&str> = path.split('.').collect();
    let (root, keys) = (keys[0], &keys[1..]);
    let said = match root {
        "values" => layers::of_values(input, keys),
        "steps" => steps::of_step(input, keys),
        "defaults" | "concurrency" => layers::of_runbook(input, root, keys),
        _ if ROOTS.contains(&root) => layers::of_environment(input, root, keys),
        _ => Vec::new(),
    };
    if said.is_empty() {
        return Err(Unset { path: path.to_owned(), help: nearby::help(input, path) });
    }
    let (mut value, words) = fold::fold(said);
    if let ("steps", [id, fields @ ..]) = (root, keys) {
        value = steps::value(input, id, fields).or(value);
    }
    Ok(Explanation { path: path.to_owned(), value, words })
}
