//! What templates see: `values`, `environment`, `each`, `steps`, `run`, `failure`.
//!
//! `steps` is keyed by a step's id and by its id with `_` for `-`. Each step is a map with `outputs`:
//! - a step that succeeded: its outputs;
//! - a step that was skipped, failed or has not run: an empty map, so that
//!   `steps.x.outputs.y | default("z")` works and anything else is an error;
//! - a `for_each` step: the outputs of its instances in order, as a list when it was over a list, as a map by
//!   key when it was over a map; an instance without outputs is an empty map.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Reference, Template, TemplateError};
use crate::environment::Settings;
use crate::id::{RunId, StepId};
use crate::plan::{Param, Plan, PlanStep};

/// The names of templates with their values, in the engine's own form: made once, rendered with often.
#[derive(Debug, Clone)]
pub struct Context {
    root: minijinja::Value,
}

impl Context {
    /// Makes a context of a map of names.
    pub fn new(names: &Value) -> Self {
        Self { root: minijinja::Value::from(minijinja::value::Serde(names)) }
    }

    /// Gives a context with one name more, or one name changed. The others are shared, not copied.
    #[must_use]
    pub fn with(&self, name: &str, value: &Value) -> Self {
        let mut names: BTreeMap<String, minijinja::Value> = BTreeMap::new();
        for key in self.root.try_iter().into_iter().flatten() {
            if let (Some(text), Ok(item)) = (key.as_str(), self.root.get_item(&key)) {
                names.insert(text.to_owned(), item);
            }
        }
        names.insert(name.to_owned(), minijinja::Value::from(minijinja::value::Serde(value)));
        Self { root: minijinja::Value::from_pairs(names) }
    }

    pub(super) fn root(&self) -> minijinja::Value {
        self.root.clone()
    }

    /// Gives the length of the shortest part of a path that is undefined.
    pub(super) fn first_undefined(&self, path: &[String]) -> Option<usize> {
        let mut value = self.root.clone();
        for (position, part) in path.iter().enumerate() {
            let by_name = value.get_item(&minijinja::Value::from(part.as_str()));
            let found = by_name.ok().filter(|item| !item.is_undefined()).or_else(|| {
                let index: usize = part.parse().ok()?;
                value.get_item_by_index(index).ok().filter(|item| !item.is_undefined())
            });
            match found {
                Some(item) => value = item,
                None => return Some(position + 1),
            }
        }
        None
    }
}

/// Gives what `environment` is in templates: names and objectives, never a secret nor where one comes from.
pub(crate) fn environment(settings: &Settings) -> Value {
    json!({
        "name": settings.name,
        "cluster": settings.cluster(),
        "objectives": settings.objectives,
        "targets": settings.targets.keys().collect::<Vec<_>>(),
        "stores": settings.stores.keys().collect::<Vec<_>>(),
    })
}

/// Puts a step's outputs into `steps`, under both spellings of its id.
pub(crate) fn insert_step(steps: &mut Map<String, Value>, id: &str, outputs: &Value) {
    let step = json!({ "outputs": outputs });
    if id.contains('-') {
        steps.insert(id.replace('-', "_"), step.clone());
    }
    steps.insert(id.to_owned(), step);
}

/// The first failure of a run, as `on_failure` and `finally` see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step that failed.
    pub step: StepId,
    /// Why, with secrets masked.
    pub message: String,
}

/// What a run knows when a step starts.
#[derive(Debug, Clone, Copy)]
pub struct RunScope<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The step that starts.
    pub step: &'a PlanStep,
    /// Outputs of the steps that have succeeded.
    pub outputs: &'a BTreeMap<StepId, Value>,
    /// The run's id.
    pub run: &'a RunId,
    /// When the run started; `run.started_at` is its RFC 3339 text.
    pub started_at: Timestamp,
    /// The first failure, if there was one.
    pub failure: Option<&'a Failure>,
}

/// Makes the context of one step, for [`super::render`] and [`super::evaluate`].
///
/// Holds only the steps that this step's templates refer to: a run of n steps would otherwise copy n² outputs. In a
/// group, `values` are the group's: rendered with the names around the group, and so on outwards.
///
/// # Errors
/// Fails when a value of the step's group can't be rendered.
pub fn run_context(scope: &RunScope<'_>) -> Result<Value, TemplateError> {
    let mut names = BTreeSet::new();
    named_in_param(&scope.step.params, &mut names);
    if let Some(when) = &scope.step.when {
        named_in(Template::parse_expression(when).ok(), &mut names);
    }
    let group = scope.step.group.as_ref();
    Ok(context(scope, group, scope.step.each.as_ref(), &names, &values(scope, group)?))
}

