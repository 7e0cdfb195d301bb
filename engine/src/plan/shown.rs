//! Parameters as people and preflights see them: what is not known yet has words in its place.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::{Param, Plan, PlanStep};
use crate::id::{RunId, StepId};
use crate::template::{
    Context, Partial, RunScope, Template, Unknowns, context_of_group, is_step, local, steps_named_in,
};

/// The parameters of a step as far as they are known before the run.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownParams {
    /// All of them; `(known after find)`, or `s3://(known after find)/y`, where one is not known.
    pub rendered: Value,
    /// The JSON pointers (RFC 6901) of those that are not known, with the text shown in their place.
    pub unknown: BTreeMap<String, String>,
}

impl Plan {
    /// Gives the parameters of a step as far as they are known before the run: what
    /// [`crate::step::ErasedStep::preflight`] takes.
    pub fn shown_params(&self, step: &PlanStep) -> ShownParams {
        if let Param::Value(value) = &step.params {
            return ShownParams { rendered: value.clone(), unknown: BTreeMap::new() };
        }
        let mut shown = self.showing(step, step.group.as_ref(), step.each.as_ref(), &step.params);
        let rendered = shown.show(&step.params, "");
        ShownParams { rendered, unknown: shown.unknown }
    }

    /// Makes what shows templates that are written in the names of a group.
    fn showing(
        &self,
        step: &PlanStep,
        group: Option<&StepId>,
        each: Option<&Value>,
        param: &Param,
    ) -> Showing {
        let nothing = BTreeMap::new();
        let scope = RunScope {
            plan: self,
            step,
            outputs: &nothing,
            // `run.*` is unknown below, so neither the id nor the time is ever seen.
            run: &RunId::from(""),
            started_at: Timestamp::UNIX_EPOCH,
            failure: None,
        };
        let names = steps_named_in(param);
        let mut unknowns = self.unknowns(group, &names);
        let values = match group.and_then(|id| self.groups.get(id)) {
            None => self.values.clone(),
            Some(around) => {
                let mut outer =
                    self.showing(step, around.within.as_ref(), around.each.as_ref(), &around.values);
                let values = outer.show(&around.values, "");
                unknowns.insert_values(&outer.unknown);
                values
            }
        };
        let context = Context::new(&context_of_group(&scope, group, each, &names, &values));
        Showing { context, unknowns, unknown: BTreeMap::new() }
    }

    /// Only of the steps that are referred to: all would be n² for a plan of n.
    fn unknowns(&self, group: Option<&StepId>, names: &BTreeSet<String>) -> Unknowns {
        let mut unknowns = Unknowns::default();
        unknowns.insert(&["run"], "known when the run starts");
        unknowns.insert(&["failure"], "known when a step has failed");
        // A skipped step has no outputs, and that is known now: `default()` decides.
        for step in self.steps.iter().chain(&self.unpinned).filter(|step| !step.skipped) {
            let id = step.definition.as_str();
            let wanted = |local: &&str| names.iter().any(|name| is_step(name, local));
            if let Some(name) = local(group, id).filter(wanted) {
                unknowns.insert(&["steps", name], format!("known after {id}"));
            }
        }
        unknowns
    }
}

struct Showing {
    context: Context,
    unknowns: Unknowns,
    unknown: BTreeMap<String, String>,
}

impl Showing {
    fn show(&mut self, param: &Param, pointer: &str) -> Value {
        match param {
            Param::Value(value) => value.clone(),
            Param::Template(text) => self.show_template(text, pointer),
            Param::List(items) => items
                .iter()
                .enumerate()
                .map(|(position, item)| self.show(item, &format!("{pointer}/{position}")))
                .collect(),
            Param::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let part = key.replace('~', "~0").replace('/', "~1");
                        (key.clone(), self.show(value, &format!("{pointer}/{part}")))
                    })
                    .collect(),
            ),
        }
    }

    fn show_template(&mut self, text: &str, pointer: &str) -> Value {
        let partly =
            Template::parse(text).and_then(|template| template.render_partly(&self.context, &self.unknowns));
        let display = match partly {
            Ok(Partial::Known(value)) => return value,
            Ok(Partial::Unknown { display }) => display,
            // The compiler has proven the template; what fails now depends on a value of the run.
            Err(_) => "(known in the run)".to_owned(),
        };
        self.unknown.insert(pointer.to_owned(), display.clone());
        Value::String(display)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ShownParams;
    use crate::plan::{Param, fixture};

    fn shown(params: &[(&str, &str)]) -> ShownParams {
        let mut plan = fixture::recovery();
        let entries =
            params.iter().map(|(key, text)| ((*key).to_owned(), Param::Template((*text).to_owned())));
        plan.steps[5].params = Param::Map(entries.collect());
        plan.shown_params(&plan.steps[5])
    }

    #[test]
    fn what_plan_phase_steps_found_is_known_and_the_rest_has_words() {
        let shown = shown(&[
            ("both", "{{ steps.find.outputs.uri }}/{{ steps.wait_ready.outputs.version }}"),
            ("known", "{{ values.backup }} of {{ steps.find.outputs.uri }}"),
            ("branch", "{% if steps.restore.outputs.rows %}a{% endif %}"),
            ("a/b", "{{ run.id }}"),
        ]);
        assert_eq!(
            shown.rendered,
            json!({
                "both": "file:backups/b1/(known after wait-ready)",
                "known": "latest of file:backups/b1",
                "branch": "(known after restore)",
                "a/b": "(known when the run starts)",
            })
        );
        let pointers: Vec<_> = shown.unknown.keys().map(String::as_str).collect();
        assert_eq!(pointers, ["/a~1b", "/both", "/branch"]);
    }

    #[test]
    fn outputs_of_a_skipped_step_are_known_to_be_missing() {
        let shown = shown(&[("x", "{{ steps.smoke.outputs.x | default('none') }}")]);
        assert_eq!(shown.rendered, json!({ "x": "none" }));
        assert!(shown.unknown.is_empty());
    }
}
