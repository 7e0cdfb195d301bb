//! The rules, as a user writes them.

use std::num::NonZeroU32;

use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which backups stay: those that any of these rules wants. Without a rule nothing is pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepRules {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<NonZeroU32>,
    /// All that are younger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<DurationText>,
    /// The newest of each of the last so many hours (UTC) that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<NonZeroU32>,
    /// The newest of each of the last so many days (UTC) that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<NonZeroU32>,
    /// The newest of each of the last so many weeks (ISO 8601, UTC) that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<NonZeroU32>,
    /// The newest of each of the last so many months (UTC) that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<NonZeroU32>,
    /// The newest of each of the last so many years (UTC) that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<NonZeroU32>,
}

impl KeepRules {
    /// Tells whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for KeepRules {
    /// Writes them as the reasons word them: `last 7, within 7d`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [
            ("last", self.keep_last),
            ("hourly", self.keep_hourly),
            ("daily", self.keep_daily),
            ("weekly", self.keep_weekly),
            ("monthly", self.keep_monthly),
            ("yearly", self.keep_yearly),
        ];
        let mut parts: Vec<String> = counts
            .into_iter()
            .filter_map(|(word, count)| count.map(|count| format!("{word} {count}")))
            .collect();
        if let Some(within) = self.keep_within {
            parts.push(format!("within {within}"));
        }
        f.write_str(&parts.join(", "))
    }
}
