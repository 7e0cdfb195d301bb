//! Parser events → [`Node`]: our own tree, so that nothing is resolved, merged or dropped behind our back.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, StrInput, StructureStyle, Tag};

use super::source::floor_char_boundary;
use super::{
    Entry, Location, Node, NodeValue, Plain, ScalarStyle, Source, Span, resolve_plain, syntax, unquoted,
};
use crate::diagnostic::Diagnostic;

/// How deep collections may nest, aliases expanded.
const MAX_DEPTH: usize = 128;
/// What all aliases and anchors of a document may add to it, in bytes of [`Anchored::weight`].
const MAX_ALIAS_WEIGHT: usize = 8 << 20;
/// What one node weighs beside its text; about its size in memory.
const NODE_WEIGHT: usize = 96;

/// Why the events ended early.
pub(super) enum Stop {
    /// A template without quotes starts at this byte.
    UnquotedTemplate(usize),
    /// The rest cannot be read.
    Syntax(Box<Diagnostic>),
}

/// Builds the tree of `text`; the second part are mistakes after which building went on.
pub(super) fn build(source: &Arc<Source>, text: &str) -> (Result<Node, Stop>, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        text,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        alias_weight: 0,
        errors: Vec::new(),
    };
    let result = builder.read();
    (result, builder.errors)
}

pub(super) fn too_deep() -> String {
    format!("collections are nested deeper than {MAX_DEPTH}")
}

struct Builder<'t> {
    source: &'t Arc<Source>,
    text: &'t str,
    open: Vec<Collection>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    alias_weight: usize,
    errors: Vec<Diagnostic>,
}

/// A collection whose end has not come yet.
struct Collection {
    content: Content,
    start: usize,
    /// Where the last thing in it ended: block collections end with it.
    end: usize,
    anchor: usize,
    weight: usize,
    /// How many levels it holds, itself included.
    depth: usize,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashMap<String, Span>, key: Option<Key> },
}

enum Key {
    Text {
        text: String,
        span: Span,
    },
    /// Reported already; its value is built and dropped.
    Refused,
}

/// A finished node with what it costs to repeat it.
#[derive(Clone)]
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

