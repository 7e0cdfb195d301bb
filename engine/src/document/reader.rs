//! Reads typed things out of nodes, collecting what is wrong instead of stopping at it.
//!
//! The readers of runbooks and environments are made of these; only the diagnostic codes differ.

use std::sync::Arc;
use std::time::Duration;

use super::{Entry, Location, Node, NodeValue, Source, Span};
use crate::diagnostic::{Diagnostic, nearest};
use crate::values::parse_duration;

/// The codes of one kind of document.
pub(crate) struct Codes {
    pub(crate) wrong_type: &'static str,
    pub(crate) wrong_value: &'static str,
    pub(crate) unknown_field: &'static str,
    pub(crate) missing_field: &'static str,
    pub(crate) template: &'static str,
}

/// Collects what is wrong with a document.
pub(crate) struct Reader {
    codes: &'static Codes,
    errors: Vec<Diagnostic>,
    hidden: Vec<Location>,
}

/// The fields of a map, with those that were asked for: the rest are unknown.
pub(crate) struct Fields<'n> {
    /// The map itself.
    pub(crate) node: &'n Node,
    owner: String,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Gives a field's value, if it is there, and notes that the field is known.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.take_entry(name).map(|entry| &entry.value)
    }

    /// As [`Fields::take`], with the key.
    pub(crate) fn take_entry(&mut self, name: &'static str) -> Option<&'n Entry> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Tells whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives where to say that something is missing: the first key, since the whole may be many pages.
    pub(crate) fn first_key(&self) -> Location {
        match self.entries.first() {
            Some(entry) => entry.key_location(),
            None => self.node.location.clone(),
        }
    }
}

impl Reader {
    pub(crate) fn new(codes: &'static Codes) -> Self {
        Self { codes, errors: Vec::new(), hidden: Vec::new() }
    }

    /// Adds a mistake.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }

    /// Blots a part of the text out of every diagnostic: it may be a secret, and they end up in logs.
    pub(crate) fn hide(&mut self, node: &Node) {
        self.hidden.push(node.location.clone());
    }

