//! Lifecycle rules of the SDK into the JSON of the API and back.
//!
//! Every rule can be shown, also those that others made; only rules of ours are made from JSON.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRule as SdkRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, Tag, Transition, TransitionStorageClass,
};
use rekindle_engine::host::LifecycleRule;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::lifecycle::s3::Rule;

/// Gives the JSON of a rule, without what it does not say.
pub(super) fn to_json(rule: &SdkRule) -> LifecycleRule {
    let mut fields = Map::new();
    let mut say = |name: &str, value: Value| {
        if !value.is_null() {
            fields.insert(name.to_owned(), value);
        }
    };
    say("ID", json!(rule.id()));
    say("Status", json!(rule.status().as_str()));
    #[expect(deprecated, reason = "older rules say it so")]
    say("Prefix", json!(rule.prefix()));
    say("Filter", rule.filter().map_or(Value::Null, filter));
    say("Transitions", list(rule.transitions(), transition));
    say("Expiration", rule.expiration().map_or(Value::Null, expiration));
    let moves = list(rule.noncurrent_version_transitions(), |to| {
        known(json!({
            "NoncurrentDays": to.noncurrent_days(),
            "NewerNoncurrentVersions": to.newer_noncurrent_versions(),
            "StorageClass": to.storage_class().map(TransitionStorageClass::as_str),
        }))
    });
    say("NoncurrentVersionTransitions", moves);
    let old = rule.noncurrent_version_expiration().map_or(Value::Null, |old| {
        known(json!({
            "NoncurrentDays": old.noncurrent_days(),
            "NewerNoncurrentVersions": old.newer_noncurrent_versions(),
        }))
    });
    say("NoncurrentVersionExpiration", old);
    let abort = rule
        .abort_incomplete_multipart_upload()
        .map_or(Value::Null, |abort| known(json!({ "DaysAfterInitiation": abort.days_after_initiation() })));
    say("AbortIncompleteMultipartUpload", abort);
    Value::Object(fields)
}

/// Leaves out what is not said.
fn known(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

fn list<T>(items: &[T], each: impl Fn(&T) -> Value) -> Value {
    if items.is_empty() { Value::Null } else { items.iter().map(each).collect() }
}

fn date(at: Option<&DateTime>) -> Option<String> {
    at.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok())
}

fn transition(to: &Transition) -> Value {
    known(json!({
        "Days": to.days(),
        "Date": date(to.date()),
        "StorageClass": to.storage_class().map(TransitionStorageClass::as_str),
    }))
}

fn expiration(expiration: &LifecycleExpiration) -> Value {
    known(json!({
        "Days": expiration.days(),
        "Date": date(expiration.date()),
        "ExpiredObjectDeleteMarker": expiration.expired_object_delete_marker(),
    }))
}

fn tag(tag: &Tag) -> Value {
    json!({ "Key": tag.key(), "Value": tag.value() })
}

fn filter(filter: &LifecycleRuleFilter) -> Value {
    let and = filter.and().map(|and| {
        known(json!({
            "Prefix": and.prefix(),
            "Tags": list(and.tags(), tag),
            "ObjectSizeGreaterThan": and.object_size_greater_than(),
            "ObjectSizeLessThan": and.object_size_less_than(),
        }))
    });
    known(json!({
        "Prefix": filter.prefix(),
        "Tag": filter.tag().map(tag),
        "ObjectSizeGreaterThan": filter.object_size_greater_than(),
        "ObjectSizeLessThan": filter.object_size_less_than(),
        "And": and,
    }))
}

/// Makes a rule of what a declaration was compiled to.
pub(super) fn from_json(rule: &LifecycleRule) -> Result<SdkRule, Failure> {
    let rule = Rule::deserialize(rule).map_err(|error| Failure::invalid(error.to_string()))?;
    build(rule).map_err(|error| Failure::invalid(error.to_string()))
}

fn build(rule: Rule) -> Result<SdkRule, BuildError> {
    // Days are a century at most.
    let count = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
    let prefix = rule.filter.map(|filter| filter.prefix).or(rule.prefix).unwrap_or_default();
    let transitions = rule.transitions.into_iter().map(|to| {
        let class = TransitionStorageClass::from(to.storage_class.as_str());
        Transition::builder().days(count(to.days)).storage_class(class).build()
    });
    let transitions: Vec<Transition> = transitions.collect();
    let expiration = rule.expiration.map(|expiration| {
        LifecycleExpiration::builder()
            .set_days(expiration.days.map(count))
            .set_expired_object_delete_marker(expiration.expired_object_delete_marker)
            .build()
    });
    let old = rule.noncurrent_version_expiration.map(|old| {
        NoncurrentVersionExpiration::builder().noncurrent_days(count(old.noncurrent_days)).build()
    });
    let abort = rule.abort_incomplete_multipart_upload.map(|abort| {
        AbortIncompleteMultipartUpload::builder()
            .days_after_initiation(count(abort.days_after_initiation))
            .build()
    });
    SdkRule::builder()
        .set_id(rule.id)
        .status(ExpirationStatus::from(rule.status.as_str()))
        .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        .set_transitions((!transitions.is_empty()).then_some(transitions))
        .set_expiration(expiration)
        .set_noncurrent_version_expiration(old)
        .set_abort_incomplete_multipart_upload(abort)
        .build()
}
