//! What a preview found.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::id::StepId;

/// What is true of the world now, seen from a plan. Nothing was changed to find out.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// When it was looked.
    pub at: Timestamp,
    /// What each step's preflight found; steps that were not looked at are missing.
    pub steps: IndexMap<StepId, StepPreview>,
    /// What would make the run fail, in plan order; with spans when the plan was compiled from files.
    pub problems: Vec<Diagnostic>,
}

impl Preview {
    /// Tells whether nothing speaks against running the plan.
    pub fn is_clear(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What one step's preflight found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StepPreview {
    /// The exact commands and statements, secrets masked.
    pub commands: Vec<String>,
    /// What is worth knowing: `primary is MariaDB 10.11.14, 3 databases`.
    pub notes: Vec<String>,
    /// The messages of its problems; in full in [`Preview::problems`].
    pub problems: Vec<String>,
}
