//! Lifecycle rules in, whether the service takes them out ("Object Lifecycle Management").

use googleapis_tonic_google_storage_v2::google::storage::v2::bucket::lifecycle::{Rule, rule::Condition};
use googleapis_tonic_google_storage_v2::google::{storage::v2::bucket::Lifecycle, r#type::Date};

use super::names;
use super::refusal::Refusal;

const MOST_RULES: usize = 100;
/// Prefixes and suffixes together, of a whole configuration.
const MOST_AFFIXES: usize = 1000;

pub(super) fn check(lifecycle: &Lifecycle) -> Result<(), Refusal> {
    if lifecycle.rule.len() > MOST_RULES {
        return Err(Refusal::invalid(format!("A lifecycle configuration has at most {MOST_RULES} rules")));
    }
    let conditions = lifecycle.rule.iter().filter_map(|rule| rule.condition.as_ref());
    let affixes: usize = conditions.map(|when| when.matches_prefix.len() + when.matches_suffix.len()).sum();
    if affixes > MOST_AFFIXES {
        return Err(Refusal::invalid(format!(
            "A lifecycle configuration has at most {MOST_AFFIXES} affixes"
        )));
    }
    lifecycle.rule.iter().try_for_each(check_rule)
}

fn check_rule(rule: &Rule) -> Result<(), Refusal> {
    let action = rule.action.as_ref().ok_or_else(|| Refusal::required("A lifecycle rule needs an action"))?;
    let condition = rule.condition.as_ref().filter(|condition| **condition != Condition::default());
    let condition = condition.ok_or_else(|| Refusal::required("A lifecycle rule needs a condition"))?;
    match action.r#type.as_str() {
        "Delete" if action.storage_class.is_empty() => {}
        "SetStorageClass" => names::check_class(&action.storage_class)?,
        "AbortIncompleteMultipartUpload" if action.storage_class.is_empty() => check_abort(condition)?,
        "Delete" | "AbortIncompleteMultipartUpload" => {
            return Err(Refusal::invalid("Only SetStorageClass has a storage class"));
        }
        other => return Err(Refusal::invalid(format!("Unknown lifecycle action `{other}`"))),
    }
    check_condition(condition)
}

/// An upload that isn't complete has an age and a name, and nothing else that an object has.
fn check_abort(condition: &Condition) -> Result<(), Refusal> {
    let allowed = Condition {
        age_days: condition.age_days,
        matches_prefix: condition.matches_prefix.clone(),
        matches_suffix: condition.matches_suffix.clone(),
        ..Condition::default()
    };
    if *condition == allowed {
        return Ok(());
    }
    let message =
        "AbortIncompleteMultipartUpload takes only the conditions age, matchesPrefix and matchesSuffix";
    Err(Refusal::invalid(message))
}

fn check_condition(condition: &Condition) -> Result<(), Refusal> {
    let numbers = [
        ("age", condition.age_days),
        ("numNewerVersions", condition.num_newer_versions),
        ("daysSinceCustomTime", condition.days_since_custom_time),
        ("daysSinceNoncurrentTime", condition.days_since_noncurrent_time),
    ];
    for (name, number) in numbers {
        if number.is_some_and(|number| number < 0) {
            return Err(Refusal::invalid(format!("The condition {name} must not be negative")));
        }
    }
    let dates = [condition.created_before, condition.custom_time_before, condition.noncurrent_time_before];
    if !dates.iter().flatten().all(is_day) {
        return Err(Refusal::invalid("A date in a condition is no day of the calendar"));
    }
    if condition.matches_prefix.iter().chain(&condition.matches_suffix).any(String::is_empty) {
        return Err(Refusal::invalid("A prefix or suffix in a condition is empty"));
    }
    condition.matches_storage_class.iter().try_for_each(|class| names::check_class(class))
}

fn is_day(date: &Date) -> bool {
    let leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    let days = match date.month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=9999).contains(&date.year) && (1..=days).contains(&date.day)
}