impl Builder<'_> {
    fn read(&mut self) -> Result<Node, Stop> {
        let options = granit_parser::options! {
            disallow_directives: true,
            emit_unresolved_aliases: true,
            max_buffered_comment_events: usize::MAX,
        };
        let mut documents = 0;
        for event in Parser::<StrInput<'_>>::new_from_str_with_options(self.text, options) {
            let (event, span) = event.map_err(|error| self.syntax_error(&error))?;
            if let Event::DocumentStart(..) = event {
                documents += 1;
                if documents > 1 {
                    self.report(
                        "rekindle::document::second_document",
                        "only one document is read from a file",
                        self.span(&span),
                        |d| d.help("remove the `---` and what follows it, or put it into a file of its own"),
                    );
                    break;
                }
            }
            self.take(event, &span)?;
        }
        let nothing = self.root.as_ref().is_none_or(|root| {
            root.value == NodeValue::Null && root.location.span.start == root.location.span.end
        });
        match self.root.take() {
            Some(root) if !nothing => Ok(root),
            Some(_) | None => {
                let diagnostic = Diagnostic::new("rekindle::document::empty", "this document is empty")
                    .label(&self.at(Span::new(0, 0)), "nothing but blanks and comments")
                    .help("`rekindle init` writes documents to start from");
                Err(Stop::Syntax(Box::new(diagnostic)))
            }
        }
    }

    fn take(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), Stop> {
        let at = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let raw = self.is_raw(tag.as_deref(), span);
                let node = self.scalar(text.into_owned(), style, raw, at);
                let weight = NODE_WEIGHT + node.text().map_or(0, str::len);
                self.place(Anchored { node, weight, depth: 0 }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_raw_collection(tag.as_deref(), span);
                self.start(Content::List(Vec::new()), at, anchor)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                if style == StructureStyle::Flow && unquoted::begins_at(self.text, at.start) {
                    return Err(Stop::UnquotedTemplate(at.start));
                }
                self.refuse_raw_collection(tag.as_deref(), span);
                self.start(
                    Content::Map { entries: Vec::new(), keys: HashMap::new(), key: None },
                    at,
                    anchor,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(id) => self.alias(id, at)?,
            Event::UnresolvedAlias(name) => {
                let message = format!("there is no anchor `&{name}` before this alias");
                self.report("rekindle::document::unknown_anchor", message, at, |d| {
                    d.help("quote text that starts with `*`")
                });
                self.place_null(at);
            }
            Event::Comment(text, _) => self.lint_comment(&text, at),
            // Without meaning for the tree; `Event` is open to new kinds, which we did not ask for.
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: String, style: granit_parser::ScalarStyle, raw: bool, at: Span) -> Node {
        let style = match style {
            granit_parser::ScalarStyle::Plain => ScalarStyle::Plain,
            granit_parser::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
            granit_parser::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
            granit_parser::ScalarStyle::Literal => ScalarStyle::Literal,
            granit_parser::ScalarStyle::Folded => ScalarStyle::Folded,
        };
        // The span of a block scalar includes the blank lines after it; nobody means those.
        let end = at.start + self.text[at.start..at.end].trim_end().len();
        let at = if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            Span::new(at.start, end)
        } else {
            at
        };
        let written =
            self.source.text.get(at.start..at.end).filter(|written| *written != &self.text[at.start..at.end]);
        let value = match (style, raw) {
            (ScalarStyle::Plain, false) => match resolve_plain(&text) {
                Plain::Value(value) => value,
                Plain::Text => {
                    let text = written.map_or(text, str::to_owned);
                    NodeValue::String { text, style, raw }
                }
                Plain::Unusable(why) => {
                    self.report("rekindle::document::number", why, at, |d| {
                        d.help("quote it if it is meant as text")
                    });
                    NodeValue::Null
                }
            },
            _ => NodeValue::String { text, style, raw },
        };
        Node { value, location: self.at(at) }
    }

    fn start(&mut self, content: Content, at: Span, anchor: usize) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.deeper_than_allowed(at));
        }
        self.open.push(Collection {
            content,
            start: at.start,
            end: at.end,
            anchor,
            weight: NODE_WEIGHT,
            depth: 1,
        });
        Ok(())
    }

    fn end(&mut self, at: Span) {
        let Some(collection) = self.open.pop() else { return };
        // The end event of a block collection is an empty span somewhere after it.
        let end = if at.start == at.end { collection.end } else { at.end };
        let value = match collection.content {
            Content::List(items) => NodeValue::List(items),
            Content::Map { entries, .. } => NodeValue::Map(entries),
        };
        let node = Node { value, location: self.at(Span::new(collection.start, end.max(collection.start))) };
        self.place(Anchored { node, weight: collection.weight, depth: collection.depth }, collection.anchor);
    }

    fn alias(&mut self, id: usize, at: Span) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            self.report(
                "rekindle::document::recursive_alias",
                "this alias stands inside what it repeats",
                at,
                |d| d,
            );
            self.place_null(at);
            return Ok(());
        };
        self.alias_weight += anchored.weight;
        if self.alias_weight > MAX_ALIAS_WEIGHT {
            let diagnostic = Diagnostic::new("rekindle::document::alias_weight", "aliases repeat too much")
                .label(&self.at(at), "the limit is passed here")
                .help(format!("all that aliases repeat may weigh {} MiB", MAX_ALIAS_WEIGHT >> 20));
            return Err(Stop::Syntax(Box::new(diagnostic)));
        }
        if self.open.len() + anchored.depth > MAX_DEPTH {
            return Err(self.deeper_than_allowed(at));
        }
        // Its text stands where the anchor is, so it keeps that location: offsets inside it stay right.
        let copy = anchored.clone();
        self.place(copy, 0);
        if let Some(parent) = self.open.last_mut() {
            parent.end = parent.end.max(at.end);
        }
        Ok(())
    }

    fn place_null(&mut self, at: Span) {
        let node = Node { value: NodeValue::Null, location: self.at(at) };
        self.place(Anchored { node, weight: NODE_WEIGHT, depth: 0 }, 0);
    }

    /// Puts a finished node where it belongs: into the open collection, as its next key or value, or at the root.
    fn place(&mut self, mut done: Anchored, anchor: usize) {
        if anchor != 0 {
            self.alias_weight += done.weight;
            if self.alias_weight <= MAX_ALIAS_WEIGHT {
                self.anchors.insert(anchor, done.clone());
            }
        }
        let Some(mut parent) = self.open.pop() else {
            self.root.get_or_insert(done.node);
            return;
        };
        let span = done.node.location.span;
        parent.weight += done.weight;
        parent.depth = parent.depth.max(done.depth + 1);
        if span.start >= parent.start {
            parent.end = parent.end.max(span.end);
        }
        match &mut parent.content {
            Content::List(items) => items.push(done.node),
            Content::Map { entries, keys, key } => match key.take() {
                None => *key = Some(self.key(&done.node, keys)),
                Some(Key::Text { text, span: key_span }) => {
                    if done.node.value == NodeValue::Null && span.start == span.end {
                        // An implicit null has no place of its own: what is said about it is said at its key.
                        done.node.location.span = key_span;
                    }
                    entries.push(Entry { key: text, key_span, value: done.node });
                }
                Some(Key::Refused) => {}
            },
        }
        self.open.push(parent);
    }

    fn key(&mut self, node: &Node, keys: &mut HashMap<String, Span>) -> Key {
        let span = node.location.span;
        let NodeValue::String { text, style, .. } = &node.value else {
            let message = format!("a key must be text, found {}", node.kind());
            self.report("rekindle::document::key_not_text", message, span, |d| d.help("quote the key"));
            return Key::Refused;
        };
        if text == "<<" && *style == ScalarStyle::Plain {
            self.report("rekindle::document::merge_key", "merge keys are not supported", span, |d| {
                d.help("write the fields out, or repeat a whole value with an alias")
            });
            return Key::Refused;
        }
        if let Some(first) = keys.get(text) {
            let first = self.at(*first);
            let diagnostic =
                Diagnostic::new("rekindle::document::duplicate_key", format!("`{text}` is given twice"))
                    .label(&node.location, "given again")
                    .label(&first, "first given here")
                    .help("keep one of them");
            self.errors.push(diagnostic);
            return Key::Refused;
        }
        keys.insert(text.clone(), span);
        Key::Text { text: text.clone(), span }
    }

    fn is_raw(&mut self, tag: Option<&Tag>, span: &granit_parser::Span) -> bool {
        let Some(tag) = tag else { return false };
        if tag.parts() == ("!", "raw") {
            return true;
        }
        let at = span.tag_span().map_or_else(|| self.span(span), |tag| self.span(&tag));
        let message = format!("the tag `{}` is not known", tag.original());
        self.report("rekindle::document::unknown_tag", message, at, |d| {
            d.help("only `!raw` is read; to make a value text, quote it")
        });
        false
    }

    fn refuse_raw_collection(&mut self, tag: Option<&Tag>, span: &granit_parser::Span) {
        if self.is_raw(tag, span) {
            let at = span.tag_span().map_or_else(|| self.span(span), |tag| self.span(&tag));
            self.report("rekindle::document::raw_collection", "`!raw` belongs to text", at, |d| {
                d.help("put it before each text whose braces are meant as they are")
            });
        }
    }

    /// `a: x #{{ y }}` ends before the `#`: a template after it is never rendered.
    fn lint_comment(&mut self, text: &str, at: Span) {
        let line_start = self.text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
        let follows_something = !self.text[line_start..at.start].trim().is_empty();
        if follows_something && (text.starts_with("{{") || text.starts_with("{%")) {
            self.report("rekindle::document::template_in_comment", "this template is a comment", at, |d| {
                d.help("quote the whole value; if it is meant as a comment, put a space after `#`")
            });
        }
    }

    fn syntax_error(&self, error: &granit_parser::ScanError) -> Stop {
        let offset = error.marker().byte_offset().unwrap_or(self.text.len());
        match unquoted::cause_of_error_at(self.text, offset) {
            Some(start) => Stop::UnquotedTemplate(start),
            None => Stop::Syntax(Box::new(syntax::diagnostic(self.source, error))),
        }
    }

    fn deeper_than_allowed(&self, at: Span) -> Stop {
        let diagnostic = Diagnostic::new("rekindle::document::too_deep", too_deep())
            .label(&self.at(at), "one level too many");
        Stop::Syntax(Box::new(diagnostic))
    }

    fn report(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: Span,
        help: impl FnOnce(Diagnostic) -> Diagnostic,
    ) {
        let diagnostic = Diagnostic::new(code, message).label(&self.at(at), "here");
        self.errors.push(help(diagnostic));
    }

    fn at(&self, span: Span) -> Location {
        Location { source: Arc::clone(self.source), span }
    }

    /// Gives the bytes of a parser's span; kept inside the text whatever the parser says.
    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        let start = floor_char_boundary(self.text, range.start);
        Span::new(start, floor_char_boundary(self.text, range.end).max(start))
    }
}
