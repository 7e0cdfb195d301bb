//! One deployment: values, targets, stores, secrets. What a runbook is run against.

mod policy;
mod read;
mod secrets;
mod stores;
mod targets;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{Codes, Source, parse as parse_document};

pub use read::read;
pub use types::{
    Environment, EnvironmentSource, Objectives, Policy, SavedPlan, SecretRef, SecretSource, Settings,
    StoreConfig, Target,
};

/// The codes of mistakes in environments.
const CODES: Codes = Codes {
    wrong_type: "rekindle::environment::wrong_type",
    wrong_value: "rekindle::environment::wrong_value",
    unknown_field: "rekindle::environment::unknown_field",
    missing_field: "rekindle::environment::missing_field",
    template: "rekindle::environment::template_not_allowed",
};

/// The code of what this version does not do yet: never ignored, since a plan without it would be another one.
const NOT_SUPPORTED: &str = "rekindle::environment::not_supported";

/// Parses and reads an environment.
///
/// # Errors
///
/// Every mistake of the document, in its order: those of its YAML, or, when that is sound, those of the
/// environment.
pub fn parse(source: &Arc<Source>) -> Result<Environment, Vec<Diagnostic>> {
    read(&parse_document(source)?)
}
