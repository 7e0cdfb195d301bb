//! Where text came from: a named source and byte spans in it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A text a user wrote, with the name to show in diagnostics (a path, or `--set retention`).
pub struct Source {
    /// The name shown in diagnostics, usually a path as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Where each line begins, found when first asked for: fifty mistakes must not count lines fifty times.
    line_starts: OnceLock<Vec<usize>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.text) == (&other.name, &other.text)
    }
}

impl Eq for Source {}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("text", &self.text).finish_non_exhaustive()
    }
}

impl Source {
    /// Makes a shared source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), line_starts: OnceLock::new() })
    }

    /// Gives the 1-based line and column (in characters) of a byte offset.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = floor_char_boundary(&self.text, offset);
        let line = self.line_of(offset);
        (line + 1, self.text[self.line_starts()[line]..offset].chars().count() + 1)
    }

    /// Gives the whole lines around a span, `before` of them before it and `after` behind it, and the 0-based
    /// number of the first: all that a reader of these lines must look at.
    pub(crate) fn lines_around(&self, span: Span, before: usize, after: usize) -> (Range<usize>, usize) {
        let starts = self.line_starts();
        let first = self.line_of(span.start).saturating_sub(before);
        let behind = self.line_of(span.end.max(span.start)) + after + 1;
        let end = starts.get(behind).copied().unwrap_or(self.text.len());
        (starts[first]..end, first)
    }

    /// Gives the 0-based line of an offset.
    fn line_of(&self, offset: usize) -> usize {
        // The first line begins at 0, so there is always one at or before the offset.
        self.line_starts().partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let newlines = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(newlines.map(|at| at + 1)).collect()
        })
    }
}

pub(super) fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A half-open range of bytes in a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Makes a span of `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// A span together with the source it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The text.
    pub source: Arc<Source>,
    /// The part of it.
    pub span: Span,
}

impl std::fmt::Display for Location {
    /// Writes `name:line:column`, as editors read it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = self.source.line_and_column(self.span.start);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}
