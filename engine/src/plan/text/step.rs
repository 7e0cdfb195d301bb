//! One step of a plan as text.

use std::collections::BTreeMap;

use super::{Page, estimates, shortened};
use crate::compile::UnknownType;
use crate::plan::style::{Paint, printable};
use crate::plan::{Beside, Edge, EdgeReason, Plan, PlanStep};
use crate::preview::StepPreview;
use crate::runbook::Retry;

const DETAIL: usize = 6;

impl Page {
    pub(super) fn step(&mut self, plan: &Plan, step: &PlanStep, beside: Beside<'_>) {
        let preview = beside.preview.and_then(|preview| preview.steps.get(&step.id));
        let id = printable(step.id.as_str());
        let kind = self.style.paint(Paint::Quiet, &printable(&step.kind));
        if step.skipped {
            let why = match &step.disabled {
                Some(reason) => format!("disabled: {}", printable(reason)),
                None => "skipped: its `when` is false".to_owned(),
            };
            let needs = needs(plan, &step.needs);
            let after =
                if needs.is_empty() { String::new() } else { format!(", after {}", needs.join(", ")) };
            let skipped = self.style.paint(Paint::Quiet, &format!("{why}{after}"));
            self.line(2, &format!("- {id}  {kind}  {skipped}"));
            return;
        }
        let mark = self.mark(step.effect, false);
        let id = self.style.paint(Paint::Strong, &id);
        let name = step.name.as_deref().map_or_else(String::new, |name| format!("  {}", printable(name)));
        self.line(2, &format!("{mark} {id}  {kind}{name}"));
        if !step.intent.summary.is_empty() {
            self.line(DETAIL, &printable(&step.intent.summary));
        }
        self.commands(step, preview);
        for note in preview.into_iter().flat_map(|preview| &preview.notes) {
            self.line(DETAIL, &format!("* {}", printable(note)));
        }
        for line in conditions(plan, step, beside.unknowns.and_then(|unknowns| unknowns.get(&step.id))) {
            self.quiet(DETAIL, &printable(&line));
        }
        if let Some(estimate) = beside.estimates.and_then(|estimates| estimates.steps.get(&step.id)) {
            self.quiet(DETAIL, &estimates::of_step(*estimate));
        }
        for problem in preview.into_iter().flat_map(|preview| &preview.problems) {
            let line = self.style.paint(Paint::Bad, &format!("× {}", printable(problem)));
            self.line(DETAIL, &line);
        }
    }

    /// What is known without looking, then what only a look could tell. A command of several lines keeps them.
    fn commands(&mut self, step: &PlanStep, preview: Option<&StepPreview>) {
        let seen = preview.into_iter().flat_map(|preview| &preview.commands);
        let new = seen.filter(|command| !step.intent.commands.contains(command));
        for command in step.intent.commands.iter().chain(new) {
            for (position, line) in command.lines().enumerate() {
                let prompt = if position == 0 { "$" } else { " " };
                self.line(DETAIL, &format!("{prompt} {}", printable(line)));
            }
        }
    }
}

/// When it runs, how long it may take and how often it is tried; one thing a line.
fn conditions(plan: &Plan, step: &PlanStep, types: Option<&BTreeMap<String, UnknownType>>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(each) = &step.each {
        // The key of a list's item is its position, which the id says already.
        let key = each["key"].as_str().map_or_else(String::new, |key| format!("each.key = {key}, "));
        lines.push(format!("{key}each.value = {}", shortened(&shown(&each["value"]))));
    }
    if let Some(when) = &step.when {
        lines.push(format!("only when {when} (decided in the run)"));
    }
    let needs = needs(plan, &step.needs);
    if !needs.is_empty() {
        lines.push(format!("after {}", needs.join(", ")));
    }
    for (pointer, display) in plan.shown_params(step).unknown {
        // Text around what is not known says itself that it is text.
        let whole = display.starts_with('(') && display.ends_with(')');
        let kind = types.and_then(|types| types.get(&pointer)?.kind.as_deref()).filter(|_| whole);
        let kind = kind.map_or_else(String::new, |kind| format!(", {kind}"));
        lines.push(format!("{} = {}{kind}", pointer.trim_start_matches('/'), shortened(&display)));
    }
    lines.extend(step.approval.map(|rule| format!("needs {}", rule.words())));
    let limits = limits(step);
    if !limits.is_empty() {
        lines.push(limits.join(", "));
    }
    if step.continue_on_error {
        lines.push("its failure is only a warning".to_owned());
    }
    lines
}

/// Names what a step waits for; all instances of a `for_each` in one word.
fn needs(plan: &Plan, edges: &[Edge]) -> Vec<String> {
    let mut instances: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut order = Vec::new();
    for edge in edges {
        let reason = match &edge.reason {
            EdgeReason::Declared => String::new(),
            EdgeReason::Inferred { reference } => format!(" (inferred from {reference})"),
            // The section's title says it.
            EdgeReason::Order => continue,
        };
        let definition = plan.step(&edge.step).map_or(edge.step.as_str(), |step| step.definition.as_str());
        let count = instances.entry((definition, reason.clone())).or_default();
        *count += 1;
        if *count == 1 {
            order.push((definition, edge.step.as_str(), reason));
        }
    }
    let word = |(definition, id, reason): (&str, &str, String)| {
        let count = instances.get(&(definition, reason.clone())).copied().unwrap_or(1);
        if count == 1 { format!("{id}{reason}") } else { format!("all {count} of {definition}{reason}") }
    };
    order.into_iter().map(word).collect()
}

fn limits(step: &PlanStep) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(timeout) = step.timeout {
        limits.push(format!("timeout {timeout}"));
    }
    if let Some(deadline) = step.deadline {
        limits.push(format!("deadline {deadline}"));
    }
    limits.extend(step.retry.as_ref().filter(|retry| retry.attempts > 1).map(attempts));
    if let Some(most) = step.max_parallel {
        limits.push(format!("at most {most} at once"));
    }
    limits
}

fn attempts(retry: &Retry) -> String {
    let Retry { attempts, delay, backoff, max_delay, jitter: _ } = retry;
    // Written by the compiler with its default of exactly 1 when the runbook has none.
    if *backoff > 1.0 {
        format!("up to {attempts} attempts, {delay} apart, then ×{backoff} up to {max_delay}")
    } else {
        format!("up to {attempts} attempts, {delay} apart")
    }
}

fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
