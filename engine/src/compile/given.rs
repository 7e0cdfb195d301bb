//! `with:` of a step that uses a composite, against the values that the composite declares.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::composite::Composite;
use crate::document::{Entry, Node, NodeValue, ScalarStyle};
use crate::environment::Environment;
use crate::plan::Param;
use crate::runbook::{ValueDeclaration, ValueType};
use crate::values::check_value;

use super::draft::{self, Draft, Drafts, Place, TreeValue};
use super::frame::Frame;
use super::render::Rendered;
use super::report::Report;

/// The values of one group.
pub(super) struct Given {
    pub(super) param: Param,
    pub(super) display: Value,
    pub(super) unknown: BTreeMap<String, String>,
}

/// Lays what was given over the defaults. Gives nothing when something is wrong, which is reported; names that
/// are unknown or missing have been reported before.
pub(super) fn values(
    composite: &Composite,
    draft: &Draft<'_>,
    rendered: Rendered,
    environment: &Environment,
    report: &mut Report,
) -> Option<Given> {
    let mut given: IndexMap<String, Param> = match rendered.param {
        Param::Map(entries) => entries,
        Param::Value(Value::Object(entries)) => {
            entries.into_iter().map(|(name, value)| (name, Param::Value(value))).collect()
        }
        Param::Value(_) | Param::Template(_) | Param::List(_) => IndexMap::new(),
    };
    let mut check = Check { composite, environment, report, sound: true };
    let mut params = IndexMap::new();
    let mut display = Map::new();
    for declaration in &composite.values {
        let name = declaration.name.value.as_str();
        let param = given.shift_remove(name).filter(|param| *param != Param::Value(Value::Null));
        let param = match (param, &declaration.default) {
            (Some(param), _) => {
                let node = draft.definition.with.get(name).unwrap_or(&draft.definition.with);
                check.given(declaration, &param, node);
                display.insert(name.to_owned(), rendered.display[name].clone());
                param
            }
            (None, Some(default)) => {
                check.default(declaration, default);
                display.insert(name.to_owned(), default.to_json());
                Param::Value(default.to_json())
            }
            (None, None) => {
                check.missing(declaration, draft);
                continue;
            }
        };
        params.insert(name.to_owned(), param);
    }
    if !check.sound {
        return None;
    }
    let display = Value::Object(display);
    let known = params.values().all(|param| matches!(param, Param::Value(_)));
    let param = if known { Param::Value(display.clone()) } else { Param::Map(params) };
    Some(Given { param, display, unknown: rendered.unknown })
}

/// Gives the values that only the run will tell.
pub(super) fn in_run(draft: &Draft<'_>, drafts: &Drafts<'_>, frame: &Frame) -> HashSet<String> {
    let TreeValue::Map(entries) = &draft.params.value else { return HashSet::new() };
    let late = entries.iter().filter(|(_, tree)| {
        let mut uses = Vec::new();
        draft::collect(tree, Place::With, &mut uses);
        uses.iter().any(|used| frame.known_in_run_only(&used.path, drafts).is_some())
    });
    late.map(|(name, _)| (*name).to_owned()).collect()
}

struct Check<'c> {
    composite: &'c Composite,
    environment: &'c Environment,
    report: &'c mut Report,
    sound: bool,
}

impl Check<'_> {
    fn given(&mut self, declaration: &ValueDeclaration, param: &Param, node: &Node) {
        let what = format!("`{}` of `{}`", declaration.name.value, self.composite.name.value);
        self.param(param, &declaration.kind, node, &what);
    }

    fn param(&mut self, param: &Param, kind: &ValueType, node: &Node, what: &str) {
        match (param, kind) {
            (Param::Value(value), _) => self.node(&as_node(value, node), kind, what),
            (Param::List(items), ValueType::List(kind)) => {
                for (index, item) in items.iter().enumerate() {
                    let node = node.items().and_then(|nodes| nodes.get(index)).unwrap_or(node);
                    self.param(item, kind, node, what);
                }
            }
            (Param::List(_), _) => self.node(&as_node(&Value::Array(Vec::new()), node), kind, what),
            (Param::Map(_), ValueType::Map) | (Param::Template(_), _) => {}
            (Param::Map(_), _) => self.node(&as_node(&Value::Object(Map::new()), node), kind, what),
        }
    }

    fn default(&mut self, declaration: &ValueDeclaration, default: &Node) {
        if default.value != NodeValue::Null {
            let name = &declaration.name.value;
            let what = format!("the default of `{name}` of `{}`", self.composite.name.value);
            self.node(default, &declaration.kind, &what);
        }
    }

    fn node(&mut self, node: &Node, kind: &ValueType, what: &str) {
        let found = check_value(node, kind, what, Some(self.environment));
        self.sound &= found.is_empty();
        self.report.extend(found);
    }

    /// A parameter that is not there was reported with the others; one that is there may turn out to be nothing.
    fn missing(&mut self, declaration: &ValueDeclaration, draft: &Draft<'_>) {
        self.sound = false;
        if let Some(node) = draft.definition.with.get(&declaration.name.value) {
            self.given(declaration, &Param::Value(Value::Null), node);
        }
    }
}

/// Gives a rendered value the place of what it was rendered from. Its texts are no templates any more.
fn as_node(value: &Value, at: &Node) -> Node {
    let value = match value {
        Value::Null => NodeValue::Null,
        Value::Bool(truth) => NodeValue::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => NodeValue::Integer(number),
            None => NodeValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => NodeValue::String { text: text.clone(), style: ScalarStyle::Plain, raw: true },
        Value::Array(items) => NodeValue::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    as_node(item, at.items().and_then(|nodes| nodes.get(index)).unwrap_or(at))
                })
                .collect(),
        ),
        Value::Object(entries) => NodeValue::Map(
            entries
                .iter()
                .map(|(key, item)| Entry {
                    key: key.clone(),
                    key_span: at.location.span,
                    value: as_node(item, at.get(key).unwrap_or(at)),
                })
                .collect(),
        ),
    };
    Node { value, location: at.location.clone() }
}