/// Tells whether the conditions of all groups around a step hold, from the outermost on.
///
/// # Errors
/// Fails when one of them can't be evaluated.
pub fn groups_run(scope: &RunScope<'_>) -> Result<bool, TemplateError> {
    let around: Vec<_> = scope.plan.groups_around(scope.step).collect();
    for group in around.into_iter().rev() {
        let Some(when) = &group.when else { continue };
        let mut names = BTreeSet::new();
        named_in(Template::parse_expression(when).ok(), &mut names);
        let outer = group.within.as_ref();
        let context = context(scope, outer, group.each.as_ref(), &names, &values(scope, outer)?);
        if super::evaluate(when, &context)? == Value::Bool(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the values that the steps of a group see; those of the runbook outside of groups.
fn values(scope: &RunScope<'_>, group: Option<&StepId>) -> Result<Value, TemplateError> {
    let Some(group) = group.and_then(|id| scope.plan.groups.get(id)) else {
        return Ok(scope.plan.values.clone());
    };
    if let Param::Value(values) = &group.values {
        return Ok(values.clone());
    }
    let outer = group.within.as_ref();
    let names = steps_named_in(&group.values);
    super::render(&group.values, &context(scope, outer, group.each.as_ref(), &names, &values(scope, outer)?))
}

/// Makes the context of templates that are written in the names of a group.
pub(crate) fn context(
    scope: &RunScope<'_>,
    group: Option<&StepId>,
    each: Option<&Value>,
    names: &BTreeSet<String>,
    values: &Value,
) -> Value {
    let mut context = json!({
        "values": values,
        "environment": environment(&scope.plan.settings),
        "steps": steps(scope, group, names),
        "run": { "id": scope.run, "started_at": scope.started_at.to_string() },
    });
    if let Some(each) = each {
        context["each"] = each.clone();
    }
    if scope.step.section != crate::plan::Section::Main {
        context["failure"] = match scope.failure {
            Some(failure) => json!({ "step": failure.step, "message": failure.message }),
            // `finally` runs after success too: `failure.step | default("none")` must work there.
            None => json!({}),
        };
    }
    context
}

/// Gives the names of the steps that templates refer to.
pub(crate) fn steps_named_in(param: &Param) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    named_in_param(param, &mut names);
    names
}

/// Tells whether `name`, spelt with `_`, is the step `id`. Makes no text: it is asked n² times in a run.
pub(crate) fn is_step(name: &str, id: &str) -> bool {
    name.len() == id.len()
        && name.bytes().zip(id.bytes()).all(|(own, other)| own == other || (own == b'_' && other == b'-'))
}

fn named_in_param(param: &Param, names: &mut BTreeSet<String>) {
    match param {
        Param::Value(_) => {}
        Param::Template(text) => named_in(Template::parse(text).ok(), names),
        Param::List(items) => items.iter().for_each(|item| named_in_param(item, names)),
        Param::Map(entries) => entries.values().for_each(|item| named_in_param(item, names)),
    }
}

fn named_in(template: Option<Template>, names: &mut BTreeSet<String>) {
    let references = template.map(|template| template.analysis().references.clone()).unwrap_or_default();
    names.extend(references.into_iter().filter_map(|Reference { path, .. }| match path.as_slice() {
        [root, step, ..] if root == "steps" => Some(step.replace('-', "_")),
        _ => None,
    }));
}

fn steps(scope: &RunScope<'_>, group: Option<&StepId>, names: &BTreeSet<String>) -> Map<String, Value> {
    let mut found: BTreeMap<String, (&str, Value)> = BTreeMap::new();
    let wanted = |id: &str| names.iter().find(|name| is_step(name, id)).cloned();
    if !names.is_empty() {
        for pinned in &scope.plan.pinned {
            let Some(id) = local(group, pinned.id.as_str()) else { continue };
            if let Some(name) = wanted(id) {
                found.insert(name, (id, pinned.outputs.clone()));
            }
        }
        for step in &scope.plan.steps {
            let Some(id) = local(group, step.definition.as_str()) else { continue };
            let Some(name) = wanted(id) else { continue };
            let outputs = scope.outputs.get(&step.id).cloned().unwrap_or_else(|| json!({}));
            let (_, all) = found.entry(name).or_insert_with(|| (id, Value::Null));
            add_instance(all, step.each.as_ref().map(|each| &each["key"]), outputs);
        }
    }
    let mut steps = Map::new();
    for name in names {
        match found.remove(name) {
            Some((id, outputs)) => insert_step(&mut steps, id, &outputs),
            // Compiling has proven that the step exists: a `for_each` over nothing leaves no instance.
            None => insert_step(&mut steps, name, &json!([])),
        }
    }
    steps
}

fn add_instance(all: &mut Value, key: Option<&Value>, outputs: Value) {
    match (key, all) {
        (None, all) => *all = outputs,
        (Some(Value::String(key)), Value::Object(entries)) => {
            entries.insert(key.clone(), outputs);
        }
        (Some(Value::String(key)), all) => *all = json!({ key.as_str(): outputs }),
        (Some(_), Value::Array(items)) => items.push(outputs),
        (Some(_), all) => *all = json!([outputs]),
    }
}

/// Gives the id that a step has inside a group, when it stands there and in no group inside of it.
pub(crate) fn local<'i>(group: Option<&StepId>, id: &'i str) -> Option<&'i str> {
    let inside = match group {
        None => id,
        Some(group) => id.strip_prefix(group.as_str())?.strip_prefix('/')?,
    };
    (!inside.contains('/')).then_some(inside)
}
