//! Why a step failed, and whether trying again can help.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::{ProcessError, SecretError, StoreError, StoreErrorKind};

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// It may work later: a lost connection, a busy server.
    Transient,
    /// It will not: bad credentials, bad SQL, a failed checksum.
    Permanent,
    /// The operator's word, not an error of the step.
    Cancelled,
}

/// A step's own error. The message is a lowercase fragment that fits "failed to …" or states what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// Whether trying again can help.
    pub class: ErrorClass,
    /// What went wrong, with its cause; secrets are masked by the driver.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl StepError {
    /// Makes an error that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Transient, message: message.into(), help: None }
    }

    /// Makes an error that will not pass.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Permanent, message: message.into(), help: None }
    }

    /// Makes the answer of a step that was asked to stop.
    pub fn cancelled() -> Self {
        Self { class: ErrorClass::Cancelled, message: "cancelled".to_owned(), help: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Source => Self::transient(error.to_string()),
            StoreErrorKind::NotFound
            | StoreErrorKind::AlreadyExists
            | StoreErrorKind::Changed
            | StoreErrorKind::Denied
            | StoreErrorKind::Corrupt
            | StoreErrorKind::Invalid => Self::permanent(error.to_string()),
            StoreErrorKind::Full => {
                Self::permanent(error.to_string()).help("free space in the store, then resume the run")
            }
            StoreErrorKind::Archived => Self::permanent(error.to_string())
                .help("bring it back with the provider's own tool, which takes hours, then resume the run"),
        }
    }
}

impl From<SecretError> for StepError {
    fn from(error: SecretError) -> Self {
        Self::permanent(error.to_string())
    }
}

impl From<ProcessError> for StepError {
    fn from(error: ProcessError) -> Self {
        Self::permanent(error.to_string())
    }
}
