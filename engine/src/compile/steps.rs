//! Drafts → the steps of the plan.

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::id::StepId;
use crate::plan::{Edge, Param, PlanStep};
use crate::runbook::{OnCrash, Phase};
use crate::step::{Effect, ErasedStep, Intent, KindInfo};
use crate::template::{Context, Unknowns};
use crate::values::DurationText;

use super::draft::{Draft, Drafts};
use super::edges::{Link, between_instances};
use super::instances::{Instances, placeholder};
use super::knowledge::{Knowledge, When, fold};
use super::names::Names;
use super::render::{Rendered, render};
use super::report::Report;
use super::{CompileInput, fit, kinds};

/// Makes the steps of the plan: those that run while planning and have not yet, and all others.
pub(super) fn make(
    input: &CompileInput<'_>,
    drafts: &Drafts<'_>,
    links: &[Vec<Link>],
    knowledge: &Knowledge<'_>,
    report: &mut Report,
) -> (Vec<PlanStep>, Vec<PlanStep>) {
    let (mut unpinned, mut steps) = (Vec::new(), Vec::new());
    for (position, draft) in drafts.all.iter().enumerate() {
        let Some(kind) = draft.kind.filter(|_| !draft.broken && !knowledge.is_pinned(draft)) else {
            continue;
        };
        let planning = draft.definition.phase == Phase::Plan;
        let mut needs = between_instances(position, drafts, links, &knowledge.instances);
        if planning {
            needs.retain(|edge| {
                drafts.find(edge.step.as_str()).is_some_and(|to| !knowledge.is_pinned(&drafts.all[to]))
            });
        }
        let mut maker = Maker { input, draft, kind: kind.as_ref(), needs: &needs, report };
        for step in maker.instances(knowledge, &knowledge.instances[position]) {
            match (planning, step.skipped) {
                // What is disabled stays to be seen; nothing waits for it, since it would have run before.
                (true, true) if step.disabled.is_some() => steps.push(PlanStep { needs: Vec::new(), ..step }),
                (true, true) => {}
                (true, false) => unpinned.push(step),
                (false, _) => steps.push(step),
            }
        }
    }
    (unpinned, steps)
}

struct Maker<'m, 'a> {
    input: &'m CompileInput<'a>,
    draft: &'m Draft<'a>,
    kind: &'m dyn ErasedStep,
    needs: &'m [Edge],
    report: &'m mut Report,
}

impl Maker<'_, '_> {
    fn instances(&mut self, knowledge: &Knowledge<'_>, instances: &Instances) -> Vec<PlanStep> {
        let id = self.draft.id();
        match instances {
            Instances::One => {
                self.step(id.into(), None, &knowledge.context, &knowledge.unknown).into_iter().collect()
            }
            Instances::Each(items) => items
                .iter()
                .filter_map(|item| {
                    let context = knowledge.context.with("each", &item.each);
                    self.step(item.id(id), Some(item.each.clone()), &context, &knowledge.unknown)
                })
                .collect(),
            Instances::Later(shown) => {
                let mut unknown = knowledge.unknown.clone();
                unknown.insert(&["each"], shown.clone());
                self.step(placeholder(id), None, &knowledge.context, &unknown).into_iter().collect()
            }
        }
    }

    fn step(
        &mut self,
        id: StepId,
        each: Option<Value>,
        context: &Context,
        unknown: &Unknowns,
    ) -> Option<PlanStep> {
        let definition = self.draft.definition;
        let when = fold(self.draft, context, unknown, self.report)?;
        let (params, intent) = if when == When::Never {
            self.skipped(context, unknown)
        } else {
            self.checked(context, unknown)?
        };
        let info = self.kind.info();
        let effect = kinds::effect(self.draft, info);
        let defaults = &self.input.runbook.defaults;
        let (when, skipped) = match when {
            When::Always => (None, false),
            When::Never => (None, true),
            When::Later(expression) => (Some(expression), false),
        };
        Some(PlanStep {
            id,
            definition: self.draft.id().into(),
            name: definition.name.clone(),
            kind: info.kind.clone(),
            section: self.draft.section,
            effect,
            params,
            when,
            skipped,
            disabled: definition.disabled.as_ref().map(|reason| reason.value.clone()),
            each,
            needs: self.needs.to_vec(),
            retry: definition.retry.clone().or_else(|| defaults.retry.clone()),
            timeout: definition.timeout.or(defaults.timeout).map(DurationText),
            deadline: definition.deadline.map(DurationText),
            max_parallel: definition.max_parallel,
            continue_on_error: definition.continue_on_error,
            on_crash: definition.on_crash.unwrap_or_else(|| on_crash(effect, info)),
            intent,
            with: Some(definition.with.clone()),
            location: Some(definition.location.clone()),
        })
    }

    /// A step that will not run need not be renderable: its values may be missing for the very reason it is
    /// skipped.
    fn skipped(&mut self, context: &Context, unknown: &Unknowns) -> (Param, Intent) {
        let mut unheard = Report::default();
        match render(&self.draft.params, context, unknown, &mut unheard) {
            Some(rendered) => {
                let intent = self.kind.plan(&rendered.display, &rendered.unknown).unwrap_or_default();
                (rendered.param, intent)
            }
            None => (Param::Value(json!({})), Intent::default()),
        }
    }

    fn checked(&mut self, context: &Context, unknown: &Unknowns) -> Option<(Param, Intent)> {
        let rendered = render(&self.draft.params, context, unknown, self.report)?;
        let schema = self.kind.info().params.as_value();
        let settings = &self.input.environment.settings;
        Names { settings, report: self.report }.check(&rendered.param, schema, &self.draft.definition.with);
        if !fit::check(self.draft, self.kind, &rendered.param, self.report) {
            return None;
        }
        let intent = self.intent(&rendered)?;
        Some((rendered.param, intent))
    }

    fn intent(&mut self, rendered: &Rendered) -> Option<Intent> {
        match self.kind.plan(&rendered.display, &rendered.unknown) {
            Ok(intent) => Some(intent),
            // The type was checked before: with other mistakes reported, this one only repeats them.
            Err(_) if !self.report.is_empty() && self.kind.check_params(&rendered.display).is_err() => None,
            Err(error) => {
                let diagnostic = Diagnostic::new("rekindle::runbook::refused_parameters", error.message)
                    .label(
                        &self.draft.definition.with.location,
                        format!("refused by `{}`", self.kind.info().kind),
                    );
                self.report.add(match error.help {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                });
                None
            }
        }
    }
}

/// Reading again is always safe; where it is not, a probe can tell, and else a person must.
fn on_crash(effect: Effect, info: &KindInfo) -> OnCrash {
    match effect {
        Effect::Read => OnCrash::Rerun,
        Effect::Write | Effect::Destroy if info.probes => OnCrash::Probe,
        Effect::Write | Effect::Destroy => OnCrash::Ask,
    }
}
