//! What is known of a template without rendering it.

use std::ops::Range;

/// What a string scalar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Plain text, no template at all.
    Text,
    /// Exactly one `{{ … }}`, whose expression stands at these bytes: it keeps its native type.
    Expression(Range<usize>),
    /// Text with templates in it.
    Mixed {
        /// Its pieces, when it is only text and `{{ … }}`, without statements.
        pieces: Option<Vec<Piece>>,
    },
}

/// A piece of a template without statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Raw(String),
    /// The expression at these bytes.
    Emit(Range<usize>),
}

/// One path a template refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `["steps", "wait_ready", "outputs", "uri"]`: names as they are written; indexes as decimal text. Ends
    /// where the template goes on with something that is not constant.
    pub path: Vec<String>,
    /// Where it stands in the template.
    pub range: Range<usize>,
    /// Followed by `default(…)` or tested with `is defined`: it may be undefined.
    pub guarded: bool,
}

/// What a template refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Whether it is a template, and whether it is exactly one expression.
    pub shape: Shape,
    /// Every path to a name that the template does not define itself, in the order written.
    pub references: Vec<Reference>,
}

impl Analysis {
    /// Tells whether there is any template syntax in it.
    pub fn is_template(&self) -> bool {
        self.shape != Shape::Text
    }
}
