//! Groups of a plan as text: a line for each, and its steps set in below it.

use super::{Page, shortened};
use crate::id::StepId;
use crate::plan::style::{Paint, printable};
use crate::plan::{Beside, Plan, PlanStep, StepGroup};

impl Page {
    /// Writes the steps of a section. Those of a group stand together: nothing outside comes between what a group
    /// waits for and its end.
    pub(super) fn steps(&mut self, plan: &Plan, steps: &[&PlanStep], beside: Beside<'_>) {
        let mut open: Vec<(&StepId, &StepGroup)> = Vec::new();
        for step in steps {
            let path = plan.group_path(step);
            let common = open.iter().zip(&path).take_while(|(one, other)| one.0 == other.0).count();
            for (depth, (id, group)) in path.iter().enumerate().skip(common) {
                self.indent = 2 * depth;
                self.group(plan, id, group);
            }
            self.indent = 2 * path.len();
            if step.ends_group() && !step.skipped {
                self.outputs(plan, step);
            } else {
                self.step(plan, step, beside);
            }
            open = path;
        }
        self.indent = 0;
    }

    fn group(&mut self, plan: &Plan, id: &StepId, group: &StepGroup) {
        let name = plan.step(id).and_then(|end| end.name.as_deref());
        let name = name.map_or_else(String::new, |name| format!("  {}", printable(name)));
        let kind = format!("{} {}", printable(&group.kind), printable(&group.version));
        let (id, kind) =
            (self.style.paint(Paint::Strong, &printable(id.as_str())), self.style.paint(Paint::Quiet, &kind));
        self.line(2, &format!("▾ {id}  {kind}{name}"));
        if let Some(each) = &group.each {
            let value = each["value"].as_str().map_or_else(|| each["value"].to_string(), str::to_owned);
            self.quiet(6, &printable(&format!("each.value = {}", shortened(&value))));
        }
        if let Some(when) = &group.when {
            self.quiet(6, &printable(&format!("only when {when} (decided in the run)")));
        }
    }

    /// The step that ends a group does nothing but give its outputs.
    fn outputs(&mut self, plan: &Plan, step: &PlanStep) {
        let mark = self.mark(step.effect, false);
        let id = self.style.paint(Paint::Strong, &printable(step.id.as_str()));
        let words = self.style.paint(Paint::Quiet, "when all of these have ended");
        self.line(2, &format!("{mark} {id}  {words}"));
        for (name, value) in plan.shown_params(step).rendered.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.quiet(6, &printable(&format!("{name} = {}", shortened(&value))));
        }
    }
}
