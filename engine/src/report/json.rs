//! A report as JSON for programs.

use super::Report;

/// Writes the report as JSON, indented, with a newline at its end.
pub fn json(report: &Report) -> String {
    // A report holds nothing that JSON can't hold: no map with other keys than text, no float.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
