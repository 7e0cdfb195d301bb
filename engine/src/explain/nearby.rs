//! "Did you mean": all paths that somebody sets.

use super::{ExplainInput, ROOTS};
use crate::diagnostic::nearest;
use crate::document::Node;
use crate::runbook::patch;
use crate::values::Override;

/// How far into maps paths are listed.
const DEPTH: usize = 6;

/// Says what to do about a path that nothing sets.
pub(super) fn help(input: &ExplainInput<'_>, path: &str) -> String {
    let root = path.split('.').next().unwrap_or_default();
    if !ROOTS.contains(&root) {
        return match nearest(root, ROOTS) {
            Some(near) => format!("did you mean `{near}`? paths begin with {}", ROOTS.join(", ")),
            None => format!("paths begin with {}", ROOTS.join(", ")),
        };
    }
    let mut paths = Vec::new();
    match root {
        "values" => values(input, &mut paths),
        "steps" => steps(input, &mut paths),
        "defaults" | "concurrency" => collect(input.document.get(root), root, DEPTH, &mut paths),
        _ => {
            for layer in &input.environment.layers {
                collect(layer.get(root), root, DEPTH, &mut paths);
            }
        }
    }
    let mut right = root.to_owned();
    let mut misspelt = false;
    for key in path.split('.').skip(1) {
        let inside = format!("{right}.");
        let mut beside: Vec<&str> =
            paths.iter().filter_map(|path| path.strip_prefix(&inside)?.split('.').next()).collect();
        beside.sort_unstable();
        beside.dedup();
        match nearest(key, beside.iter().copied()) {
            Some(near) => {
                misspelt |= near != key;
                right = format!("{right}.{near}");
            }
            None if beside.is_empty() => return format!("nothing is set under `{right}`"),
            None => return format!("`{right}` has: {}", beside.join(", ")),
        }
    }
    if misspelt { format!("did you mean `{right}`?") } else { format!("name something under `{right}`") }
}

fn values(input: &ExplainInput<'_>, paths: &mut Vec<String>) {
    for declaration in &input.runbook.values {
        let path = format!("values.{}", declaration.name.value);
        collect(declaration.default.as_ref(), &path, DEPTH, paths);
        paths.push(path);
    }
    for values in &input.environment.values {
        collect(Some(values), "values", DEPTH, paths);
    }
    for given in input.overrides {
        match given {
            Override::File(node) => collect(Some(node), "values", DEPTH, paths),
            Override::Set { path, .. } => paths.push(format!("values.{}", path.join("."))),
        }
    }
}

fn steps(input: &ExplainInput<'_>, paths: &mut Vec<String>) {
    let patches = input.environment.patches.get(input.runbook.name.value.as_str());
    let applied = patch::apply(input.document, patches.map_or(&[], Vec::as_slice));
    let document = applied.as_ref().map_or(input.document, |applied| &applied.document);
    for section in ["steps", "on_failure", "finally"] {
        for step in document.get(section).and_then(Node::items).unwrap_or_default() {
            let Some(id) = step.get("id").and_then(Node::text) else { continue };
            collect(Some(step), &format!("steps.{id}"), DEPTH, paths);
        }
    }
}

fn collect(node: Option<&Node>, path: &str, depth: usize, paths: &mut Vec<String>) {
    let Some(node) = node else { return };
    paths.push(path.to_owned());
    if depth > 0 {
        for entry in node.entries().unwrap_or_default() {
            collect(Some(&entry.value), &format!("{path}.{}", entry.key), depth - 1, paths);
        }
    }
}
