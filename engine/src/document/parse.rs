//! The way from a text to its tree: parse, and where a template lacks its quotes, note it and parse on.

use std::borrow::Cow;
use std::sync::Arc;

use super::build::{Stop, build};
use super::{Location, Node, Source, Span, in_source_order, unquoted};
use crate::diagnostic::Diagnostic;

/// The longest text that is read, in bytes.
const MAX_TEXT_BYTES: usize = 8 << 20;
/// How many unquoted templates are reported at once, however long the text is; each costs one more look at it.
const MIN_LOOKS: usize = 20;
/// How much text is looked at again for more of them, in bytes.
const MAX_LOOKED_AT_BYTES: usize = 32 << 20;

/// Parses one YAML document.
///
/// # Errors
///
/// Every mistake that can be told from the text alone, in its order. A syntax error ends the look.
pub fn parse(source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    parse_text(source, &source.text)
}

/// Parses `text`, which stands byte for byte where the text of `source` does, some of it blanked out.
pub(crate) fn parse_text(source: &Arc<Source>, text: &str) -> Result<Node, Vec<Diagnostic>> {
    match look(source, text) {
        (Some(root), mistakes) if mistakes.is_empty() => Ok(root),
        (Some(_) | None, mistakes) => Err(mistakes),
    }
}

/// Parses one YAML document as far as it can be read: with the mistakes after which the tree is still whole.
pub(crate) fn parse_partly(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    look(source, &source.text)
}

fn look(source: &Arc<Source>, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    if text.len() > MAX_TEXT_BYTES {
        let at = Location { source: Arc::clone(source), span: Span::new(0, 0) };
        let message = format!("this document has {} bytes; at most {MAX_TEXT_BYTES} are read", text.len());
        let diagnostic = Diagnostic::new("rekindle::document::too_large", message).label(&at, "starts here");
        return (None, vec![diagnostic]);
    }
    let mut text = Cow::Borrowed(text);
    let mut unquoted_templates = Vec::new();
    let looks = MIN_LOOKS.max(MAX_LOOKED_AT_BYTES / text.len().max(1));
    loop {
        let (root, stop, mut errors) = match build(source, &text) {
            (Ok(root), errors) => (Some(root), None, errors),
            (Err(stop), errors) => (None, Some(stop), errors),
        };
        match stop {
            Some(Stop::UnquotedTemplate(start)) if unquoted_templates.len() < looks => {
                let range = unquoted::extent(&source.text, start);
                unquoted_templates.push(unquoted::diagnostic(source, &range));
                // Plain text of the same length: the rest of the document keeps its offsets.
                let placeholder = "x".repeat(range.len());
                text.to_mut().replace_range(range, &placeholder);
                continue;
            }
            // What follows a repaired place is more likely a consequence than a mistake of its own.
            Some(Stop::Syntax(error)) if unquoted_templates.is_empty() => errors.push(*error),
            Some(Stop::Syntax(_) | Stop::UnquotedTemplate(_)) | None => {}
        }
        errors.append(&mut unquoted_templates);
        in_source_order(&mut errors);
        return (root, errors);
    }
}