    /// Gives what was read, when nothing was wrong with it; else every mistake in the order of the text.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Vec<Diagnostic>> {
        match (read, self.finish_partly()) {
            (Some(read), mistakes) if mistakes.is_empty() => Ok(read),
            (Some(_) | None, mistakes) => Err(mistakes),
        }
    }

    /// Gives every mistake in the order of the text.
    pub(crate) fn finish_partly(mut self) -> Vec<Diagnostic> {
        in_source_order(&mut self.errors);
        if !self.errors.is_empty() {
            self.blot_out();
        }
        self.errors
    }

    fn blot_out(&mut self) {
        for (position, hidden) in self.hidden.iter().enumerate() {
            let source = &hidden.source;
            if self.hidden[..position].iter().any(|done| Arc::ptr_eq(&done.source, source)) {
                continue;
            }
            let mut text = source.text.clone();
            for span in self.hidden.iter().filter(|at| Arc::ptr_eq(&at.source, source)).map(|at| at.span) {
                text.replace_range(span.start..span.end, &blot(&text[span.start..span.end]));
            }
            let blotted = Source::new(source.name.clone(), text);
            for said in self.errors.iter_mut().filter_map(|error| error.source.as_mut()) {
                if Arc::ptr_eq(said, source) {
                    *said = Arc::clone(&blotted);
                }
            }
        }
    }

    /// Opens a map; `owner` names it in messages, as in "a step".
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, owner: impl Into<String>) -> Option<Fields<'n>> {
        let owner = owner.into();
        match node.entries() {
            Some(entries) => Some(Fields { node, owner, entries, known: Vec::new() }),
            None => self.wrong_type(node, &owner, "a map"),
        }
    }

    /// Closes a map: every field that nobody asked for is a mistake. Tells whether there was none.
    pub(crate) fn close(&mut self, fields: &Fields<'_>) -> bool {
        let before = self.errors.len();
        for entry in fields.entries.iter().filter(|entry| !fields.known.contains(&entry.key.as_str())) {
            let message = format!("{} has no field `{}`", fields.owner, entry.key);
            let help = match nearest(&entry.key, fields.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has: {}", fields.known.join(", ")),
            };
            self.report(
                Diagnostic::new(self.codes.unknown_field, message)
                    .label(&entry.key_location(), "not a known field")
                    .help(help),
            );
        }
        self.errors.len() == before
    }

    /// Gives a field that must be there.
    pub(crate) fn require<'n>(&mut self, fields: &mut Fields<'n>, name: &'static str) -> Option<&'n Node> {
        let node = fields.take(name);
        if node.is_none() {
            let message = format!("{} has no `{name}`", fields.owner);
            let diagnostic = Diagnostic::new(self.codes.missing_field, message)
                .label(&fields.first_key(), format!("`{name}` belongs to this map"))
                .help(format!("add `{name}:`"));
            self.report(diagnostic);
        }
        node
    }

    /// Says that a node is of the wrong type; `what` names it, `expected` has its article.
    pub(crate) fn wrong_type<T>(&mut self, node: &Node, what: &str, expected: &str) -> Option<T> {
        let mut diagnostic = Diagnostic::new(
            self.codes.wrong_type,
            format!("{what} must be {expected}, found {}", node.kind()),
        )
        .label(&node.location, format!("expected {expected}"));
        let scalar = matches!(node.value, NodeValue::Bool(_) | NodeValue::Integer(_) | NodeValue::Float(_));
        if expected == "a string" && scalar {
            diagnostic = diagnostic.help(format!("quote it: `\"{}\"`", node.to_json()));
        }
        self.report(diagnostic);
        None
    }

    /// Says that a value is of the right type, but no good.
    pub(crate) fn wrong_value<T>(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        let diagnostic =
            Diagnostic::new(self.codes.wrong_value, message).label(&node.location, "this value").help(help);
        self.report(diagnostic);
        None
    }

    /// Reads text that is used as it stands; braces in it would not be rendered, so they are refused.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let NodeValue::String { text, raw, .. } = &node.value else {
            return self.wrong_type(node, what, "a string");
        };
        if !raw && holds_template(text) {
            let message = format!("{what} is used as it is written: it cannot hold a template");
            let diagnostic = Diagnostic::new(self.codes.template, message)
                .label(&node.location, "not rendered")
                .help("write the text itself; `!raw` keeps braces as they are");
            self.report(diagnostic);
            return None;
        }
        Some(text)
    }

    /// Reads text that says something.
    pub(crate) fn filled_text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match self.text(node, what)? {
            blank if blank.trim().is_empty() => {
                self.wrong_value(node, format!("{what} is empty"), "write something, or leave the field out")
            }
            text => Some(text),
        }
    }

    /// Reads a duration with its unit, longer than nothing.
    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        if let NodeValue::Integer(number) = node.value {
            return self.wrong_value(
                node,
                format!("{what} has no unit"),
                format!("write the unit: `{number}s`, `{number}m` or `{number}h`"),
            );
        }
        let text = self.text(node, what)?;
        match parse_duration(text) {
            Ok(duration) if duration.is_zero() => {
                self.wrong_value(node, format!("{what} must be longer than nothing"), "leave the field out")
            }
            Ok(duration) => Some(duration),
            Err(_) => self.wrong_value(
                node,
                format!("{what}: `{text}` is no duration"),
                "write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`",
            ),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.value {
            NodeValue::Bool(value) => Some(value),
            _ => self.wrong_type(node, what, "`true` or `false`"),
        }
    }

    /// Reads a whole number from `least` to `most`.
    pub(crate) fn count(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<u32> {
        let NodeValue::Integer(number) = node.value else {
            return self.wrong_type(node, what, "an integer");
        };
        match u32::try_from(number) {
            Ok(count) if (least..=most).contains(&count) => Some(count),
            Ok(_) | Err(_) => self.wrong_value(
                node,
                format!("{what} must be from {least} to {most}, found {number}"),
                "write a number in that range",
            ),
        }
    }

    /// Reads any number.
    pub(crate) fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        match node.value {
            NodeValue::Float(number) => Some(number),
            // Exact up to 2^53; whoever writes a larger factor is refused by its range.
            #[expect(clippy::cast_precision_loss)]
            NodeValue::Integer(number) => Some(number as f64),
            _ => self.wrong_type(node, what, "a number"),
        }
    }

    /// Reads one of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        if node.text().is_none() {
            return self.wrong_type(node, what, &format!("one of {}", words.join(", ")));
        }
        let text = self.text(node, what)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let help = match nearest(text, choices.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        self.wrong_value(node, format!("{what} cannot be `{text}`"), help)
    }

    /// Opens a list.
    pub(crate) fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match node.items() {
            Some(items) => Some(items),
            None => self.wrong_type(node, what, "a list"),
        }
    }

    /// Checks a name that becomes a part of paths and messages: letters, digits, `-`, `_` and `.`, at most 63.
    pub(crate) fn check_name(&mut self, name: &str, at: &Location, what: &str) -> bool {
        let fits = name.len() <= 63
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fits {
            let diagnostic = Diagnostic::new(
                self.codes.wrong_value,
                format!("`{name}` is not a name for {what}"),
            )
            .label(at, "this name")
            .help("begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63");
            self.report(diagnostic);
        }
        fits
    }
}

impl Entry {
    /// Gives where the key stands.
    pub(crate) fn key_location(&self) -> Location {
        Location { source: Arc::clone(&self.value.location.source), span: self.key_span }
    }
}

/// Tells whether text would be rendered where templates are.
pub(crate) fn holds_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Gives as many bytes of blots and the same lines, so that spans stay right.
pub(crate) fn blot(text: &str) -> String {
    let blot = |c: char| if c == '\n' { "\n".to_owned() } else { "*".repeat(c.len_utf8()) };
    text.chars().map(blot).collect()
}

/// Puts diagnostics into the order of their texts; texts in the order of their first mistakes.
pub(crate) fn in_source_order(diagnostics: &mut [Diagnostic]) {
    let mut texts: Vec<Option<Arc<Source>>> = Vec::new();
    let mut rank = |source: &Option<Arc<Source>>| {
        let same = |known: &Option<Arc<Source>>| match (known, source) {
            (Some(known), Some(source)) => Arc::ptr_eq(known, source),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        texts.iter().position(same).unwrap_or_else(|| {
            texts.push(source.clone());
            texts.len() - 1
        })
    };
    diagnostics.sort_by_cached_key(|diagnostic| {
        let span = diagnostic.labels.first().map_or(Span::default(), |(span, _)| *span);
        (rank(&diagnostic.source), span)
    });
}
