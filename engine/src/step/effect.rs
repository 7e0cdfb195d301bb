//! What a step may do to the world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a kind may do to the world, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Looks only; retried freely.
    Read,
    /// Adds something; retried as declared.
    Write,
    /// Replaces or removes data; retried only after a probe says that nothing happened.
    Destroy,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destroy => "destroy",
        })
    }
}

/// The words for them in documents.
pub(crate) const EFFECTS: [(&str, Effect); 3] =
    [("read", Effect::Read), ("write", Effect::Write), ("destroy", Effect::Destroy)];
