//! Lifecycle rules of the client into the JSON of the API and back.
//!
//! Every rule can be shown, also those that others made; only rules of ours are made from JSON.

use google_cloud_storage::model::bucket::lifecycle::Rule;
use google_cloud_storage::model::bucket::lifecycle::rule::{Action, Condition};
use rekindle_engine::host::LifecycleRule;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::lifecycle::gcs;

/// Gives the JSON of a rule, without what it does not say.
pub(super) fn to_json(rule: &Rule) -> LifecycleRule {
    let action = rule.action.clone().unwrap_or_default();
    let condition = rule.condition.clone().unwrap_or_default();
    let text = |text: String| (!text.is_empty()).then_some(text);
    let list = |items: Vec<String>| (!items.is_empty()).then_some(items);
    let day = |year: i32, month: i32, day: i32| format!("{year:04}-{month:02}-{day:02}");
    json!({
        "action": said(json!({ "type": action.r#type, "storageClass": text(action.storage_class) })),
        "condition": said(json!({
            "age": condition.age_days,
            "createdBefore": condition.created_before.map(|at| day(at.year, at.month, at.day)),
            "isLive": condition.is_live,
            "numNewerVersions": condition.num_newer_versions,
            "matchesStorageClass": list(condition.matches_storage_class),
            "daysSinceCustomTime": condition.days_since_custom_time,
            "customTimeBefore": condition.custom_time_before.map(|at| day(at.year, at.month, at.day)),
            "daysSinceNoncurrentTime": condition.days_since_noncurrent_time,
            "noncurrentTimeBefore": condition.noncurrent_time_before.map(|at| day(at.year, at.month, at.day)),
            "matchesPrefix": list(condition.matches_prefix),
            "matchesSuffix": list(condition.matches_suffix),
        })),
    })
}

/// Leaves out what is not said.
fn said(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { return Map::new() };
    fields.into_iter().filter(|(_, field)| !field.is_null()).collect()
}

/// Makes a rule of what a declaration was compiled to.
pub(super) fn from_json(rule: &LifecycleRule) -> Result<Rule, Failure> {
    let gcs::Rule { action, condition } =
        gcs::Rule::deserialize(rule).map_err(|error| Failure::invalid(error.to_string()))?;
    let action = match action {
        gcs::Action::SetStorageClass { storage_class } => {
            Action::new().set_type("SetStorageClass").set_storage_class(storage_class)
        }
        gcs::Action::Delete => Action::new().set_type("Delete"),
    };
    // Days are a century at most.
    let days = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
    let condition = Condition::new()
        .set_or_clear_age_days(condition.age.map(days))
        .set_or_clear_days_since_noncurrent_time(condition.days_since_noncurrent_time.map(days))
        .set_matches_prefix(condition.matches_prefix);
    Ok(Rule::new().set_action(action).set_condition(condition))
}
