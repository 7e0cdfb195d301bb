//! The scanner's errors, in words that tell what to do, over a part of the text instead of one point.

use std::sync::Arc;

use granit_parser::{ErrorKind, ScanError};

use super::source::floor_char_boundary;
use super::{Location, Source, Span};
use crate::diagnostic::Diagnostic;

/// Makes a diagnostic of a scan error.
pub(super) fn diagnostic(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or(source.text.len());
    let (code, message, help) = words(error.kind());
    let span = if code == TAB { tabs_before(&source.text, offset) } else { None };
    let span = span.unwrap_or_else(|| widen(&source.text, offset));
    let at = Location { source: Arc::clone(source), span };
    let diagnostic = Diagnostic::new(code, message).label(&at, "here");
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

const SYNTAX: &str = "rekindle::document::syntax";
const TAB: &str = "rekindle::document::tab";

fn words(kind: &ErrorKind) -> (&'static str, String, Option<&'static str>) {
    let (message, help) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            let message = "a tab cannot be used as indentation".to_owned();
            return (TAB, message, Some("indent with spaces"));
        }
        ErrorKind::RecursionLimitExceeded => {
            return ("rekindle::document::too_deep", super::build::too_deep(), None);
        }
        ErrorKind::DirectiveDisallowed => {
            ("YAML directives are not read", Some("remove the line; documents are always YAML 1.2"))
        }
        ErrorKind::UnclosedQuotedScalar => ("a quote is opened but not closed", Some("close the quote")),
        ErrorKind::UnclosedFlowCollection { open } => {
            return (SYNTAX, format!("`{open}` is opened but not closed"), Some("close the bracket"));
        }
        ErrorKind::UnexpectedEofFlowSequence => ("`[` is opened but not closed", Some("close the bracket")),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("`{` is opened but not closed", Some("close the bracket"))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (SYNTAX, format!("`{open}` is closed by `{close}`"), None);
        }
        ErrorKind::MissingAnchorOrAliasName => {
            ("an anchor or alias has no name", Some("quote text that starts with `*` or `&`"))
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            let message = format!("the character `{}` is not allowed", character.escape_default());
            return (SYNTAX, message, Some("remove it, or write it as an escape in double quotes"));
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("text cannot start with `{}`", character.escape_default());
            return (SYNTAX, message, Some("quote the text"));
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "text follows a closing quote",
            Some("quote the whole value, in the other kind of quotes if need be"),
        ),
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket is closed but not opened", Some("quote it if it is text"))
        }
        ErrorKind::SimpleKeyExpected => {
            ("this line is no `key: value`", Some("add the `:`, or indent the line"))
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            let help = "quote text that contains `: `, or check indentation and brackets";
            ("a `:` is not allowed here", Some(help))
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("unknown escape in double quotes", Some("write `\\\\` for a backslash, or use single quotes"))
        }
        ErrorKind::BomInsideDocument => ("a byte order mark stands inside the document", Some("remove it")),
        other => return (SYNTAX, other.to_string(), None),
    };
    (SYNTAX, message.to_owned(), help)
}

/// Gives the tabs just before a point, or at it.
fn tabs_before(text: &str, offset: usize) -> Option<Span> {
    let rest = text.get(offset..)?;
    let end = offset + rest.bytes().take_while(|byte| *byte == b'\t').count();
    let start = text[..end].trim_end_matches('\t').len();
    (start < end).then(|| Span::new(start, end))
}

/// Widens a point to the word it stands in or, past the end of a line, to the word before it.
fn widen(text: &str, offset: usize) -> Span {
    let offset = floor_char_boundary(text, offset);
    let word_length = text[offset..].find(char::is_whitespace).unwrap_or(text.len() - offset);
    if word_length > 0 {
        return Span::new(offset, offset + word_length);
    }
    let end = text[..offset].trim_end().len();
    let start = text[..end]
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
    Span::new(start, end)
}
