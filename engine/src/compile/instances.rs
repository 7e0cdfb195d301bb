//! How often a step runs: once, or once per item of its `for_each`.

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::id::StepId;
use crate::template::{Context, Unknowns};

use super::draft::{Draft, Drafts, Place};
use super::frame::{Frame, Late};
use super::render::{Rendered, render};
use super::report::Report;

/// More would be a mistake in the values rather than a plan.
const ITEMS_LIMIT: usize = 10_000;

/// The instances of one step.
pub(super) enum Instances {
    /// It has no `for_each`, or is disabled.
    One,
    /// One per item.
    Each(Vec<Instance>),
    /// The items are known when a plan-phase step has run; the words for that.
    Later(String),
}

pub(super) struct Instance {
    key: String,
    /// `{"key": …, "value": …}`
    pub(super) each: Value,
}

impl Instances {
    /// Gives the ids in the plan of a step with this id in the runbook.
    pub(super) fn ids(&self, id: &str) -> Vec<StepId> {
        match self {
            Self::One => vec![id.into()],
            Self::Each(items) => items.iter().map(|item| item.id(id)).collect(),
            Self::Later(_) => vec![placeholder(id)],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Each(items) if items.is_empty())
    }
}

impl Instance {
    pub(super) fn id(&self, definition: &str) -> StepId {
        format!("{definition}[{}]", self.key).into()
    }
}

/// The id that stands for instances that are not known yet.
pub(super) fn placeholder(id: &str) -> StepId {
    format!("{id}[…]").into()
}

/// Expands the `for_each` of one step. Gives nothing when there is a mistake in it, which is then reported.
pub(super) fn expand(
    draft: &Draft<'_>,
    drafts: &Drafts<'_>,
    context: &Context,
    unknown: &Unknowns,
    frame: &Frame,
    report: &mut Report,
) -> Option<Instances> {
    let Some(tree) = draft.for_each.as_ref().filter(|_| !draft.is_disabled()) else {
        return Some(Instances::One);
    };
    if draft.broken {
        return None;
    }
    let rendered = render(tree, context, unknown, report)?;
    if !rendered.unknown.is_empty() {
        return later(draft, drafts, &rendered, frame, report);
    }
    let wrong = |message: String, label: &str, help: &str| {
        Diagnostic::new("rekindle::runbook::for_each", message).label(&tree.node.location, label).help(help)
    };
    let items: Vec<Instance> = match rendered.display {
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, value)| Instance {
                key: index.to_string(),
                each: json!({ "key": index, "value": value }),
            })
            .collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| Instance { each: json!({ "key": key, "value": value }), key })
            .collect(),
        other => {
            report.add(wrong(
                format!("`for_each` of `{}` is `{other}`, not a list or a map", draft.id()),
                "expected a list or a map",
                "give it a list (`[a, b]`) or a map (`{ eu: a }`)",
            ));
            return None;
        }
    };
    if items.len() > ITEMS_LIMIT {
        report.add(wrong(
            format!(
                "`for_each` of `{}` has {} items, at most {ITEMS_LIMIT} can be planned",
                draft.id(),
                items.len()
            ),
            "too many items",
            "handle several in one step",
        ));
        return None;
    }
    // Keys become part of ids, which become names of files.
    let fits = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if let Some(item) = items.iter().find(|item| !fits(&item.key)) {
        report.add(wrong(
            format!("the key `{}` of `for_each` can't be part of a step's id", item.key),
            "has such a key",
            "use letters, digits, `-`, `_` and `.` in keys",
        ));
        return None;
    }
    Some(Instances::Each(items))
}

/// Allows items that a plan-phase step will find, and nothing else that is unknown.
fn later(
    draft: &Draft<'_>,
    drafts: &Drafts<'_>,
    rendered: &Rendered,
    frame: &Frame,
    report: &mut Report,
) -> Option<Instances> {
    let late = draft
        .uses
        .iter()
        .filter(|used| used.place == Place::ForEach)
        .find_map(|used| Some((used, frame.known_in_run_only(&used.path, drafts)?)));
    let Some((used, what)) = late else {
        let shown = rendered.unknown.values().next()?;
        return Some(Instances::Later(shown.trim_matches(['(', ')']).to_owned()));
    };
    let (message, label, help) = match what {
        Late::Step(id) => (
            format!("the outputs of `{id}` are not"),
            format!("known after {id}"),
            format!("use values, or give `{id}` `phase: plan` if it only reads"),
        ),
        Late::Value(name) => (
            format!("the value `{name}` is not here"),
            "known in the run".to_owned(),
            format!("give `{name}` what is known while planning"),
        ),
        Late::Run => (
            "this is not".to_owned(),
            "known in the run".to_owned(),
            "use values, or outputs of plan-phase steps".to_owned(),
        ),
    };
    let message = format!("the items of `for_each` must be known when the plan is made, {message}");
    report.add(Diagnostic::new("rekindle::runbook::for_each", message).label(&used.at, label).help(help));
    None
}
