//! Templates without quotes: YAML reads `{{ x }}` as a flow mapping, which nobody ever means.

use std::ops::Range;
use std::sync::Arc;

use super::{Location, Source, Span};
use crate::diagnostic::Diagnostic;

/// Tells whether a template begins at `offset`.
pub(super) fn begins_at(text: &str, offset: usize) -> bool {
    text.get(offset..).is_some_and(|rest| rest.starts_with("{{") || rest.starts_with("{%"))
}

/// Finds the unquoted template on the line of a scan error that is its likely cause.
///
/// The scanner may look ahead for the end of a key and fail before the builder has seen the mapping begin.
pub(super) fn cause_of_error_at(text: &str, offset: usize) -> Option<usize> {
    let offset = offset.min(text.len());
    let line_start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    let line = &text[line_start..line_end];
    let mut quoted = None;
    let mut before = None;
    for (at, character) in line.char_indices() {
        if quoted.is_none()
            && matches!(before, None | Some(':' | '-' | '[' | ',' | '{' | '\u{feff}'))
            && begins_at(line, at)
        {
            return Some(line_start + at);
        }
        match (quoted, character) {
            (None, '"' | '\'') => quoted = Some(character),
            (Some(open), _) if open == character => quoted = None,
            (None | Some(_), _) => {}
        }
        if !character.is_whitespace() {
            before = Some(character);
        }
    }
    None
}

/// Gives the bytes of the value that starts with the template at `start`, at most to the end of its line.
pub(super) fn extent(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
    let line = &line[..line.find(" #").unwrap_or(line.len())];
    // Statements come in pairs; what stands between them belongs to the value.
    let close = if line.starts_with("{{") { line.find("}}") } else { None };
    let Some(mut end) = close.map(|at| at + 2) else {
        return start..start + line.trim_end().len();
    };
    // Text that is glued to the template belongs to the value: `{{ base }}/file`, `{{ a }}-{{ b }}`.
    loop {
        let glued = &line[end..];
        let text_end = glued.find([' ', '\t', ',', ']', '}', '{', ':']).unwrap_or(glued.len());
        end += text_end;
        match line[end..].starts_with("{{").then(|| line[end..].find("}}")).flatten() {
            Some(at) => end += at + 2,
            None => return start..start + end,
        }
    }
}

/// Says what is wrong with the unquoted template in `range`.
pub(super) fn diagnostic(source: &Arc<Source>, range: &Range<usize>) -> Diagnostic {
    let written = &source.text[range.clone()];
    let help = if !written.contains("}}") && !written.contains("%}") {
        "close the braces and quote the whole value".to_owned()
    } else if written.contains('"') {
        format!("write `'{}'`", written.replace('\'', "''"))
    } else {
        format!("write `\"{written}\"`")
    };
    let at = Location { source: Arc::clone(source), span: Span::new(range.start, range.end) };
    Diagnostic::new(
        "rekindle::document::unquoted_template",
        "a value that starts with a template must be quoted",
    )
    .label(&at, "YAML reads these braces as a map")
    .help(help)
}
