//! A plan as a person on call reads it: what will be done, in which order, to what, and what speaks against it.

mod estimates;
mod groups;
mod step;
#[cfg(test)]
mod tests;

use super::style::{Paint, printable};
use super::{Beside, PinnedStep, Plan, PlanStep, Section, Style};
use crate::diagnostic::Diagnostic;
use crate::preview::Preview;
use crate::runbook::OnConflict;
use crate::step::Effect;
use crate::values::DurationText;

/// How much of the hash is shown; `--format json` has all of it.
const SHORT_HASH: usize = 12;

/// Writes the plan, what a preview found when there was one, and how long it will take as far as that is known.
pub fn text(plan: &Plan, beside: Beside<'_>, style: Style) -> String {
    let preview = beside.preview;
    let mut page = Page { style, indent: 0, text: String::new() };
    page.header(plan);
    page.looked_up(plan, preview);
    let sections = [
        (Section::Main, "Steps, each after what it needs"),
        (Section::OnFailure, "Only after a failure, in this order"),
        (Section::Finally, "At the end, always, in this order"),
    ];
    for (section, title) in sections {
        let steps = plan.ordered(section);
        if !steps.is_empty() {
            page.title(title);
            page.steps(plan, &steps, beside);
        }
    }
    page.title(&counts(plan));
    if let Some(estimates) = beside.estimates {
        page.estimates(plan, estimates);
    }
    if let Some(preview) = preview {
        page.problems(&preview.problems);
    }
    page.text
}

/// Writes one step of a plan as [`text()`] does, without what a preview or earlier runs would add.
pub fn step_text(plan: &Plan, step: &PlanStep, style: Style) -> String {
    let mut page = Page { style, indent: 0, text: String::new() };
    page.step(plan, step, Beside::default());
    page.text
}

/// The text so far.
struct Page {
    style: Style,
    /// How far all lines are moved to the right, for the steps of groups.
    indent: usize,
    text: String,
}

impl Page {
    fn line(&mut self, indent: usize, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', self.indent + indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn quiet(&mut self, indent: usize, line: &str) {
        let line = self.style.paint(Paint::Quiet, line);
        self.line(indent, &line);
    }

    fn title(&mut self, title: &str) {
        let title = self.style.paint(Paint::Strong, title);
        self.text.push('\n');
        self.line(0, &title);
    }

    fn header(&mut self, plan: &Plan) {
        let runbook = &plan.runbook;
        let name = self.style.paint(Paint::Strong, &printable(&runbook.name));
        let hash = plan.hash.get(..SHORT_HASH).unwrap_or(&plan.hash);
        let place = printable(&plan.settings.name);
        self.line(0, &format!("{name} {} on {place}, plan {hash}", printable(&runbook.version)));
        if !runbook.summary.is_empty() {
            self.line(0, &printable(&runbook.summary));
        }
        if let Some(group) = &plan.concurrency {
            let conflict = match group.on_conflict {
                OnConflict::Fail => "refuses to start while another one runs",
                OnConflict::Wait => "waits while another one runs",
            };
            self.line(0, &format!("one run at a time of {}: {conflict}", printable(&group.name)));
        }
        if let Some(journal) = &plan.settings.journal {
            let store = printable(journal.store.as_str());
            self.line(0, &format!("its journal is kept in the store {store}: any machine can go on with it"));
        }
        let legend = [Effect::Read, Effect::Write, Effect::Destroy].map(|effect| self.mark(effect, true));
        self.line(0, &legend.join("   "));
    }

    fn mark(&self, effect: Effect, named: bool) -> String {
        let (mark, paint) = match effect {
            Effect::Read => ("·", Paint::Read),
            Effect::Write => ("+", Paint::Write),
            Effect::Destroy => ("!", Paint::Destroy),
        };
        self.style.paint(paint, &if named { format!("{mark} {effect}") } else { mark.to_owned() })
    }

    /// Plan-phase steps: what was found and how old that is, and what is still to be looked up.
    fn looked_up(&mut self, plan: &Plan, preview: Option<&Preview>) {
        if !plan.pinned.is_empty() {
            self.title("Found while planning, fixed in this plan");
        }
        for pinned in &plan.pinned {
            self.pinned(pinned, preview);
        }
        if !plan.unpinned.is_empty() {
            self.title("Not looked up yet: this plan is not ready to run");
        }
        for step in super::order::in_order(&plan.unpinned.iter().collect::<Vec<_>>()) {
            self.step(plan, step, Beside::default());
        }
    }

    fn pinned(&mut self, pinned: &PinnedStep, preview: Option<&Preview>) {
        let mark = self.mark(Effect::Read, false);
        let age = preview.map_or_else(String::new, |preview| {
            let age = preview.at.duration_since(pinned.at).unsigned_abs();
            format!(", {} ago", DurationText(std::time::Duration::from_secs(age.as_secs())))
        });
        let kind =
            self.style.paint(Paint::Quiet, &format!("{}  {}{age}", printable(&pinned.kind), pinned.at));
        self.line(2, &format!("{mark} {}  {kind}", printable(pinned.id.as_str())));
        self.line(6, &printable(&pinned.intent.summary));
        for (name, value) in pinned.outputs.as_object().into_iter().flatten() {
            self.quiet(6, &printable(&format!("{name} = {}", shortened(&value.to_string()))));
        }
    }

    fn problems(&mut self, problems: &[Diagnostic]) {
        if problems.is_empty() {
            let line = self.style.paint(Paint::Good, "checked: nothing speaks against running it");
            self.line(0, &line);
            return;
        }
        let noun = if problems.len() == 1 { "problem" } else { "problems" };
        let title = format!("{} {noun}: this plan would fail", problems.len());
        let title = self.style.paint(Paint::Bad, &title);
        self.line(0, &title);
        for problem in problems {
            let cross = self.style.paint(Paint::Bad, "×");
            self.line(2, &format!("{cross} {}", printable(&problem.message)));
            let place = problem.location().map_or_else(String::new, |at| format!("  {at}"));
            self.quiet(6, &printable(&format!("{}{place}", problem.code)));
            if let Some(help) = &problem.help {
                self.line(6, &format!("help: {}", printable(help)));
            }
        }
    }
}

/// `3 read, 4 write, 2 destroy`, of what will run when all goes well.
pub(super) fn counts(plan: &Plan) -> String {
    let count = |wanted: &dyn Fn(&PlanStep) -> bool| plan.steps.iter().filter(|step| wanted(step)).count();
    let runs = |step: &PlanStep| !step.skipped && step.section != Section::OnFailure;
    let effects = [Effect::Read, Effect::Write, Effect::Destroy];
    let mut parts = effects
        .map(|effect| format!("{} {effect}", count(&|step| runs(step) && step.effect == effect)))
        .to_vec();
    let disabled = count(&|step| step.disabled.is_some());
    let skipped = count(&|step| step.skipped) - disabled;
    for (number, what) in [(skipped, "skipped"), (disabled, "disabled")] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let on_failure = count(&|step| !step.skipped && step.section == Section::OnFailure);
    if on_failure > 0 {
        parts.push(format!("{on_failure} only after a failure"));
    }
    parts.join(", ")
}

/// Keeps a long value from filling the screen; `--format json` has all of it.
fn shortened(text: &str) -> String {
    const LIMIT: usize = 160;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
