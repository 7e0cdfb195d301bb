//! Bytes of a template → bytes of the YAML document it stands in.

use std::ops::Range;

use crate::document::{Location, Node, NodeValue, ScalarStyle, Span};

/// Locates a part of a string scalar's text. Exact for plain and quoted scalars without escapes or folding and
/// for literal blocks; the whole scalar otherwise.
pub(super) fn locate(node: &Node, range: Range<usize>) -> Location {
    exact(node, range)
        .map_or_else(|| node.location.clone(), |span| Location { source: node.location.source.clone(), span })
}

fn exact(node: &Node, range: Range<usize>) -> Option<Span> {
    let NodeValue::String { text, style, .. } = &node.value else { return None };
    let at = node.location.span;
    let raw = node.location.source.text.get(at.start..at.end)?;
    match style {
        ScalarStyle::Plain => (raw == text).then(|| shifted(at.start, &range)),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let inside = raw.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
            (inside == text).then(|| shifted(at.start + 1, &range))
        }
        ScalarStyle::Literal => {
            let start = in_literal(node, text, range.start)?;
            // The last byte, not the one after it: that may belong to the next line.
            let end =
                if range.end > range.start { in_literal(node, text, range.end - 1)? + 1 } else { start };
            Some(Span::new(start, end))
        }
        ScalarStyle::Folded => None,
    }
}

fn shifted(start: usize, range: &Range<usize>) -> Span {
    Span::new(start + range.start, start + range.end)
}

/// Gives the offset in the document of an offset in a block scalar's text (YAML 1.2 section 8.1.2). The scalar's
/// location begins at its first line that is not empty, behind the indentation.
fn in_literal(node: &Node, text: &str, offset: usize) -> Option<usize> {
    let document = &node.location.source.text;
    let first = node.location.span.start;
    let body = document.get(..first)?.rfind('\n').map_or(0, |at| at + 1);
    let indent = first - body;
    let empty_lines = text.len() - text.trim_start_matches('\n').len();
    let before = text.get(..offset)?;
    let line = before.matches('\n').count();
    let column = offset - before.rfind('\n').map_or(0, |at| at + 1);
    let meant = text.split('\n').nth(line)?;
    let skipped = document.get(body..)?.split_inclusive('\n').take(line.checked_sub(empty_lines)?);
    let line_start = body + skipped.map(str::len).sum::<usize>();
    let written = document.get(line_start + indent..)?.split('\n').next()?.trim_end_matches('\r');
    (written == meant).then_some(line_start + indent + column)
}
