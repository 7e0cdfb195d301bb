//! Declarations + layers → the values of one run, each with the place that set it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::layers::{lay_over, set_as_declared};
use super::{Override, check_value};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Entry, Location, Node, NodeValue};
use crate::environment::Environment;
use crate::runbook::{Runbook, ValueDeclaration, ValueType};

/// The values of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// A map of all declared values, in the order of their declaration. Durations and sizes stay text; a value
    /// whose default is `null` and that nobody set is `null`.
    pub values: Value,
    /// Where each value was set; for maps also each key, by dotted path such as `retention.keep_last`.
    pub provenance: BTreeMap<String, Location>,
}

/// One layer's word on one value.
struct Layer<'a> {
    name: &'a str,
    node: Node,
}

/// Lays runbook defaults, environment, values files and `--set`s over each other, in that order.
///
/// Maps merge, lists replace. `null` takes back what lower layers set: a key of a map is removed, a whole value
/// falls back to its default. The environment may hold values that this runbook does not declare, since it
/// serves many; files and `--set` may not.
///
/// # Errors
///
/// Every value that is missing, unknown, or of the wrong type in any layer; pointing at the layer that set it.
pub fn resolve(
    runbook: &Runbook,
    environment: &Environment,
    overrides: &[Override],
) -> Result<Resolved, Vec<Diagnostic>> {
    match resolve_partly(runbook, environment, overrides) {
        (resolved, errors) if errors.is_empty() => Ok(resolved),
        (_, errors) => Err(errors),
    }
}

/// As [`resolve`], with the values that nothing is wrong with besides the mistakes.
pub(crate) fn resolve_partly(
    runbook: &Runbook,
    environment: &Environment,
    overrides: &[Override],
) -> (Resolved, Vec<Diagnostic>) {
    let mut errors = Vec::new();
    let layers = collect(runbook, environment, overrides, &mut errors);
    let mut values = Map::new();
    let mut provenance = BTreeMap::new();
    for declaration in &runbook.values {
        let name = declaration.name.value.as_str();
        let own: Vec<_> = layers.iter().filter(|layer| layer.name == name).collect();
        let mut wrong = 0;
        for layer in &own {
            let found = check_layer(layer, declaration, environment);
            wrong += found.len();
            errors.extend(found);
        }
        if let Some(default) = &declaration.default
            && matches!(declaration.kind, ValueType::Target | ValueType::Store | ValueType::List(_))
            && !own.iter().any(|layer| layer.node.value != NodeValue::Null)
            && default.value != NodeValue::Null
        {
            // Its type was checked with the runbook; whether the names exist is known only here.
            let what = format!("the default of `{name}`");
            let found = check_value(default, &declaration.kind, &what, Some(environment));
            wrong += found.len();
            errors.extend(found);
        }
        match lay(declaration, &own, &mut provenance) {
            Some(value) if wrong == 0 => {
                values.insert(name.to_owned(), value);
            }
            None if wrong == 0 => errors.push(missing(declaration, environment)),
            Some(_) | None => {}
        }
    }
    (Resolved { values: Value::Object(values), provenance }, errors)
}

fn lay(
    declaration: &ValueDeclaration,
    layers: &[&Layer<'_>],
    provenance: &mut BTreeMap<String, Location>,
) -> Option<Value> {
    let name = declaration.name.value.as_str();
    let base = |provenance: &mut BTreeMap<String, Location>| {
        let default = declaration.default.as_ref()?;
        if default.value == NodeValue::Null {
            provenance.insert(name.to_owned(), default.location.clone());
            return Some(Value::Null);
        }
        lay_over(None, default, name, provenance)
    };
    let mut value = base(provenance);
    for layer in layers {
        value = match lay_over(value, &layer.node, name, provenance) {
            None => base(provenance),
            laid => laid,
        };
    }
    value
}

/// Takes the layers apart into one word per value, lowest layer first; names that nobody declared are mistakes.
fn collect<'a>(
    runbook: &'a Runbook,
    environment: &Environment,
    overrides: &[Override],
    errors: &mut Vec<Diagnostic>,
) -> Vec<Layer<'a>> {
    let mut layers = Vec::new();
    for entry in environment.values.iter().filter_map(Node::entries).flatten() {
        if let Some(declaration) = find(runbook, &entry.key) {
            layers.push(layer_of(declaration, entry));
        }
    }
    for given in overrides {
        match given {
            Override::File(node) => collect_file(runbook, node, &mut layers, errors),
            Override::Set { path, node } => {
                let Some((name, keys)) = path.split_first() else { continue };
                let location = &node.location;
                let Some(declaration) = find(runbook, name) else {
                    errors.push(unknown(runbook, name, &whole(location)));
                    continue;
                };
                if !keys.is_empty() && declaration.kind != ValueType::Map {
                    errors.push(no_keys(declaration, keys, &whole(location)));
                    continue;
                }
                let node = set_as_declared(keys, node, Some(&declaration.kind));
                layers.push(Layer { name: &declaration.name.value, node });
            }
        }
    }
    layers
}

