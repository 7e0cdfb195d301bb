//! Reads the mark, lays what is asked for over it, and puts it back if nobody else has changed it meanwhile.

use std::collections::BTreeMap;

use rekindle_backup::catalogue::{self, CatalogueError, Listed, StoredMark, Trust};
use rekindle_backup::layout::{BackupUri, KEEP_MARK, MANIFEST};
use rekindle_backup::mark::{MARK_FORMAT, Mark, laid_over};
use rekindle_engine::host::{ObjectInfo, ObjectStore, Stamp, StoreError, StoreErrorKind};
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::check::MAX_LABELS;
use super::{MarkOutputs, MarkParams};

/// How often another writer may come first before the step gives up.
const TRIES: u32 = 5;

/// Looks whether a backup is there, and whether what is said of it can be known.
pub(super) async fn look(uri: &BackupUri, cx: &StepContext) -> Result<(), StepError> {
    let store = cx.store(&uri.store).await?;
    manifest_labels(&*store, uri).await?;
    load(&*store, uri).await?;
    Ok(())
}

/// Looks whether the mark says what is asked for.
pub(super) async fn probe(params: &MarkParams, cx: &StepContext) -> Result<Probe<MarkOutputs>, StepError> {
    let store = cx.store(&params.backup.store).await?;
    let labels = manifest_labels(&*store, &params.backup).await?;
    let found = load(&*store, &params.backup).await?;
    Ok(match found.and_then(|found| found.mark.ok()) {
        Some(mark) if says(&mark, params) => Probe::Complete(outputs(params, &labels, mark, false)),
        Some(_) | None => Probe::Absent,
    })
}

/// Marks it, and proves that the mark and the backup are both there afterwards.
pub(super) async fn run(params: &MarkParams, cx: &StepContext) -> Result<MarkOutputs, StepError> {
    let store = cx.store(&params.backup.store).await?;
    let labels = manifest_labels(&*store, &params.backup).await?;
    for _ in 0..TRIES {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let found = load(&*store, &params.backup).await?;
        let (before, stamp) = readable(found, cx);
        if let Some(mark) = before.as_ref().filter(|mark| says(mark, params)) {
            return Ok(outputs(params, &labels, mark.clone(), false));
        }
        let mark = next(before, stamp.is_some(), params, cx)?;
        if catalogue::store_mark(&*store, &params.backup, stamp.as_ref(), &mark).await? {
            return proven(&*store, params, &labels, mark).await;
        }
    }
    Err(StepError::transient(format!("others keep changing the mark of {}", params.backup)))
}

