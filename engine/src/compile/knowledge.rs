//! What is known while compiling: values, the environment, what ran while planning, what will not run.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::plan::PinnedStep;
use crate::template::{Context, Unknowns, context_of_environment, insert_step};

use super::draft::{Condition, Draft, Drafts, Tree};
use super::instances::{Instances, expand};
use super::render::render;
use super::report::Report;
use super::{CompileInput, draft};

/// Whether a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Never,
    /// Decided in the run, by this expression.
    Later(String),
}

pub(super) struct Knowledge<'a> {
    pinned: HashMap<&'a str, &'a PinnedStep>,
    pub(super) context: Context,
    pub(super) unknown: Unknowns,
    /// Per step, in runbook order. A step whose `for_each` is wrong counts as having no instances.
    pub(super) instances: Vec<Instances>,
}

impl<'a> Knowledge<'a> {
    pub(super) fn gather(
        input: &CompileInput<'a>,
        values: &Value,
        drafts: &Drafts<'a>,
        report: &mut Report,
    ) -> Self {
        let pinned: HashMap<&str, &PinnedStep> =
            input.pinned.iter().map(|step| (step.id.as_str(), step)).collect();
        let mut steps = Map::new();
        for draft in planned(drafts) {
            if let Some(step) = pinned.get(draft.id()) {
                insert_step(&mut steps, draft.id(), &step.outputs);
            }
        }
        let base = Context::new(&json!({
            "values": values,
            "environment": context_of_environment(&input.environment.settings),
            "steps": steps,
        }));
        let unknown = unknowns(drafts, &steps);
        let mut instances = Vec::with_capacity(drafts.all.len());
        let known_before = steps.len();
        for draft in &drafts.all {
            let Some(own) = expand(draft, drafts, &base, &unknown, report) else {
                instances.push(Instances::Each(Vec::new()));
                continue;
            };
            if own.is_empty() {
                insert_step(&mut steps, draft.id(), &json!([]));
            } else if matches!(own, Instances::One)
                && !steps.contains_key(draft.id())
                && fold(draft, &base, &unknown, report) == Some(When::Never)
            {
                // Without outputs for good: `default()` can be rendered now.
                insert_step(&mut steps, draft.id(), &json!({}));
            }
            instances.push(own);
        }
        let (context, unknown) = if steps.len() == known_before {
            (base, unknown)
        } else {
            let unknown = unknowns(drafts, &steps);
            (base.with("steps", &Value::Object(steps)), unknown)
        };
        Self { pinned, context, unknown, instances }
    }

    pub(super) fn is_pinned(&self, draft: &Draft<'_>) -> bool {
        draft.runs_while_planning() && self.pinned.contains_key(draft.id())
    }

    /// Gives what ran while planning, in runbook order; results of steps that are gone are left out.
    pub(super) fn pinned_in_order(&self, drafts: &Drafts<'_>) -> Vec<PinnedStep> {
        planned(drafts).filter_map(|draft| self.pinned.get(draft.id())).map(|step| (*step).clone()).collect()
    }

    pub(super) fn render_group(&self, group: &Tree<'_>, report: &mut Report) -> Option<String> {
        let rendered = render(group, &self.context, &self.unknown, report)?;
        if !rendered.unknown.is_empty() {
            return None;
        }
        Some(match rendered.display {
            Value::String(name) => name,
            other => other.to_string(),
        })
    }
}

fn planned<'d, 'a>(drafts: &'d Drafts<'a>) -> impl Iterator<Item = &'d Draft<'a>> {
    drafts.all.iter().filter(|draft| draft.runs_while_planning())
}

fn unknowns(drafts: &Drafts<'_>, known: &Map<String, Value>) -> Unknowns {
    let mut unknown = Unknowns::default();
    for draft in drafts.all.iter().filter(|draft| !known.contains_key(draft.id())) {
        let name = draft::template_name(draft.id());
        unknown.insert(&["steps", &name], format!("known after {}", draft.id()));
    }
    unknown.insert(&["run"], "known when the run starts");
    unknown.insert(&["failure"], "known when a step has failed");
    unknown
}

/// Decides a step's condition as far as that is possible. Gives nothing when it is wrong, which is reported.
pub(super) fn fold(
    draft: &Draft<'_>,
    context: &Context,
    unknown: &Unknowns,
    report: &mut Report,
) -> Option<When> {
    if draft.is_disabled() {
        return Some(When::Never);
    }
    let leaf = match &draft.when {
        None | Some(Condition::Constant(true)) => return Some(When::Always),
        Some(Condition::Constant(false)) => return Some(When::Never),
        Some(Condition::Expression(leaf)) => leaf,
    };
    if draft.broken {
        return None;
    }
    let references = &leaf.template.analysis().references;
    let decided = if references.iter().any(|reference| unknown.find(&reference.path).is_some()) {
        leaf.template.check_known(context, unknown).map(|()| When::Later(leaf.template.text().to_owned()))
    } else {
        leaf.template.truth(context).map(|truth| if truth { When::Always } else { When::Never })
    };
    match decided {
        Ok(when) => Some(when),
        Err(error) => {
            report.template("rekindle::template::render", error, leaf.node, leaf.offset);
            None
        }
    }
}
