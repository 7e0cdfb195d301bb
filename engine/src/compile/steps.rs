//! Drafts → the steps of the plan.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::id::StepId;
use crate::plan::{ApprovalRule, Edge, EdgeReason, Param, PinnedStep, PlanStep, StepGroup};
use crate::runbook::{OnCrash, Phase};
use crate::step::{Effect, ErasedStep, Intent, KindInfo};
use crate::template::{Context, Unknowns, local};
use crate::values::DurationText;

use super::body::Body;
use super::draft::{Draft, Drafts};
use super::edges::between_instances;
use super::frame::Frame;
use super::instances::{Instances, placeholder as placeholder_id};
use super::knowledge::{Knowledge, MENDED, Shared, When, fold};
use super::names::Names;
use super::render::{Rendered, render};
use super::report::Report;
use super::{approval, fit, kinds};

/// What becomes of drafts.
#[derive(Default)]
pub(super) struct Made {
    /// Steps that run while planning, and have not yet.
    pub(super) unpinned: Vec<PlanStep>,
    /// What others of them have found.
    pub(super) pinned: Vec<PinnedStep>,
    /// All other steps.
    pub(super) steps: Vec<PlanStep>,
    pub(super) groups: IndexMap<StepId, StepGroup>,
}

/// Makes the steps of one list, and of all composites that they use.
pub(super) fn make(
    shared: &Shared<'_>,
    body: &Body<'_>,
    frame: &Frame,
    knowledge: &Knowledge<'_>,
    made: &mut Made,
    report: &mut Report,
) {
    let drafts = &body.drafts;
    for (position, draft) in drafts.all.iter().enumerate() {
        if let Some(found) = knowledge.pinned(draft) {
            made.pinned.push(found.clone());
            continue;
        }
        let Some(kind) = draft.kind.filter(|_| !draft.broken) else { continue };
        let mut needs = between_instances(position, drafts, &body.links, &knowledge.instances, frame);
        if draft.definition.phase == Phase::Plan {
            needs.retain(|edge| {
                let to = local(frame.group.as_ref(), edge.step.as_str()).and_then(|id| drafts.find(id));
                to.is_some_and(|to| knowledge.pinned(&drafts.all[to]).is_none())
            });
        } else if needs.is_empty() {
            needs.clone_from(&frame.entry);
        }
        let mut maker = Maker { shared, drafts, frame, draft, kind: kind.as_ref(), needs, made, report };
        maker.instances(knowledge, &knowledge.instances[position]);
    }
}

pub(super) struct Maker<'m, 'a> {
    pub(super) shared: &'m Shared<'a>,
    pub(super) drafts: &'m Drafts<'a>,
    pub(super) frame: &'m Frame,
    pub(super) draft: &'m Draft<'a>,
    kind: &'m dyn ErasedStep,
    pub(super) needs: Vec<Edge>,
    pub(super) made: &'m mut Made,
    pub(super) report: &'m mut Report,
}

/// One step of the plan, or one group, on its way.
pub(super) struct Instance<'i> {
    pub(super) id: StepId,
    pub(super) each: Option<Value>,
    pub(super) context: &'i Context,
    pub(super) unknown: &'i Unknowns,
    /// It stands for several whose number is not known yet.
    pub(super) placeholder: bool,
}

/// What is decided of a step.
pub(super) struct Decided {
    pub(super) kind: String,
    pub(super) effect: Effect,
    pub(super) params: Param,
    pub(super) when: Option<String>,
    pub(super) skipped: bool,
    pub(super) on_crash: OnCrash,
    pub(super) intent: Intent,
}

impl Maker<'_, '_> {
    fn instances(&mut self, knowledge: &Knowledge<'_>, instances: &Instances) {
        let id = self.frame.id(self.draft.id());
        let Knowledge { context, unknown, .. } = knowledge;
        let placeholder = self.frame.placeholder;
        match instances {
            Instances::One if self.draft.doubtful => {
                let unknown = &unknown.with(&["each"], MENDED);
                self.instance(&Instance { id: id.into(), each: None, context, unknown, placeholder });
            }
            Instances::One => {
                self.instance(&Instance { id: id.into(), each: None, context, unknown, placeholder });
            }
            Instances::Each(items) => {
                let ids: Vec<StepId> = items.iter().map(|item| item.id(&id)).collect();
                for (position, item) in items.iter().enumerate() {
                    let context = &context.with("each", &item.each);
                    let (id, each) = (ids[position].clone(), Some(item.each.clone()));
                    let before = self.before(position).and_then(|position| ids.get(position));
                    let order = before.map(|step| Edge { step: step.clone(), reason: EdgeReason::Order });
                    self.needs.extend(order.clone());
                    self.instance(&Instance { id, each, context, unknown, placeholder });
                    if order.is_some() {
                        self.needs.pop();
                    }
                }
            }
            Instances::Later(shown) => {
                let unknown = &unknown.with(&["each"], shown.clone());
                let id = placeholder_id(&id);
                self.instance(&Instance { id, each: None, context, unknown, placeholder: true });
            }
        }
    }

