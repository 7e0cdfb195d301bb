//! Node → [`Runbook`]: the typed procedure, nothing rendered yet.

mod declarations;
mod header;
mod partly;
pub mod patch;
mod read;
mod references;
mod requirement;
mod retry;
mod step;
mod types;

#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{Codes, Source, parse as parse_document};

pub(crate) use declarations::{RESERVED as RESERVED_VALUES, read as read_declarations, value_types};
pub(crate) use header::{Kind, read_header};
pub(crate) use partly::not_said_yet;
pub use partly::{Doubtful, Partly, parse_partly};
pub use read::{read, read_patched};
pub(crate) use read::{read_only_steps, read_version};
pub use types::{
    Concurrency, Defaults, OnConflict, OnCrash, Phase, Retry, Runbook, Spanned, StepDefinition,
    ValueDeclaration, ValueType,
};

/// The codes of mistakes in runbooks, and in composite kinds, which are made of the same parts.
pub(crate) const CODES: Codes = Codes {
    wrong_type: "rekindle::runbook::wrong_type",
    wrong_value: "rekindle::runbook::wrong_value",
    unknown_field: "rekindle::runbook::unknown_field",
    missing_field: "rekindle::runbook::missing_field",
    template: "rekindle::runbook::template_not_allowed",
};

/// The largest numbers a step may hold: everything that is repeated is bounded, also by a person who writes many
/// digits.
pub(crate) struct Limits {
    pub(crate) attempts: u32,
    pub(crate) backoff: f64,
    pub(crate) max_parallel: u32,
}

pub(crate) const LIMITS: Limits = Limits { attempts: 1000, backoff: 100.0, max_parallel: 10_000 };

/// Parses and reads a runbook.
///
/// # Errors
///
/// Every mistake of the document, in its order: those of its YAML, or, when that is sound, those of the runbook.
pub fn parse(source: &Arc<Source>) -> Result<Runbook, Vec<Diagnostic>> {
    read(&parse_document(source)?)
}
