//! Explanations as people read them.

use std::fmt::Write as _;

use super::{Explanation, Layer, Word};
use crate::plan::printable;

/// Writes explanations one after the other: the path with its value, then a line for each word, weakest first; `→`
/// marks what counts.
pub fn text(explanations: &[Explanation]) -> String {
    let mut text = String::new();
    for (position, explanation) in explanations.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        let path = printable(&explanation.path);
        // Writing to a `String` can't fail.
        let _ = match &explanation.value {
            Some(value) => writeln!(text, "{path} = {}", printable(&value.to_string())),
            None => writeln!(text, "{path} is not set"),
        };
        let wide = explanation.words.iter().map(|word| word.at.chars().count()).max().unwrap_or_default();
        for word in &explanation.words {
            let mark = if word.wins { "→" } else { " " };
            let layer = name(word.layer);
            let at = printable(&word.at);
            let _ = writeln!(text, "  {mark} {layer:<11}  {at:<wide$}  {}", said(word));
        }
    }
    text
}

fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Runbook => "runbook",
        Layer::Environment => "environment",
        Layer::Patch => "patch",
        Layer::ValuesFile => "values file",
        Layer::Set => "--set",
    }
}

fn said(word: &Word) -> String {
    match (&word.value, &word.note) {
        (Some(value), Some(note)) => format!("{}  ({})", printable(&value.to_string()), printable(note)),
        (Some(value), None) => printable(&value.to_string()),
        (None, Some(note)) => format!("({})", printable(note)),
        (None, None) => String::new(),
    }
}
