//! A declaration as S3 takes it: rules of a `BucketLifecycleConfiguration` (Amazon S3 API Reference,
//! `PutBucketLifecycleConfiguration`), in the JSON that the AWS command line reads and prints.

use rekindle_engine::environment::{Lifecycle, Transition};
use rekindle_engine::host::LifecycleRule;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::import::ImportError;

/// Uploads in parts that were never completed are aborted after this: their parts are paid for, and no list of
/// objects shows them.
const UNFINISHED_DAYS: u32 = 7;
/// Longer names of rules would leave no room behind them (255 bytes in all).
const MAX_NAME: usize = 200;

/// A rule, as far as a declaration can say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Rule {
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
    /// What `filter` says in newer documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) transitions: Vec<To>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expiration: Option<Expiration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) noncurrent_version_expiration: Option<Noncurrent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) abort_incomplete_multipart_upload: Option<Abort>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Filter {
    #[serde(default)]
    pub(crate) prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct To {
    pub(crate) days: u32,
    pub(crate) storage_class: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Expiration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expired_object_delete_marker: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Noncurrent {
    pub(crate) noncurrent_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Abort {
    pub(crate) days_after_initiation: u32,
}

impl Rule {
    fn new(id: String, prefix: &str) -> Self {
        Self {
            id: Some(id),
            status: "Enabled".to_owned(),
            filter: Some(Filter { prefix: prefix.to_owned() }),
            prefix: None,
            transitions: Vec::new(),
            expiration: None,
            noncurrent_version_expiration: None,
            abort_incomplete_multipart_upload: None,
        }
    }

    /// Writes what can be said in several ways in one.
    fn canonical(mut self) -> Self {
        let prefix = self.filter.map(|filter| filter.prefix).or(self.prefix.take()).unwrap_or_default();
        self.filter = Some(Filter { prefix });
        self.transitions.sort();
        self.expiration = self.expiration.map(|mut expiration| {
            expiration.expired_object_delete_marker =
                expiration.expired_object_delete_marker.filter(|remove| *remove);
            expiration
        });
        self.expiration = self.expiration.filter(|expiration| *expiration != Expiration::default());
        self
    }
}

fn days(age: rekindle_engine::values::DurationText) -> u32 {
    u32::try_from(Lifecycle::days(age)).unwrap_or(u32::MAX)
}

/// Names the rule of a declaration for objects below `prefix`.
fn name(lifecycle: &Lifecycle, prefix: &str) -> String {
    let name = lifecycle.id.clone().unwrap_or_else(|| format!("rekindle {prefix}").trim().to_owned());
    if name.len() <= MAX_NAME {
        return name;
    }
    format!("rekindle {}", hex::encode(Sha256::digest(prefix.as_bytes())))
}

fn leftovers(name: &str) -> String {
    format!("{name}-leftovers")
}

/// Makes the rules: the one that is declared, and one for what it leaves behind, apart from it so that the first one
/// is no other than what people write by hand.
pub(super) fn compile(lifecycle: &Lifecycle, prefix: &str) -> Vec<Rule> {
    let name = name(lifecycle, prefix);
    let mut rules = Vec::new();
    if !lifecycle.transitions.is_empty() || lifecycle.expire.is_some() {
        let transition = |to: &Transition| To { days: days(to.after), storage_class: to.class.clone() };
        rules.push(Rule {
            transitions: lifecycle.transitions.iter().map(transition).collect(),
            expiration: lifecycle
                .expire
                .map(|age| Expiration { days: Some(days(age)), ..Expiration::default() }),
            ..Rule::new(name.clone(), prefix)
        });
    }
    let noncurrent = lifecycle.expire_noncurrent.map(days);
    rules.push(Rule {
        noncurrent_version_expiration: noncurrent.map(|noncurrent_days| Noncurrent { noncurrent_days }),
        // A marker of a deletion that no version is left behind is of no use.
        expiration: noncurrent
            .map(|_| Expiration { expired_object_delete_marker: Some(true), ..Expiration::default() }),
        abort_incomplete_multipart_upload: Some(Abort { days_after_initiation: UNFINISHED_DAYS }),
        ..Rule::new(leftovers(&name), prefix)
    });
    rules
}

/// Tells whether a rule of the bucket is the one that the declaration makes, by its ID.
pub(super) fn is_ours(rule: &LifecycleRule, lifecycle: &Lifecycle, prefix: &str) -> bool {
    let name = name(lifecycle, prefix);
    let id = rule.get("ID").and_then(LifecycleRule::as_str);
    id.is_some_and(|id| id == name || id == leftovers(&name))
}

/// Reads a rule, if a declaration can say it.
pub(super) fn parse(rule: &LifecycleRule) -> Option<Rule> {
    Rule::deserialize(rule).ok().map(Rule::canonical)
}

/// Says a rule in words, as far as there are any.
pub(super) fn describe(rule: &LifecycleRule) -> String {
    let named = rule.get("ID").and_then(LifecycleRule::as_str).unwrap_or("without an ID");
    let Some(parsed) = parse(rule) else { return format!("rule `{named}`: {rule}") };
    let mut words: Vec<String> =
        parsed.transitions.iter().map(|to| format!("{} after {}d", to.storage_class, to.days)).collect();
    let expiration = parsed.expiration.unwrap_or_default();
    words.extend(expiration.days.map(|days| format!("deleted after {days}d")));
    let noncurrent = parsed.noncurrent_version_expiration;
    words.extend(noncurrent.map(|old| format!("older versions deleted after {}d", old.noncurrent_days)));
    words.extend(expiration.expired_object_delete_marker.map(|_| "lone delete markers removed".to_owned()));
    let abort = parsed.abort_incomplete_multipart_upload;
    words.extend(
        abort.map(|abort| format!("unfinished uploads removed after {}d", abort.days_after_initiation)),
    );
    let below = parsed.filter.unwrap_or_default().prefix;
    let below = if below.is_empty() { "everywhere".to_owned() } else { format!("below `{below}`") };
    let off = if parsed.status == "Enabled" { "" } else { ", switched off" };
    format!("rule `{named}` {below}{off}: {}", words.join(", "))
}

/// Gives the prefix of a rule, whatever else it says.
pub(super) fn prefix_of(rule: &LifecycleRule) -> &str {
    ["/Filter/Prefix", "/Filter/And/Prefix", "/Prefix"]
        .iter()
        .find_map(|pointer| rule.pointer(pointer)?.as_str())
        .unwrap_or_default()
}

/// Makes one declaration of a document's rules.
pub(super) fn import(rules: Vec<Rule>) -> Result<Lifecycle, ImportError> {
    let (mut read, mut prefix) = (Lifecycle::default(), None);
    for rule in rules {
        let named = rule.id.clone().unwrap_or_else(|| "without an ID".to_owned());
        let refuse = |why: &str| Err(ImportError::rule(&named, why));
        if rule.status != "Enabled" {
            return refuse("it is switched off");
        }
        let rule = rule.canonical();
        let below = rule.filter.unwrap_or_default().prefix;
        if prefix.get_or_insert_with(|| below.clone()) != &below {
            return refuse("it is about another prefix than the one before: import them one by one");
        }
        let expiration = rule.expiration.unwrap_or_default();
        if !rule.transitions.is_empty() || expiration.days.is_some() {
            if !read.transitions.is_empty() || read.expire.is_some() {
                return refuse("a declaration is one rule with transitions or expiry, and this is another");
            }
            read.id = rule.id;
            let transition = |to: To| Transition { after: Lifecycle::age(to.days), class: to.storage_class };
            read.transitions = rule.transitions.into_iter().map(transition).collect();
            read.expire = expiration.days.map(Lifecycle::age);
        }
        if let Some(old) = rule.noncurrent_version_expiration {
            read.expire_noncurrent = Some(Lifecycle::age(old.noncurrent_days));
        }
        if rule
            .abort_incomplete_multipart_upload
            .is_some_and(|abort| abort.days_after_initiation != UNFINISHED_DAYS)
        {
            return refuse("it aborts unfinished uploads at another age than 7 days, at which rekindle does");
        }
    }
    read.prefix = prefix.filter(|prefix| !prefix.is_empty());
    Ok(read)
}
