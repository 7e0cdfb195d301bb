//! Looks at the bucket, changes what is not as it should be, and looks again.

use rekindle_engine::host::{Bucket, BucketChange, BucketFacts, ObjectStore, Setting};
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::{EnsureBucketOutputs, EnsureBucketParams};
use crate::looking;

/// Says what would be changed.
pub(super) async fn preview(
    params: &EnsureBucketParams,
    store: &dyn ObjectStore,
) -> Result<Vec<String>, StepError> {
    let bucket = place(store)?;
    let facts = bucket.look().await?;
    let mut changes = missing(facts.as_ref(), params);
    if facts.is_none() && bucket.provider().is_some() {
        changes.push(BucketChange::BlockPublicAccess);
        changes.extend(params.versioning.then_some(BucketChange::KeepVersions));
    }
    let mut lines: Vec<String> = changes.iter().map(|change| in_words(*change, bucket)).collect();
    if changes.is_empty() {
        lines.push(format!("{} is as it should be", bucket.name()));
    }
    if bucket.provider().is_none() {
        lines.push("versions and public access are not applicable: it is a folder".to_owned());
    }
    Ok(lines)
}

/// Looks whether everything is as it should be.
pub(super) async fn probe(
    params: &EnsureBucketParams,
    cx: &StepContext,
) -> Result<Probe<EnsureBucketOutputs>, StepError> {
    let store = cx.store(&params.store).await?;
    Ok(match place(&*store)?.look().await? {
        Some(facts) if missing(Some(&facts), params).is_empty() => {
            Probe::Complete(outputs(facts, Vec::new()))
        }
        Some(_) | None => Probe::Absent,
    })
}

/// Changes what is not as it should be, and proves it.
pub(super) async fn run(
    params: &EnsureBucketParams,
    cx: &StepContext,
) -> Result<EnsureBucketOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let bucket = place(&*store)?;
    let mut done: Vec<BucketChange> = Vec::new();
    for wait in looking::READ_BACK_WAITS {
        let facts = bucket.look().await?;
        // After it was made it is looked at again: what a new bucket blocks by itself is the provider's choice.
        let changes = missing(facts.as_ref(), params);
        if let (Some(facts), []) = (facts, changes.as_slice()) {
            tell_the_rest(bucket, &facts, &done, cx);
            return Ok(outputs(facts, done.iter().map(|change| in_words(*change, bucket)).collect()));
        }
        // What was set is not always what is read at once.
        if changes.iter().any(|change| done.contains(change)) {
            looking::wait(wait, cx).await?;
            continue;
        }
        for change in changes {
            cx.log(&in_words(change, bucket));
            bucket.change(change).await?;
            done.push(change);
        }
    }
    Err(StepError::permanent(format!("{} does not read back as it was set", bucket.name()))
        .help("somebody else may be changing it: look at it, then run this again"))
}

fn tell_the_rest(bucket: &dyn Bucket, facts: &BucketFacts, done: &[BucketChange], cx: &StepContext) {
    if done.is_empty() {
        cx.log(&format!("{} is as it should be: nothing is changed", bucket.name()));
    }
    for (what, setting) in
        [("keeping versions", facts.versioning), ("blocking public access", facts.public_access_blocked)]
    {
        if setting == Setting::NotApplicable {
            cx.log(&format!("{what} is not applicable to {}", bucket.name()));
        }
    }
}

/// Gives what has to be changed, in order.
fn missing(facts: Option<&BucketFacts>, params: &EnsureBucketParams) -> Vec<BucketChange> {
    let Some(facts) = facts else { return vec![BucketChange::Create] };
    let mut changes = Vec::new();
    if facts.public_access_blocked == Setting::Off {
        changes.push(BucketChange::BlockPublicAccess);
    }
    if params.versioning && facts.versioning == Setting::Off {
        changes.push(BucketChange::KeepVersions);
    }
    changes
}

fn in_words(change: BucketChange, bucket: &dyn Bucket) -> String {
    let name = bucket.name();
    match change {
        BucketChange::Create => format!("make {name}"),
        BucketChange::KeepVersions => format!("let {name} keep versions"),
        BucketChange::BlockPublicAccess => format!("block public access to {name}"),
    }
}

fn place(store: &dyn ObjectStore) -> Result<&dyn Bucket, StepError> {
    store.bucket().ok_or_else(|| {
        StepError::permanent(format!("nothing is known of the place that {} lies in", store.url()))
    })
}

fn outputs(facts: BucketFacts, changed: Vec<String>) -> EnsureBucketOutputs {
    let BucketFacts { location, versioning, public_access_blocked } = facts;
    EnsureBucketOutputs { changed, location, versioning, public_access_blocked }
}
