//! Diagnostics as text, for snapshots: code and message, `line:column` and text of each label, help.

use std::fmt::Write;

use crate::diagnostic::Diagnostic;
use crate::document::Location;

/// Writes diagnostics, one after the other.
pub(crate) fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        writeln!(out, "{}: {}", diagnostic.code, diagnostic.message).unwrap();
        for (span, text) in &diagnostic.labels {
            let source = diagnostic.source.as_ref().unwrap();
            let location = Location { source: source.clone(), span: *span };
            writeln!(out, "  {location} {:?}: {text}", &source.text[span.start..span.end]).unwrap();
        }
        if let Some(help) = &diagnostic.help {
            writeln!(out, "  help: {help}").unwrap();
        }
    }
    out
}
