//! Secrets: read late, shown never.

use std::fmt;

use crate::id::SecretName;

/// A secret text. It has no `Serialize`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Gives the text. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Why a secret can't be had. Never holds its value.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to read the secret `{name}` from {from}: {why}")]
pub struct SecretError {
    /// Which.
    pub name: SecretName,
    /// Where it was looked for: `the environment variable X`, `the file Y`.
    pub from: String,
    /// Why not.
    pub why: String,
}

/// Reads secrets. Every value given out is known to the [`super::Masker`] before it is returned.
pub trait Secrets: Send + Sync {
    /// Reads one by the source the environment declares. May block.
    fn read(
        &self,
        name: &SecretName,
        source: &crate::environment::SecretSource,
    ) -> Result<Secret, SecretError>;
}
