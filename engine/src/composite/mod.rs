//! Composite step kinds: a document that names a group of steps, with values and outputs.
//!
//! Receives the text of such documents ([`parse`]) and puts them into a [`crate::step::Registry`] beside the kinds
//! that are programs ([`register`]). Compiling replaces each use by the steps of the group; nothing of a composite
//! is left to be looked up in a run.

mod read;
mod register;
mod schemas;
mod step;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use semver::Version;

use crate::document::Source;
use crate::runbook::{Spanned, StepDefinition, ValueDeclaration};

pub use read::parse;
pub use register::register;
pub(crate) use step::Gather;

/// How many composites may stand inside each other.
pub const DEPTH_LIMIT: usize = 8;

/// A composite kind as it is written.
#[derive(Debug, Clone)]
pub struct Composite {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// sha256 (hex) of that text.
    pub sha256: String,
    /// `name:`, which `uses:` names.
    pub name: Spanned<String>,
    /// `version:`
    pub version: Version,
    /// `summary:`, may be empty.
    pub summary: String,
    /// `values:` in order; `with:` of a step that uses it gives them.
    pub values: Vec<ValueDeclaration>,
    /// `steps:`
    pub steps: Vec<StepDefinition>,
    /// The end of the group as a step: `with` holds `outputs:`, a map node (empty when absent).
    pub end: StepDefinition,
}
