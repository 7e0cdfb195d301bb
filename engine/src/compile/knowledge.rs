//! What is known while compiling: values, the environment, what ran while planning, what will not run.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::plan::PinnedStep;
use crate::template::{Context, Unknowns, context_of_environment, insert_step};

use super::body::Bodies;
use super::draft::{Condition, Draft, Drafts, Tree};
use super::frame::Frame;
use super::instances::{Instances, expand};
use super::render::render;
use super::report::Report;
use super::{CompileInput, draft};

/// Stands for what can't be known because of a mistake, which is reported.
pub(super) const MENDED: &str = "known when its mistakes are mended";

/// Whether a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Never,
    /// Decided in the run, by this expression.
    Later(String),
}

/// What is the same for all lists of steps.
pub(super) struct Shared<'a> {
    pub(super) input: CompileInput<'a>,
    pub(super) bodies: &'a Bodies<'a>,
    /// What ran while planning, by id in the plan.
    pinned: HashMap<&'a str, &'a PinnedStep>,
    environment: Context,
}

impl<'a> Shared<'a> {
    pub(super) fn new(input: &CompileInput<'a>, bodies: &'a Bodies<'a>) -> Self {
        let environment = json!({ "environment": context_of_environment(&input.environment.settings) });
        Self {
            input: *input,
            bodies,
            pinned: input.pinned.iter().map(|step| (step.id.as_str(), step)).collect(),
            environment: Context::new(&environment),
        }
    }
}

pub(super) struct Knowledge<'a> {
    /// By position of the step.
    pinned: HashMap<&'a str, &'a PinnedStep>,
    pub(super) context: Context,
    pub(super) unknown: Unknowns,
    /// Per step, in the order they are written. A step whose `for_each` is wrong counts as having no instances.
    pub(super) instances: Vec<Instances>,
}

impl<'a> Knowledge<'a> {
    pub(super) fn gather(
        shared: &Shared<'a>,
        frame: &Frame,
        drafts: &'a Drafts<'a>,
        report: &mut Report,
    ) -> Self {
        let mut pinned = HashMap::new();
        let mut steps = Map::new();
        for draft in planned(drafts) {
            if let Some(step) = shared.pinned.get(frame.id(draft.id()).as_str()) {
                insert_step(&mut steps, draft.id(), &step.outputs);
                pinned.insert(draft.id(), *step);
            }
        }
        let base = shared.environment.with("values", &frame.values);
        let base = base.with("steps", &Value::Object(steps.clone()));
        let unknown = unknowns(drafts, frame, &steps);
        let mut instances = Vec::with_capacity(drafts.all.len());
        let known_before = steps.len();
        for draft in &drafts.all {
            let Some(own) = expand(draft, drafts, &base, &unknown, frame, report) else {
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
            let unknown = unknowns(drafts, frame, &steps);
            (base.with("steps", &Value::Object(steps)), unknown)
        };
        Self { pinned, context, unknown, instances }
    }

    /// Gives what a step found that ran while planning.
    pub(super) fn pinned(&self, draft: &Draft<'_>) -> Option<&'a PinnedStep> {
        let planned = draft.runs_while_planning();
        self.pinned.get(draft.id()).filter(|_| planned).copied()
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

fn unknowns(drafts: &Drafts<'_>, frame: &Frame, known: &Map<String, Value>) -> Unknowns {
    let mut unknown = Unknowns::default();
    unknown.insert_values(&frame.unknown);
    for draft in drafts.all.iter().filter(|draft| !known.contains_key(draft.id())) {
        let name = draft::template_name(draft.id());
        unknown.insert(&["steps", &name], format!("known after {}", frame.id(draft.id())));
    }
    for name in &drafts.doubtful.steps {
        unknown.insert(&["steps", name], MENDED);
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
