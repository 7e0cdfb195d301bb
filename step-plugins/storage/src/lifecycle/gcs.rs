//! A declaration as Google Cloud Storage takes it: members of a bucket's `lifecycle.rule` (JSON API, `Buckets`
//! resource), as `gcloud storage buckets update --lifecycle-file` and `gsutil lifecycle set` read them.
//!
//! Such rules have no names. Those that say nothing but what a declaration can say, for exactly its prefix, are taken
//! for its own.

use rekindle_engine::environment::{Lifecycle, Transition};
use rekindle_engine::host::LifecycleRule;
use serde::{Deserialize, Serialize};

use super::import::ImportError;

/// A rule, as far as a declaration can say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub(crate) enum Action {
    SetStorageClass {
        #[serde(rename = "storageClass")]
        storage_class: String,
    },
    Delete,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Condition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) days_since_noncurrent_time: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) matches_prefix: Vec<String>,
}

impl Condition {
    fn prefix(&self) -> Option<&str> {
        match self.matches_prefix.as_slice() {
            [] => Some(""),
            [one] => Some(one),
            _ => None,
        }
    }
}

fn days(age: rekindle_engine::values::DurationText) -> Option<u32> {
    u32::try_from(Lifecycle::days(age)).ok()
}

/// Makes the rules for objects below `prefix`. Uploads that were never completed need none: Google forgets them after
/// a week by itself.
pub(super) fn compile(lifecycle: &Lifecycle, prefix: &str) -> Vec<Rule> {
    let below = |condition: Condition| Condition {
        matches_prefix: if prefix.is_empty() { Vec::new() } else { vec![prefix.to_owned()] },
        ..condition
    };
    let at_age = |age| below(Condition { age: days(age), ..Condition::default() });
    let mut rules: Vec<Rule> = lifecycle
        .transitions
        .iter()
        .map(|to| Rule {
            action: Action::SetStorageClass { storage_class: to.class.clone() },
            condition: at_age(to.after),
        })
        .collect();
    rules.extend(lifecycle.expire.map(|age| Rule { action: Action::Delete, condition: at_age(age) }));
    rules.extend(lifecycle.expire_noncurrent.map(|age| Rule {
        action: Action::Delete,
        condition: below(Condition { days_since_noncurrent_time: days(age), ..Condition::default() }),
    }));
    rules
}

/// Tells whether a rule of the bucket is one that a declaration for `prefix` makes.
pub(super) fn is_ours(rule: &LifecycleRule, prefix: &str) -> bool {
    parse(rule).is_some_and(|rule| rule.condition.prefix() == Some(prefix))
}

/// Reads a rule, if a declaration can say it.
pub(super) fn parse(rule: &LifecycleRule) -> Option<Rule> {
    Rule::deserialize(rule).ok()
}

/// Says a rule in words, as far as there are any.
pub(super) fn describe(rule: &LifecycleRule) -> String {
    let Some(Rule { action, condition }) = parse(rule) else { return format!("rule {rule}") };
    let what = match action {
        Action::SetStorageClass { storage_class } => storage_class,
        Action::Delete => "deleted".to_owned(),
    };
    let mut when: Vec<String> = condition.age.map(|age| format!("after {age}d")).into_iter().collect();
    when.extend(condition.days_since_noncurrent_time.map(|age| format!("{age}d after being replaced")));
    let below: Vec<String> = condition.matches_prefix.iter().map(|prefix| format!("`{prefix}`")).collect();
    let below =
        if below.is_empty() { "everywhere".to_owned() } else { format!("below {}", below.join(" or ")) };
    format!("rule {below}: {what} {}", when.join(" and "))
}

/// Gives the prefixes of a rule, whatever else it says; one that is empty when it has none.
pub(super) fn prefixes_of(rule: &LifecycleRule) -> Vec<&str> {
    let prefixes = rule.pointer("/condition/matchesPrefix").and_then(LifecycleRule::as_array);
    let prefixes: Vec<&str> = prefixes.into_iter().flatten().filter_map(LifecycleRule::as_str).collect();
    if prefixes.is_empty() { vec![""] } else { prefixes }
}

/// Makes one declaration of a document's rules.
pub(super) fn import(rules: Vec<Rule>) -> Result<Lifecycle, ImportError> {
    let (mut read, mut prefix) = (Lifecycle::default(), None);
    for (place, Rule { action, condition }) in (1..).zip(rules) {
        let refuse = |why: &str| Err(ImportError::rule(&format!("number {place}"), why));
        let Some(below) = condition.prefix().map(str::to_owned) else {
            return refuse("it is about several prefixes, and a declaration has one");
        };
        if prefix.get_or_insert_with(|| below.clone()) != &below {
            return refuse("it is about another prefix than the one before: import them one by one");
        }
        let (current, old) = (condition.age, condition.days_since_noncurrent_time);
        match (action, current, old) {
            (Action::SetStorageClass { storage_class: class }, Some(age), None) => {
                read.transitions.push(Transition { after: Lifecycle::age(age), class });
            }
            (Action::Delete, Some(age), None) if read.expire.is_none() => {
                read.expire = Some(Lifecycle::age(age));
            }
            (Action::Delete, None, Some(age)) if read.expire_noncurrent.is_none() => {
                read.expire_noncurrent = Some(Lifecycle::age(age));
            }
            (Action::Delete, Some(_), None) | (Action::Delete, None, Some(_)) => {
                return refuse("it deletes once more");
            }
            _ => return refuse("its condition is not one age"),
        }
    }
    read.transitions.sort_by_key(|to| to.after);
    read.prefix = prefix.filter(|prefix| !prefix.is_empty());
    Ok(read)
}
