//! Looks at the bucket's rules, changes ours, and looks again.

use rekindle_engine::environment::Lifecycle;
use rekindle_engine::host::{Bucket, LifecycleRule, ObjectStore, Setting, StoreErrorKind};
use rekindle_engine::journal::JOURNALS;
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::difference::{Declared, Difference};
use super::{LifecycleOutputs, LifecycleParams};
use crate::looking;

/// Gives what the environment declares for the store.
pub(super) fn declared<'c>(
    params: &LifecycleParams,
    cx: &'c StepContext,
) -> Result<&'c Lifecycle, StepError> {
    let store = cx.settings().stores.get(&params.store);
    store.and_then(|store| store.lifecycle.as_ref()).ok_or_else(|| {
        StepError::permanent(format!("the environment declares no lifecycle for the store `{}`", params.store))
            .help(format!(
                "add `lifecycle:` to the store, as in `stores: {{ {}: {{ url: …, lifecycle: {{ expire: 365d }} }} }}`",
                params.store
            ))
    })
}

/// Says what would be changed.
pub(super) async fn preview(
    lifecycle: &Lifecycle,
    store: &dyn ObjectStore,
) -> Result<Vec<String>, StepError> {
    let (bucket, declared) = place(lifecycle, store)?;
    spare_journals(lifecycle, store).await?;
    let Some(facts) = bucket.look().await? else {
        let mut lines = vec![format!("{} is not there yet", bucket.name())];
        lines.extend(declared.lines(&declared.compare(&[])));
        return Ok(lines);
    };
    let difference = declared.compare(&bucket.lifecycle().await?);
    let mut lines = declared.lines(&difference);
    if difference.is_none() {
        lines.insert(0, format!("{} has the declared rules already", bucket.name()));
    }
    if facts.versioning == Setting::On && lifecycle.expire_noncurrent.is_none() {
        lines.push(format!(
            "{} keeps versions: what is deleted in it stays, and is paid for, without `expire_noncurrent`",
            bucket.name()
        ));
    }
    Ok(lines)
}

/// Looks whether everything is as declared.
pub(super) async fn probe(
    params: &LifecycleParams,
    cx: &StepContext,
) -> Result<Probe<LifecycleOutputs>, StepError> {
    let store = cx.store(&params.store).await?;
    let (bucket, declared) = place(declared(params, cx)?, &*store)?;
    if bucket.look().await?.is_none() {
        return Ok(Probe::Absent);
    }
    let difference = declared.compare(&bucket.lifecycle().await?);
    if difference.is_none() {
        return Ok(Probe::Complete(outputs(&declared, &difference, false)));
    }
    Ok(Probe::Absent)
}

/// Changes what is different, and proves it.
pub(super) async fn run(params: &LifecycleParams, cx: &StepContext) -> Result<LifecycleOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let lifecycle = declared(params, cx)?;
    let (bucket, declared) = place(lifecycle, &*store)?;
    spare_journals(lifecycle, &*store).await?;
    let before = declared.compare(&bucket.lifecycle().await?);
    if before.is_none() {
        cx.log(&format!("{} has the declared rules already: nothing is changed", bucket.name()));
        return Ok(outputs(&declared, &before, false));
    }
    for line in declared.lines(&before) {
        cx.log(&line);
    }
    bucket.change_lifecycle(&before.remove, &before.add).await?;
    let after = read_back(bucket, &declared, &before.others, cx).await?;
    Ok(outputs(&declared, &after, true))
}

/// Reads the rules until they are the declared ones and those of others are as before: what is written is not always
/// what is read at once (Amazon S3 User Guide, "Amazon S3 data consistency model", on bucket configurations).
async fn read_back(
    bucket: &dyn Bucket,
    declared: &Declared<'_>,
    others: &[LifecycleRule],
    cx: &StepContext,
) -> Result<Difference, StepError> {
    for wait in looking::READ_BACK_WAITS {
        let found = declared.compare(&bucket.lifecycle().await?);
        let kept =
            others.len() == found.others.len() && others.iter().all(|rule| found.others.contains(rule));
        if found.is_none() && kept {
            return Ok(found);
        }
        looking::wait(wait, cx).await?;
    }
    Err(StepError::permanent(format!("the rules of {} do not read back as they were written", bucket.name()))
        .help("somebody else may be changing them: look at them, then run this again"))
}

/// Refuses rules about the whole store where runs keep their journals in it, of whichever environment: they would be
/// gone while somebody still needs them, and locks with them.
async fn spare_journals(lifecycle: &Lifecycle, store: &dyn ObjectStore) -> Result<(), StepError> {
    if lifecycle.prefix.is_some() || !lifecycle.moves_or_deletes() {
        return Ok(());
    }
    let kept = match store.list(JOURNALS).await {
        // A bucket that is still to be made holds nothing.
        Err(error) if matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::Invalid) => {
            return Ok(());
        }
        listed => listed?,
    };
    match kept.first() {
        None => Ok(()),
        Some(_) => Err(StepError::permanent(format!(
            "the rules would take the journals and locks of runs that lie in {} below `{JOURNALS}`",
            store.url()
        ))
        .help("say what they are about, as in `lifecycle: { prefix: backups/, … }`")),
    }
}

fn place<'a>(
    lifecycle: &'a Lifecycle,
    store: &'a dyn ObjectStore,
) -> Result<(&'a dyn Bucket, Declared<'a>), StepError> {
    let found = store.bucket().and_then(|bucket| Some((bucket, Declared::new(lifecycle, bucket)?)));
    found.ok_or_else(|| {
        StepError::permanent(format!("{} has no lifecycle rules: it is no bucket", store.url()))
            .help("let `backup.prune` thin out the backups there")
    })
}

fn outputs(declared: &Declared<'_>, difference: &Difference, changed: bool) -> LifecycleOutputs {
    LifecycleOutputs {
        changed,
        rules: difference.same.iter().map(|rule| declared.describe(rule)).collect(),
        other_rules: difference.others.len() as u64,
    }
}
