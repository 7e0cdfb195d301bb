//! `stores.NAME.lifecycle`: what becomes of a store's objects as they grow old, said once for every provider.
//!
//! Receives the declaration and yields it typed, or what the provider would refuse. Its forms for the providers are
//! made in `step-plugins/storage`.

mod classes;
mod mistakes;
mod read;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::DurationText;

pub use classes::Provider;
pub use mistakes::{Mistake, MistakeAt};
pub(super) use read::{hold_against, read, spare_journals};

/// The seconds of the unit that providers count in.
const DAY_SECONDS: u64 = 86_400;

/// What becomes of a store's objects as they grow old. The provider carries it out, once a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// S3: the ID of the bucket's rule, by which it is known again; `rekindle` and the prefix when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Only objects below this, counted from the store's URL, as in `mysql/`; the whole store when absent, which
    /// then must hold no journals of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The classes that objects are moved to, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// The age at which objects are deleted: whole days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<DurationText>,
    /// How long after its deletion a version is kept in a bucket that keeps versions: whole days. For ever when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_noncurrent: Option<DurationText>,
}

/// A move to another class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The age of the object: whole days.
    pub after: DurationText,
    /// The class, by the provider's own name: `STANDARD_IA`, `GLACIER` … of S3; `NEARLINE`, `COLDLINE`, `ARCHIVE` of
    /// Google.
    pub class: String,
}

impl Lifecycle {
    /// Counts the days of an age. What is no whole number of them is a [`Mistake`], and rounded down here.
    pub fn days(age: DurationText) -> u64 {
        age.0.as_secs() / DAY_SECONDS
    }

    /// Tells whether objects that nobody replaced or deleted are moved or deleted by it.
    pub fn moves_or_deletes(&self) -> bool {
        !self.transitions.is_empty() || self.expire.is_some()
    }

    /// Makes an age of days.
    pub fn age(days: u32) -> DurationText {
        DurationText(Duration::from_secs(u64::from(days) * DAY_SECONDS))
    }
}
