//! The mistakes found so far.

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{Location, Node, Source, Span};
use crate::template::TemplateError;

use super::spans;

#[derive(Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    /// Instances of one step share their mistakes.
    seen: HashSet<(&'static str, String, Option<String>)>,
    /// The uses of composites that are being looked into: the source of each, and words for it.
    uses: Vec<(Arc<Source>, String)>,
}

impl Report {
    pub(super) fn add(&mut self, mut diagnostic: Diagnostic) {
        let place = diagnostic.location().map(|at| format!("{}:{}", at.source.name, at.span.start));
        if self.seen.insert((diagnostic.code, diagnostic.message.clone(), place)) {
            // What is wrong in a composite may come of what it was given.
            if let (Some((user, words)), Some(source)) = (self.uses.last(), &diagnostic.source)
                && !Arc::ptr_eq(user, source)
            {
                diagnostic.help = Some(match diagnostic.help {
                    Some(help) => format!("{help} ({words})"),
                    None => words.clone(),
                });
            }
            self.diagnostics.push(diagnostic);
        }
    }

    /// Notes that what comes now is found while looking into a composite for the step that stands at `user`.
    pub(super) fn look_into(&mut self, id: &str, user: &Location) {
        let place = Location { span: Span::new(user.span.start, user.span.start), ..user.clone() };
        self.uses.push((Arc::clone(&user.source), format!("as used by `{id}` at {place}")));
    }

    /// Ends what [`Report::look_into`] began.
    pub(super) fn look_out(&mut self) {
        self.uses.pop();
    }

    pub(super) fn extend(&mut self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            self.add(diagnostic);
        }
    }

    /// Adds a mistake in the template that begins `offset` bytes into the text of `node`.
    pub(super) fn template(&mut self, code: &'static str, error: TemplateError, node: &Node, offset: usize) {
        let label = if error.is_undefined() { "not defined" } else { "here" };
        let code = if error.is_undefined() { "rekindle::template::undefined" } else { code };
        let at = spans::locate(node, error.range.start + offset..error.range.end + offset);
        let diagnostic = Diagnostic::new(code, error.message).label(&at, label);
        self.add(match error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Gives all mistakes; those outside the runbook first, then in the order of its text.
    pub(super) fn into_diagnostics(mut self, runbook: &Arc<Source>) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| match diagnostic.location() {
            Some(at) if Arc::ptr_eq(&at.source, runbook) => (1, at.span.start),
            _ => (0, 0),
        });
        self.diagnostics
    }
}
