//! What is wrong with a template, and where in it.

use std::ops::Range;

use super::{Context, Reference};

/// A mistake in a template or in rendering it. The message is a lowercase fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// Which bytes of the template; on character boundaries.
    pub range: Range<usize>,
    /// What to do.
    pub help: Option<String>,
    pub(super) undefined: bool,
}

impl TemplateError {
    /// Tells whether the mistake is that something is undefined.
    pub fn is_undefined(&self) -> bool {
        self.undefined
    }

    pub(super) fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range, help: None, undefined: false }
    }

    #[must_use]
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Widens the range to whole characters of `text` and keeps it inside.
    #[must_use]
    pub(super) fn clamped(mut self, text: &str) -> Self {
        let mut start = self.range.start.min(text.len());
        let mut end = self.range.end.clamp(start, text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        self.range = start..end;
        self
    }

    /// Names the reference that is undefined: the engine only knows that something is.
    #[must_use]
    pub(super) fn explained<'a>(
        mut self,
        references: impl IntoIterator<Item = &'a Reference>,
        context: &Context,
    ) -> Self {
        if !self.undefined {
            return self;
        }
        let missing = references
            .into_iter()
            .filter(|reference| !reference.guarded)
            .find_map(|reference| context.first_undefined(&reference.path).map(|length| (reference, length)));
        if let Some((reference, length)) = missing {
            self.message = format!("`{}` is undefined", reference.path[..length].join("."));
            self.range = reference.range.clone();
        }
        self.help.get_or_insert_with(|| {
            "give it a value, or say what to use instead: `{{ name | default(\"x\") }}`".to_owned()
        });
        self
    }
}

impl From<TemplateError> for crate::step::StepError {
    fn from(error: TemplateError) -> Self {
        let step_error = Self::permanent(error.message);
        match error.help {
            Some(help) => step_error.help(help),
            None => step_error,
        }
    }
}
