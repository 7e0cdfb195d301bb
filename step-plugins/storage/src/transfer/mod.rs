//! What uploads, downloads and copies share: bytes summed up on the way, proof at the end, state kept in between.

mod local;
mod proof;
mod state;
mod sums;
#[cfg(test)]
mod tests;
mod watched;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use local::{LocalFile, beside, cannot_use, folder_of, told};
pub(crate) use proof::{differs, differs_from_checksum, digest_file};
pub(crate) use state::State;
pub(crate) use sums::{Sums, Whole};
pub(crate) use watched::{Origin, Watched};

/// What to do where something is already that is not the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    /// Leave it as it is and fail. What is there already with the same bytes is taken for this step's own work.
    #[default]
    Fail,
    /// Put this in its place.
    Replace,
}
