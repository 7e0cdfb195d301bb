//! What people say of a backup: keep it, why, and labels. Beside the manifest, which stays as it was written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rekindle_engine::id::RunId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format of marks.
pub const MARK_FORMAT: u32 = 1;

/// What is said of a backup. Written as a sealed file (see [`crate::sealed`]) in `keep.json`, which only
/// compare-and-swap changes.
///
/// A mark that can't be read keeps its backup: what somebody wanted to keep must not be lost to a damaged byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// [`MARK_FORMAT`].
    pub format: u32,
    /// Whether pruning must leave it alone.
    pub keep: bool,
    /// Why it is kept, or no longer is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Labels over those of the manifest; `null` takes one away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Option<String>>,
    /// When it was said (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The run that wrote it.
    pub by_run: RunId,
}

/// Lays the labels of a mark over those of the manifest.
pub fn laid_over(
    manifest: &BTreeMap<String, String>,
    mark: &BTreeMap<String, Option<String>>,
) -> BTreeMap<String, String> {
    let mut labels = manifest.clone();
    for (name, value) in mark {
        match value {
            Some(value) => labels.insert(name.clone(), value.clone()),
            None => labels.remove(name),
        };
    }
    labels
}