/// Reads the mark. What an archived one says an index may tell; where it does not, nothing is written in its place, since
/// what was said would be lost.
async fn load(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Option<StoredMark>, StepError> {
    match catalogue::load_mark(store, uri).await {
        Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::Archived => {
            archived(store, uri, error).await.map(Some)
        }
        found => Ok(found?),
    }
}

async fn archived(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    error: StoreError,
) -> Result<StoredMark, StepError> {
    // Its state before what is remembered of it: if it changes in between, it is not replaced.
    let stamp = listed(store, uri, KEEP_MARK).await?.and_then(|object| object.stamp);
    match (remembered(store, uri).await?.mark, stamp) {
        (Some(Ok(mark)), Some(stamp)) => Ok(StoredMark { mark: Ok(mark), stamp }),
        _ => Err(error.into()),
    }
}

/// Gives an object of a backup as it is listed, which needs no look into it.
async fn listed(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    name: &str,
) -> Result<Option<ObjectInfo>, StepError> {
    let key = uri.key(name).map_err(|error| StepError::permanent(error.to_string()))?;
    Ok(store.list(&uri.prefix()).await?.into_iter().find(|object| object.key == key))
}

/// Gives what the catalogue knows of a backup, with the help of its index.
async fn remembered(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Listed, StepError> {
    let found = catalogue::scan(store, &uri.store, Some(&uri.cluster), Trust::Index).await?.backups;
    let found = found.into_iter().find(|listed| listed.uri == *uri);
    found.ok_or_else(|| CatalogueError::NotFound(uri.clone()).into())
}

/// Gives what was said before, and the state it is in.
fn readable(found: Option<StoredMark>, cx: &StepContext) -> (Option<Mark>, Option<Stamp>) {
    let Some(StoredMark { mark, stamp }) = found else { return (None, None) };
    match mark {
        Ok(mark) => (Some(mark), Some(stamp)),
        Err(error) => {
            cx.warn(&format!("{error}; it is written anew, and labels that it held are lost"));
            (None, Some(stamp))
        }
    }
}

/// Tells whether a mark says all that is asked for. A backup that is given free needs no reason to stay free.
fn says(mark: &Mark, params: &MarkParams) -> bool {
    let reason_fits = params.reason.is_empty() || mark.reason == params.reason;
    params.keep.is_none_or(|keep| mark.keep == keep && reason_fits)
        && wanted_labels(params).all(|(name, value)| mark.labels.get(&name) == Some(&value))
}

/// Gives the labels as a mark has them: nothing for one that is taken away.
fn wanted_labels(params: &MarkParams) -> impl Iterator<Item = (String, Option<String>)> + '_ {
    let given = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    params.labels.iter().map(move |(name, value)| (name.clone(), given(value)))
}

/// Lays what is asked for over what was said. What can't be read was kept, and stays so until somebody says otherwise.
fn next(
    before: Option<Mark>,
    was_there: bool,
    params: &MarkParams,
    cx: &StepContext,
) -> Result<Mark, StepError> {
    let unreadable = before.is_none() && was_there;
    let (mut keep, mut reason, mut labels) = match before {
        Some(mark) => (mark.keep, mark.reason, mark.labels),
        None if unreadable => (true, "what was said of it before can't be read".to_owned(), BTreeMap::new()),
        None => (false, String::new(), BTreeMap::new()),
    };
    if let Some(wanted) = params.keep {
        keep = wanted;
        reason.clone_from(&params.reason);
    }
    labels.extend(wanted_labels(params));
    if labels.len() > MAX_LABELS {
        return Err(StepError::permanent(format!(
            "{} would have {} labels, but {MAX_LABELS} is the most",
            params.backup,
            labels.len()
        )));
    }
    let at = cx.world().clock.now();
    Ok(Mark { format: MARK_FORMAT, keep, reason, labels, at, by_run: cx.run().clone() })
}

async fn proven(
    store: &dyn ObjectStore,
    params: &MarkParams,
    labels: &BTreeMap<String, String>,
    mark: Mark,
) -> Result<MarkOutputs, StepError> {
    let uri = &params.backup;
    let stored = catalogue::load_mark(store, uri).await?;
    if !stored.and_then(|stored| stored.mark.ok()).is_some_and(|stored| says(&stored, params)) {
        return Err(StepError::transient(format!("the mark of {uri} does not read back as written")));
    }
    // Pruning may have been faster.
    if listed(store, uri, MANIFEST).await?.is_none() {
        return Err(CatalogueError::NotFound(uri.clone()).into());
    }
    Ok(outputs(params, labels, mark, true))
}

/// Gives the labels of the manifest. None when it is damaged: such a backup can be kept too, for a look at it. Of one
/// that is archived, those that an index tells: it needs not come back to be kept.
async fn manifest_labels(
    store: &dyn ObjectStore,
    uri: &BackupUri,
) -> Result<BTreeMap<String, String>, StepError> {
    match catalogue::load_manifest(store, uri).await {
        Ok(manifest) => Ok(manifest.labels),
        Err(CatalogueError::Damaged { .. }) => Ok(BTreeMap::new()),
        Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::Archived => {
            let known = remembered(store, uri).await?.summary;
            Ok(known.map(|summary| summary.labels).unwrap_or_default())
        }
        Err(error) => Err(error.into()),
    }
}

fn outputs(
    params: &MarkParams,
    manifest: &BTreeMap<String, String>,
    mark: Mark,
    changed: bool,
) -> MarkOutputs {
    let labels = laid_over(manifest, &mark.labels);
    MarkOutputs { uri: params.backup.clone(), keep: mark.keep, reason: mark.reason, labels, changed }
}
