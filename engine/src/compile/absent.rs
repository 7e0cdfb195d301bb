//! Outputs that may not be there when they are referred to: of a step that a condition may skip in the run, and, while
//! cleaning up, of a step that a failure may have kept from running.

use crate::diagnostic::Diagnostic;
use crate::plan::Section;
use crate::runbook::Phase;

use super::draft::{Condition, Draft, Drafts, Place, Use};

/// Checks a reference of `draft` to `step`. A step with a condition of its own is left alone: it may say the same.
pub(super) fn check(
    used: &Use,
    step: &Draft<'_>,
    draft: &Draft<'_>,
    drafts: &Drafts<'_>,
) -> Option<Diagnostic> {
    let guarded = draft.uses.iter().any(|other| other.guarded && covers(&other.path, &used.path));
    if guarded || draft.when.is_some() || step.for_each.is_some() || step.definition.phase == Phase::Plan {
        return None;
    }
    let (why, label) = if draft.section != step.section && draft.section != Section::Main {
        ("has not run", "a failure may come before it")
    } else if is_decided_in_the_run(step, drafts) {
        ("is skipped", "its `when` may be false")
    } else {
        return None;
    };
    let name = used.path.join(".");
    Some(
        Diagnostic::new(
            "rekindle::template::undefined",
            format!("`{name}` is undefined when `{}` {why}", step.id()),
        )
        .label(&used.at, label)
        .help(format!("write `{name} | default(\"…\")`, or give `{}` a `when` too", draft.id())),
    )
}

/// A guard on the whole holds for its parts.
fn covers(guarded: &[String], used: &[String]) -> bool {
    used.starts_with(guarded)
}

fn is_decided_in_the_run(step: &Draft<'_>, drafts: &Drafts<'_>) -> bool {
    let Some(Condition::Expression(condition)) = &step.when else { return false };
    condition.references(Place::When).any(|used| match used.path.first().map(String::as_str) {
        Some("run" | "failure") => true,
        Some("steps") => used.path.get(1).is_some_and(|name| drafts.find_later(name).is_some()),
        _ => false,
    })
}
