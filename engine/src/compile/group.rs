//! A step that uses a composite → the steps of the group, and the step that ends it.

use std::collections::HashSet;

use serde_json::json;

use crate::composite::Composite;
use crate::diagnostic::Diagnostic;
use crate::id::StepId;
use crate::plan::{Edge, EdgeReason, Param, PlanStep, StepGroup};
use crate::runbook::OnCrash;
use crate::step::{Effect, Intent};

use super::body::Inner;
use super::frame::Frame;
use super::given;
use super::knowledge::{Knowledge, When, fold};
use super::render::render;
use super::steps::{self, Decided, Instance, Maker};

/// Groups in groups, each for many items, would fill the memory before anybody saw the plan.
const STEPS_LIMIT: usize = if cfg!(test) { 5_000 } else { 100_000 };

impl Maker<'_, '_> {
    /// Makes one group. A mistake in it leaves it out, and is reported.
    pub(super) fn group(&mut self, composite: &Composite, instance: &Instance<'_>) {
        let bodies = self.shared.bodies;
        let Some(inner) = bodies.composites.get(composite.name.value.as_str()) else { return };
        let Some(when) = fold(self.draft, instance.context, instance.unknown, self.report) else { return };
        if when == When::Never {
            self.note_group(composite, instance, Param::Value(json!({})), None);
            let end = self.end(composite, instance, self.needs.clone(), Param::Value(json!({})));
            self.made.steps.push(PlanStep { skipped: true, ..end });
            return;
        }
        let when = match when {
            When::Later(expression) => Some(expression),
            When::Always | When::Never => None,
        };
        let rendered = render(&self.draft.params, instance.context, instance.unknown, self.report);
        let environment = self.shared.input.environment;
        let given = rendered
            .and_then(|rendered| given::values(composite, self.draft, rendered, environment, self.report));
        let Some(given) = given else { return };
        let frame = Frame {
            group: Some(instance.id.clone()),
            section: Some(self.frame.section.unwrap_or(self.draft.section)),
            entry: self.needs.clone(),
            values: given.display,
            unknown: given.unknown,
            in_run: given::in_run(self.draft, self.drafts, self.frame),
            placeholder: instance.placeholder,
        };
        self.note_group(composite, instance, given.param, when);
        self.report.look_into(instance.id.as_str(), &self.draft.definition.location);
        self.fill(inner, instance, &frame);
        self.report.look_out();
    }

    fn fill(&mut self, inner: &Inner<'_>, instance: &Instance<'_>, frame: &Frame) {
        let first = self.made.steps.len();
        if first > STEPS_LIMIT {
            self.report.add(
                Diagnostic::new(
                    "rekindle::composite::too_many_steps",
                    format!("the plan would have more than {STEPS_LIMIT} steps"),
                )
                .label(&self.draft.definition.uses.location, "one group too many")
                .help("use it for fewer items, or in several runbooks"),
            );
            return;
        }
        let knowledge = Knowledge::gather(self.shared, frame, &inner.body.drafts, self.report);
        steps::make(self.shared, &inner.body, frame, &knowledge, self.made, self.report);
        pass_through_skipped(&mut self.made.steps[first..], &frame.entry);
        if inner.end.broken {
            return;
        }
        let outputs = render(&inner.end.params, &knowledge.context, &knowledge.unknown, self.report);
        let Some(outputs) = outputs else { return };
        let mut needs = last(&self.made.steps[first..]);
        if needs.is_empty() {
            needs.clone_from(&frame.entry);
        }
        let end = self.end(inner.composite, instance, needs, outputs.param);
        self.made.steps.push(end);
    }

    fn note_group(
        &mut self,
        composite: &Composite,
        instance: &Instance<'_>,
        values: Param,
        when: Option<String>,
    ) {
        let group = StepGroup {
            kind: composite.name.value.clone(),
            version: composite.version.to_string(),
            sha256: composite.sha256.clone(),
            values,
            when,
            each: instance.each.clone(),
            within: self.frame.group.clone(),
        };
        self.made.groups.insert(instance.id.clone(), group);
    }

    /// Makes the step that the rest of the plan takes for the group. It only gives the outputs.
    fn end(
        &self,
        composite: &Composite,
        instance: &Instance<'_>,
        needs: Vec<Edge>,
        params: Param,
    ) -> PlanStep {
        let decided = Decided {
            kind: composite.name.value.clone(),
            effect: Effect::Read,
            params,
            // That of the group holds.
            when: None,
            skipped: false,
            on_crash: OnCrash::Rerun,
            intent: Intent::default(),
        };
        PlanStep { group: Some(instance.id.clone()), ..self.plan_step(instance, needs, decided) }
    }
}

/// A step that is skipped for good is no reason to wait, nor to be blocked: a step that needs no others in the group
/// waits for what the group waits for.
fn pass_through_skipped(steps: &mut [PlanStep], entry: &[Edge]) {
    let skipped: HashSet<StepId> =
        steps.iter().filter(|step| step.skipped).map(|step| step.id.clone()).collect();
    for step in steps.iter_mut().filter(|step| !step.skipped) {
        let blocking = |edge: &&Edge| edge.reason != EdgeReason::Order;
        if step.needs.iter().filter(blocking).all(|edge| skipped.contains(&edge.step)) {
            let more: Vec<Edge> = entry.iter().filter(|edge| !step.needs.contains(edge)).cloned().collect();
            step.needs.extend(more);
        }
    }
}

/// Gives edges to the steps of a group whose failure no other step of it would pass on.
fn last(steps: &[PlanStep]) -> Vec<Edge> {
    let passed_on: HashSet<&StepId> = steps
        .iter()
        .filter(|step| !step.skipped)
        .flat_map(|step| &step.needs)
        .filter(|edge| edge.reason != EdgeReason::Order)
        .map(|edge| &edge.step)
        .collect();
    steps
        .iter()
        .filter(|step| !passed_on.contains(&step.id))
        .map(|step| Edge { step: step.id.clone(), reason: EdgeReason::Declared })
        .collect()
}