fn collect_file<'a>(
    runbook: &'a Runbook,
    node: &Node,
    layers: &mut Vec<Layer<'a>>,
    errors: &mut Vec<Diagnostic>,
) {
    let Some(entries) = node.entries() else {
        let message = format!("a values file must be a map, found {}", node.kind());
        errors.push(
            Diagnostic::new("rekindle::values::wrong_type", message)
                .label(&node.location, "expected a map")
                .help("write `name: value` lines"),
        );
        return;
    };
    for entry in entries {
        match find(runbook, &entry.key) {
            Some(declaration) => layers.push(layer_of(declaration, entry)),
            None => errors.push(unknown(runbook, &entry.key, &entry.key_location())),
        }
    }
}

fn layer_of<'a>(declaration: &'a ValueDeclaration, entry: &Entry) -> Layer<'a> {
    Layer { name: &declaration.name.value, node: entry.value.clone() }
}

fn find<'a>(runbook: &'a Runbook, name: &str) -> Option<&'a ValueDeclaration> {
    runbook.values.iter().find(|declaration| declaration.name.value == name)
}

fn check_layer(
    layer: &Layer<'_>,
    declaration: &ValueDeclaration,
    environment: &Environment,
) -> Vec<Diagnostic> {
    if layer.node.value == NodeValue::Null {
        return Vec::new();
    }
    check_value(&layer.node, &declaration.kind, &format!("`{}`", layer.name), Some(environment))
}

/// A `--set` argument is short: what is wrong with its name is said about all of it.
fn whole(location: &Location) -> Location {
    let source = std::sync::Arc::clone(&location.source);
    let end = source.text.find('=').unwrap_or(source.text.len());
    Location { span: crate::document::Span::new(0, end), source }
}

fn unknown(runbook: &Runbook, name: &str, at: &Location) -> Diagnostic {
    let names = || runbook.values.iter().map(|declaration| declaration.name.value.as_str());
    let help = match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if runbook.values.is_empty() => "this runbook takes no values".to_owned(),
        None => format!("it takes: {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("runbook `{}` has no value `{name}`", runbook.name.value);
    Diagnostic::new("rekindle::values::unknown_value", message)
        .label(at, "not declared under `values:`")
        .help(help)
}

fn no_keys(declaration: &ValueDeclaration, keys: &[String], at: &Location) -> Diagnostic {
    let name = &declaration.name.value;
    let message =
        format!("`{name}` is {}: it has no key `{}`", declaration.kind.with_article(), keys.join("."));
    Diagnostic::new("rekindle::values::no_keys", message)
        .label(at, "only maps have keys")
        .help(format!("write `--set {name}=…`"))
}

fn missing(declaration: &ValueDeclaration, environment: &Environment) -> Diagnostic {
    let name = &declaration.name.value;
    let given = environment.values.iter().filter_map(Node::entries).flatten();
    let near = nearest(name, given.map(|entry| entry.key.as_str()));
    let help = match near {
        Some(near) => {
            format!("environment `{}` has a value `{near}`: is `{name}` meant?", environment.settings.name)
        }
        None => format!(
            "set it under `values:` of environment `{}`, or with `--set {name}=…`",
            environment.settings.name
        ),
    };
    Diagnostic::new("rekindle::values::missing", format!("the value `{name}` is not set and has no default"))
        .label(&declaration.name.location, format!("declared here as {}", declaration.kind.with_article()))
        .help(help)
}
