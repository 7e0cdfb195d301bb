//! What a user got wrong, in a form that tells where, what was expected and what to do.

use std::sync::Arc;

use miette::{LabeledSpan, SourceCode};

use crate::document::{Location, Source, Span};

/// One mistake in something a user wrote.
///
/// The code is stable and listed in the user guide; the message is a lowercase fragment; the help says what to
/// do next. Rendered by `cli` through miette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Such as `rekindle::runbook::unknown_field`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The text it is about, when there is one.
    pub source: Option<Arc<Source>>,
    /// Parts of that text with a word to each; the first is the primary one.
    pub labels: Vec<(Span, String)>,
}

impl Diagnostic {
    /// Makes a diagnostic that points at nothing yet.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, source: None, labels: Vec::new() }
    }

    /// Points at a part of a source. Later labels in another source are dropped: name that place in the help.
    #[must_use]
    pub fn label(mut self, at: &Location, text: impl Into<String>) -> Self {
        let source = self.source.get_or_insert_with(|| Arc::clone(&at.source));
        if Arc::ptr_eq(source, &at.source) || **source == *at.source {
            self.labels.push((at.span, text.into()));
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Gives where the first label points.
    pub fn location(&self) -> Option<Location> {
        let (span, _) = self.labels.first()?;
        Some(Location { source: Arc::clone(self.source.as_ref()?), span: *span })
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        // The reader of `str` begins at the first byte of a text; given the lines around the span alone, it
        // looks at no others. One line more on both sides leaves it to decide where to stop.
        let at = Span::new(span.offset(), span.offset().saturating_add(span.len()));
        let (window, first_line) = self.lines_around(at, lines_before + 1, lines_after + 1);
        let inside = (span.offset().saturating_sub(window.start), span.len()).into();
        let lines = self.text[window.clone()].read_span(&inside, lines_before, lines_after)?;
        let start = window.start + lines.span().offset();
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[start..start + lines.data().len()],
            (start, lines.data().len()).into(),
            first_line + lines.line(),
            lines.column(),
            lines.line_count(),
        )))
    }
}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().map(|(span, text)| {
            LabeledSpan::new(Some(text.clone()), span.start, span.end.saturating_sub(span.start))
        })))
    }
}

/// Finds the candidate nearest to a misspelt word, for "did you mean".
///
/// Gives nothing when even the nearest is too far to be a slip of the fingers.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = |candidate: &str| (candidate.len().max(word.len()) / 3).max(1);
    candidates
        .into_iter()
        // Characters that one has more of than the other must each be put in: no need to look closer.
        .filter(|candidate| candidate.chars().count().abs_diff(word.chars().count()) <= limit(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}
