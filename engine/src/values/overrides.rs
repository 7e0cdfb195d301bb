//! What a person gives for one run: files of values, and single ones on the command line.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{
    Location, Node, NodeValue, Plain, ScalarStyle, Source, Span, parse_text, resolve_plain,
};

/// A layer above the environment.
#[derive(Debug, Clone)]
pub enum Override {
    /// A document that is a map of values (`--values FILE`).
    File(Node),
    /// One value, or one key of a map (`--set retention.keep_last=3`).
    Set {
        /// The value's name, then keys of maps.
        path: Vec<String>,
        /// The value; its location lies in the argument's text.
        node: Node,
    },
}

const CODE: &str = "rekindle::values::set_syntax";

/// Reads the argument of `--set`.
///
/// The value is a plain scalar by the rules of YAML (`3` is an integer), or a quoted text, list or map when it
/// begins like one. Where the runbook declares text, `3` is taken as text later. Nothing after `=` is the empty
/// text; `null` takes back what lower layers set.
///
/// # Errors
///
/// A diagnostic over the argument, when it has no `=`, an empty key or broken YAML.
pub fn parse_set(argument: &str) -> Result<Override, Diagnostic> {
    let source = Source::new(format!("--set {argument}"), argument);
    let at = |start, end| Location { source: Arc::clone(&source), span: Span::new(start, end) };
    let Some((path, value)) = argument.split_once('=') else {
        return Err(Diagnostic::new(CODE, "`--set` needs a value")
            .label(&at(0, argument.len()), "there is no `=`")
            .help("write `--set name=value`"));
    };
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    if keys.iter().any(|key| key.is_empty() || key.chars().any(char::is_whitespace)) {
        return Err(Diagnostic::new(CODE, format!("`{path}` names no value"))
            .label(&at(0, path.len()), "an empty name, or blanks in it")
            .help("write `--set name=value` or `--set map.key=value`"));
    }
    let start = path.len() + 1;
    // A template is taken as text, so that it is refused as one and not as broken YAML.
    let template = ["{{", "{%", "{#"].iter().any(|open| value.starts_with(open));
    let node = if value.starts_with(['[', '{', '"', '\'', '!']) && !template {
        // Blanks in place of the name: offsets in the value are offsets in the argument.
        let text = format!("{}{value}", " ".repeat(start));
        parse_text(&source, &text).map_err(|errors| {
            errors.into_iter().next().unwrap_or_else(|| Diagnostic::new(CODE, "this value cannot be read"))
        })?
    } else {
        plain(value, at(start, argument.len()))?
    };
    Ok(Override::Set { path: keys, node })
}

fn plain(value: &str, location: Location) -> Result<Node, Diagnostic> {
    let resolved = if value.is_empty() { Plain::Text } else { resolve_plain(value) };
    match resolved {
        Plain::Value(value) => Ok(Node { value, location }),
        Plain::Text => Ok(text(value, location)),
        Plain::Unusable(why) => Err(Diagnostic::new(CODE, why)
            .label(&location, "this value")
            .help("quote it if it is meant as text")),
    }
}

/// Makes a text of a scalar that was read as something else.
pub(super) fn text(text: &str, location: Location) -> Node {
    let value = NodeValue::String { text: text.to_owned(), style: ScalarStyle::Plain, raw: false };
    Node { value, location }
}
