//! The mistakes found so far.

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{Node, Source};
use crate::template::TemplateError;

use super::spans;

#[derive(Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    /// Instances of one step share their mistakes.
    seen: HashSet<(&'static str, String, Option<String>)>,
}

impl Report {
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.location().map(|at| format!("{}:{}", at.source.name, at.span.start));
        if self.seen.insert((diagnostic.code, diagnostic.message.clone(), place)) {
            self.diagnostics.push(diagnostic);
        }
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
