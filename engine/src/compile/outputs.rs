//! The types of what is known only in the run: what a template will give, as far as schemas tell.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::references::lookup;
use super::schema;
use crate::id::StepId;
use crate::plan::{Param, Plan, PlanStep};
use crate::step::Registry;
use crate::template::{Analysis, Shape, Template};

/// What is not known of a plan's parameters: by step, then by JSON pointer (RFC 6901) into `with:`.
pub type UnknownTypes = IndexMap<StepId, BTreeMap<String, UnknownType>>;

/// A parameter that is known only in the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownType {
    /// The steps whose outputs it needs, and `run` or `failure` where it needs those; in the order written.
    pub after: Vec<String>,
    /// Its type in words, such as `a string`; absent where only the run can tell.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// Gives the types of everything in a plan that is known only in the run.
///
/// A text with templates in it is a string. A template that is exactly one reference has the type that the
/// schema of those outputs says. What goes through a filter may be anything.
pub fn unknown_types(plan: &Plan, registry: &Registry) -> UnknownTypes {
    let mut types = UnknownTypes::new();
    for step in plan.unpinned.iter().chain(&plan.steps).filter(|step| !step.skipped) {
        let mut found = BTreeMap::new();
        let shown = plan.shown_params(step);
        for pointer in shown.unknown.keys() {
            if let Some(text) = template_at(&step.params, pointer)
                && let Ok(template) = Template::parse(text)
            {
                found.insert(pointer.clone(), unknown(plan, registry, template.analysis()));
            }
        }
        if !found.is_empty() {
            types.insert(step.id.clone(), found);
        }
    }
    types
}

fn unknown(plan: &Plan, registry: &Registry, analysis: &Analysis) -> UnknownType {
    let mut after: Vec<String> = Vec::new();
    for reference in &analysis.references {
        let name = match reference.path.as_slice() {
            [root, name, ..] if root == "steps" => match step_named(plan, name) {
                Some(step) => step.definition.to_string(),
                // Pinned or skipped: known.
                None => continue,
            },
            [root, ..] if root == "run" || root == "failure" => root.clone(),
            _ => continue,
        };
        if !after.contains(&name) {
            after.push(name);
        }
    }
    let kind = match &analysis.shape {
        Shape::Text | Shape::Mixed { .. } => Some("a string".to_owned()),
        Shape::Expression(_) => sole_path(analysis).and_then(|path| match path {
            [root, ..] if root == "run" || root == "failure" => Some("a string".to_owned()),
            [root, name, outputs, rest @ ..] if root == "steps" && outputs == "outputs" => {
                let step = step_named(plan, name).filter(|step| step.each.is_none())?;
                let outputs = &registry.get(&step.kind)?.info().outputs;
                let found = lookup(outputs.as_value(), rest)?;
                schema::types(found).map(|_| schema::words(found))
            }
            _ => None,
        }),
    };
    UnknownType { after, kind }
}

/// Gives the path of a template that is exactly one reference.
pub(super) fn sole_path(analysis: &Analysis) -> Option<&[String]> {
    let (Shape::Expression(whole), [reference]) = (&analysis.shape, analysis.references.as_slice()) else {
        return None;
    };
    (reference.range == *whole).then_some(reference.path.as_slice())
}

fn step_named<'p>(plan: &'p Plan, name: &str) -> Option<&'p PlanStep> {
    let name = name.replace('-', "_");
    let mut steps = plan.steps.iter().chain(&plan.unpinned).filter(|step| !step.skipped);
    steps.find(|step| step.definition.as_str().replace('-', "_") == name)
}

fn template_at<'p>(param: &'p Param, pointer: &str) -> Option<&'p str> {
    let mut param = param;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        param = match param {
            Param::List(items) => items.get(part.parse::<usize>().ok()?)?,
            Param::Map(entries) => entries.get(&part)?,
            Param::Value(_) | Param::Template(_) => return None,
        };
    }
    match param {
        Param::Template(text) => Some(text),
        Param::Value(_) | Param::List(_) | Param::Map(_) => None,
    }
}

/// Tells whether a schema is of lists or maps only, which can't stand inside text.
pub(super) fn is_collection(schema: &Value) -> bool {
    schema::types(schema).is_some_and(|types| types.iter().all(|name| matches!(*name, "array" | "object")))
}
