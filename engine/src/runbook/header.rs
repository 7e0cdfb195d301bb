//! `apiVersion:` and `kind:`, which say whether the rest can be read at all.

use crate::diagnostic::Diagnostic;
use crate::document::{Fields, Node, Reader};

/// The format this program reads.
const API_VERSION: &str = "rekindle/v1";

/// The kinds of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says what to do.
    Runbook,
    /// Says where.
    Environment,
    /// Names a group of steps.
    Composite,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Runbook => "Runbook",
            Self::Environment => "Environment",
            Self::Composite => "StepKind",
        }
    }

    /// Says what may have happened when a document of another kind was given.
    fn mixed_up(self, found: &str) -> Option<&'static str> {
        match (self, found) {
            (Self::Runbook, "Environment") | (Self::Environment, "Runbook") => {
                Some("a runbook is named first, an environment with `-e`: are they swapped?")
            }
            (Self::Runbook, "StepKind") => {
                Some("a composite step kind is not run by itself: a step of a runbook names it with `uses:`")
            }
            (Self::Composite, "Runbook") => {
                Some("the folder `kinds` holds step kinds: move a runbook to `runbooks`")
            }
            _ => None,
        }
    }
}

/// Checks that the document is one of `kind` in the format that is read here.
///
/// Gives `None` when it is plainly something else: what would be said about its other fields is noise then.
pub(crate) fn read_header(reader: &mut Reader, fields: &mut Fields<'_>, kind: Kind) -> Option<()> {
    let version = reader.require(fields, "apiVersion");
    let version_fits = version.is_none_or(|node| check_version(reader, node));
    let kind_fits = reader.require(fields, "kind").is_none_or(|node| check_kind(reader, node, kind));
    (version_fits && kind_fits).then_some(())
}

fn check_version(reader: &mut Reader, node: &Node) -> bool {
    let fits = node.text() == Some(API_VERSION);
    if !fits {
        let found = node.text().map_or_else(|| node.to_json().to_string(), str::to_owned);
        reader.report(
            Diagnostic::new("rekindle::document::api_version", format!("the format `{found}` is not known"))
                .label(&node.location, "not a format this version reads")
                .help(format!("this version of rekindle reads `{API_VERSION}`")),
        );
    }
    fits
}

fn check_kind(reader: &mut Reader, node: &Node, kind: Kind) -> bool {
    let Some(text) = reader.text(node, "`kind`") else { return false };
    if text == kind.word() {
        return true;
    }
    let message = format!("expected a document of kind `{}`, found `{text}`", kind.word());
    let diagnostic = Diagnostic::new("rekindle::document::kind", message).label(&node.location, "this kind");
    reader.report(match kind.mixed_up(text) {
        Some(help) => diagnostic.help(help),
        None => diagnostic.help(format!("write `kind: {}`", kind.word())),
    });
    false
}
