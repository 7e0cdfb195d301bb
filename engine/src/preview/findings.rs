//! Problems of steps → diagnostics: each mistake once, at all the places that are to blame.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::document::{Location, Node, Span};
use crate::host::Masker;
use crate::plan::PlanStep;
use crate::step::Problem;

/// Collects problems and merges those that are the same.
pub(super) struct Findings<'a> {
    masker: &'a Masker,
    found: IndexMap<(&'static str, String), Found>,
}

struct Found {
    help: Option<String>,
    places: Vec<(Location, String)>,
    steps: Vec<String>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(masker: &'a Masker) -> Self {
        Self { masker, found: IndexMap::new() }
    }

    /// Adds a problem of a step; `pointer` leads to the parameter to blame.
    pub(super) fn add(&mut self, step: &PlanStep, problem: Problem, pointer: Option<&str>) {
        let message = self.masker.mask(&problem.message);
        let help = problem.help.map(|help| self.masker.mask(&help));
        let found = self.found.entry((problem.code, message)).or_insert_with(|| Found {
            help: None,
            places: Vec::new(),
            steps: Vec::new(),
        });
        found.help = found.help.take().or(help);
        let id = step.id.to_string();
        if !found.steps.contains(&id) {
            found.steps.push(id.clone());
        }
        if let Some(place) = place(step, pointer.unwrap_or_default())
            && !found.places.iter().any(|(known, _)| *known == place)
        {
            // Instances of one step stand at one place and are named by it.
            found.places.push((place, format!("in step `{}`", step.definition)));
        }
    }

    /// Gives one diagnostic for each problem, in the order in which they were added.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found.into_iter().map(|((code, message), found)| found.into_diagnostic(code, message)).collect()
    }
}

impl Found {
    fn into_diagnostic(self, code: &'static str, message: String) -> Diagnostic {
        // Without a place (a stored plan keeps none) the message must name the step itself.
        let message = if self.places.is_empty() {
            let noun = if self.steps.len() == 1 { "step" } else { "steps" };
            format!("{message} ({noun} `{}`)", self.steps.join("`, `"))
        } else {
            message
        };
        let mut diagnostic = Diagnostic::new(code, message);
        diagnostic.help = self.help;
        self.places.iter().fold(diagnostic, |diagnostic, (place, text)| diagnostic.label(place, text))
    }
}

/// Finds the node at a JSON pointer below `with:`, or the nearest one above it.
fn place(step: &PlanStep, pointer: &str) -> Option<Location> {
    let Some(with) = &step.with else { return step.location.as_ref().map(first_line) };
    let mut node = with;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let Some(inner) = child(node, &part) else { break };
        node = inner;
    }
    // The whole of a long `with:` points at nothing, and an absent one has no place at all: point at the step.
    if std::ptr::eq(node, with) {
        step.location.as_ref().map(first_line)
    } else {
        Some(node.location.clone())
    }
}

fn first_line(place: &Location) -> Location {
    let span = place.span;
    let text = place.source.text.get(span.start..span.end).unwrap_or_default();
    let end = text.find('\n').map_or(span.end, |length| span.start + length);
    Location { source: Arc::clone(&place.source), span: Span::new(span.start, end) }
}

fn child<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match node.items() {
        Some(items) => items.get(part.parse::<usize>().ok()?),
        None => node.get(part),
    }
}
