//! Rendered parameters against the kind's type: several mistakes per step, though serde stops at the first.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::plan::Param;
use crate::step::{ErasedStep, ParamsError};

use super::draft::Draft;
use super::report::Report;
use super::schema::{self, Closed, Property};

/// Bounds the tries to find one more mistake.
const MISTAKES_LIMIT: usize = 16;

/// Checks the known part of the parameters, and reports what does not fit. Tells whether all did.
pub(super) fn check(draft: &Draft<'_>, kind: &dyn ErasedStep, params: &Param, report: &mut Report) -> bool {
    let mut left_out = HashSet::new();
    let Some(Value::Object(mut known)) = prune(params, &mut left_out) else { return true };
    let mut fits = true;
    for _ in 0..MISTAKES_LIMIT {
        let candidate = Value::Object(known);
        let Err(error) = kind.check_params(&candidate) else { return fits };
        let Value::Object(rest) = candidate else { return fits };
        known = rest;
        let is_excused = excused(&error, &left_out, draft);
        if !is_excused {
            fits = false;
            report.add(diagnostic(draft, kind, &error));
        }
        // What is left is checked without the parameter that was wrong.
        match blamed(&error, &known) {
            Some(name) => {
                left_out.insert(name.clone());
                known.remove(&name);
            }
            None => return fits,
        }
    }
    fits
}

/// Leaves out what is not known: keys of maps; lists as a whole, since their indexes must keep their meaning.
fn prune(param: &Param, left_out: &mut HashSet<String>) -> Option<Value> {
    match param {
        Param::Value(value) => Some(value.clone()),
        Param::Template(_) => None,
        Param::List(items) => items.iter().map(|item| prune(item, left_out)).collect(),
        Param::Map(entries) => {
            let mut known = Map::new();
            for (key, item) in entries {
                match prune(item, left_out) {
                    Some(value) => {
                        known.insert(key.clone(), value);
                    }
                    None => {
                        left_out.insert(key.clone());
                    }
                }
            }
            Some(Value::Object(known))
        }
    }
}

/// Tells whether the mistake is one that the walk over the schema has reported, or comes from leaving out.
fn excused(error: &ParamsError, left_out: &HashSet<String>, draft: &Draft<'_>) -> bool {
    let node = descend(&draft.definition.with, &error.pointer);
    if let Some(name) = quoted_after(&error.message, "missing field ") {
        return left_out.contains(name) || node.entries().is_some();
    }
    // The pointer of an unknown field names the field itself.
    let Some(name) = quoted_after(&error.message, "unknown field ") else { return false };
    let parent = error.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    descend(&draft.definition.with, parent).get(name).is_some()
}

/// Gives the parameter to leave out for the next try.
fn blamed(error: &ParamsError, known: &Map<String, Value>) -> Option<String> {
    let first = error.pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    let name = if first.is_empty() {
        quoted_after(&error.message, "unknown field ").unwrap_or_default().to_owned()
    } else {
        first.replace("~1", "/").replace("~0", "~")
    };
    known.contains_key(&name).then_some(name)
}

fn quoted_after<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

/// Follows a JSON pointer (RFC 6901) as far as the document goes: behind a template there is nothing to follow.
fn descend<'n>(node: &'n Node, pointer: &str) -> &'n Node {
    let mut node = node;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let item = part.parse::<usize>().ok().and_then(|index| node.items()?.get(index));
        match item.or_else(|| node.get(&part)) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

fn diagnostic(draft: &Draft<'_>, kind: &dyn ErasedStep, error: &ParamsError) -> Diagnostic {
    let info = kind.info();
    let parts: Vec<String> =
        error.pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let what = if parts.is_empty() { "with".to_owned() } else { parts.join(".") };
    let node = descend(&draft.definition.with, &error.pointer);
    let at = if parts.is_empty() { &draft.definition.uses.location } else { &node.location };
    let wanted = at_pointer(info.params.as_value(), &parts).filter(|_| !parts.is_empty()).map(schema::words);
    // Rust's names of types mean nothing to the writer of a runbook.
    let message = match (error.message.split_once(", expected "), &wanted) {
        (Some((found, _)), Some(wanted)) if found.starts_with("invalid type") => {
            format!("{found}, expected {wanted}")
        }
        _ => error.message.clone(),
    };
    let label = wanted.map_or_else(|| "does not fit".to_owned(), |wanted| format!("expected {wanted}"));
    Diagnostic::new(
        "rekindle::runbook::parameter_type",
        format!("`{what}` of `{}` does not fit: {message}", info.kind),
    )
    .label(at, label)
    .help(format!("`rekindle steps {}` describes its parameters", info.kind))
}

fn at_pointer<'s>(schema: &'s Value, parts: &[String]) -> Option<&'s Value> {
    parts.iter().try_fold(schema, |schema, part| {
        if part.parse::<usize>().is_ok()
            && let Some(items) = schema::items(schema)
        {
            return Some(items);
        }
        match schema::property(schema, part, Closed::WhenSaid) {
            Property::Known(inner) => Some(inner),
            Property::Open | Property::Unknown => None,
        }
    })
}