    /// Gives the group that must end before this one starts: so many lie between them as may run at once.
    fn before(&self, position: usize) -> Option<usize> {
        self.draft.composite?;
        position.checked_sub(usize::try_from(self.draft.definition.max_parallel?).ok()?)
    }

    fn instance(&mut self, instance: &Instance<'_>) {
        if let Some(composite) = self.draft.composite {
            self.group(composite, instance);
            return;
        }
        let Some(step) = self.step(instance) else { return };
        match (self.draft.definition.phase == Phase::Plan, step.skipped || self.frame.placeholder) {
            // What is disabled stays to be seen; nothing waits for it, since it would have run before.
            (true, true) if step.disabled.is_some() => {
                self.made.steps.push(PlanStep { needs: Vec::new(), ..step });
            }
            (true, true) => {}
            (true, false) => self.made.unpinned.push(step),
            (false, _) => self.made.steps.push(step),
        }
    }

    fn step(&mut self, instance: &Instance<'_>) -> Option<PlanStep> {
        let Instance { context, unknown, .. } = *instance;
        let when = fold(self.draft, context, unknown, self.report)?;
        let info = self.kind.info();
        let effect = kinds::effect(self.draft, info);
        let (params, intent, approval) = if when == When::Never {
            let (params, intent) = self.skipped(context, unknown);
            (params, intent, None)
        } else {
            let (rendered, intent) = self.checked(context, unknown)?;
            let approval = self.approval(effect, &rendered);
            (rendered.param, intent, approval)
        };
        let (when, skipped) = match when {
            When::Always => (None, false),
            When::Never => (None, true),
            When::Later(expression) => (Some(expression), false),
        };
        let definition = self.draft.definition;
        let defaults = &self.shared.input.runbook.defaults;
        // A default is for the steps that it fits.
        let may_retry = effect != Effect::Destroy || info.probes;
        let on_crash = definition.on_crash.unwrap_or_else(|| on_crash(effect, info));
        let kind = info.kind.clone();
        Some(PlanStep {
            retry: definition.retry.clone().or_else(|| defaults.retry.clone().filter(|_| may_retry)),
            timeout: definition.timeout.or(defaults.timeout).map(DurationText),
            deadline: definition.deadline.map(DurationText),
            approval,
            ..self.plan_step(
                instance,
                self.needs.clone(),
                Decided { kind, effect, params, when, skipped, on_crash, intent },
            )
        })
    }

    /// Makes a step that is tried once, for as long as it takes, and that nobody must agree to.
    pub(super) fn plan_step(&self, instance: &Instance<'_>, needs: Vec<Edge>, decided: Decided) -> PlanStep {
        let definition = self.draft.definition;
        let Decided { kind, effect, params, when, skipped, on_crash, intent } = decided;
        PlanStep {
            id: instance.id.clone(),
            definition: self.frame.id(self.draft.id()).into(),
            group: self.frame.group.clone(),
            name: definition.name.clone(),
            kind,
            section: self.frame.section.unwrap_or(self.draft.section),
            effect,
            params,
            when,
            skipped,
            disabled: definition.disabled.as_ref().map(|reason| reason.value.clone()),
            each: instance.each.clone(),
            needs,
            retry: None,
            timeout: None,
            deadline: None,
            max_parallel: definition.max_parallel,
            continue_on_error: definition.continue_on_error,
            on_crash,
            approval: None,
            intent,
            with: Some(definition.with.clone()),
            location: Some(definition.location.clone()),
        }
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

    fn checked(&mut self, context: &Context, unknown: &Unknowns) -> Option<(Rendered, Intent)> {
        let rendered = render(&self.draft.params, context, unknown, self.report)?;
        let schema = self.kind.info().params.as_value();
        let settings = &self.shared.input.environment.settings;
        Names { settings, report: self.report }.check(&rendered.param, schema, &self.draft.definition.with);
        if !fit::check(self.draft, self.kind, &rendered.param, self.report) {
            return None;
        }
        let intent = self.intent(&rendered)?;
        Some((rendered, intent))
    }

    /// Gives who must agree before a step. What is wrong with what it asks for is reported.
    fn approval(&mut self, effect: Effect, rendered: &Rendered) -> Option<ApprovalRule> {
        let asked = self.kind.approval(&rendered.display, &rendered.unknown).unwrap_or_else(|error| {
            approval::refused(self.draft, error, self.report);
            None
        });
        if asked.is_some() {
            let section = self.frame.section.unwrap_or(self.draft.section);
            approval::check_place(self.draft, section, self.report);
        }
        approval::rule(&self.shared.input.environment.settings.policy, self.draft, effect, asked)
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
