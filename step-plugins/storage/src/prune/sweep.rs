//! Decides and removes.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rekindle_backup::catalogue::{self, Catalogue, CatalogueError, Trust, Unpublished};
use rekindle_backup::layout::{BackupUri, MANIFEST};
use rekindle_backup::retention::{Candidate, Decision, decide};
use rekindle_engine::host::{AtWork, ObjectStore, StoreErrorKind, Unfinished};
use rekindle_engine::id::RunId;
use rekindle_engine::step::{StepContext, StepError};

use super::binlogs::{self, Logs};
use super::{Fate, PruneParams};

/// What is younger may belong to a run that goes on.
const LEFTOVER_AGE: SignedDuration = SignedDuration::from_hours(24);

/// What is to be done with one cluster's backups in a store.
pub(super) struct Sweep {
    /// The newest first.
    pub(super) decisions: Vec<Decision>,
    /// What failed runs left.
    pub(super) leftovers: Vec<Unpublished>,
    /// Archived binary logs.
    pub(super) logs: Logs,
    /// Writes that nobody goes on with.
    pub(super) abandoned: Vec<Unfinished>,
    /// What it was decided by.
    pub(super) found: Catalogue,
    /// When the look began.
    pub(super) looked_at: Timestamp,
    /// Unfinished writes older than this are removed as well.
    pub(super) abandoned_before: Timestamp,
}

impl Sweep {
    /// Looks and decides; nothing is touched.
    pub(super) async fn decide(
        store: &dyn ObjectStore,
        params: &PruneParams,
        cx: &StepContext,
    ) -> Result<Self, StepError> {
        let cluster = params.cluster.as_deref().unwrap_or(cx.settings().cluster());
        let now = cx.world().clock.now();
        // What goes is decided by what lies there, not by what an index remembers of it, unless that can't be read.
        let found = catalogue::scan(store, &params.store, Some(cluster), Trust::IndexOfUnreadable).await;
        let found = match found {
            // A store that is still to be made holds nothing.
            Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::NotFound => {
                Catalogue::default()
            }
            scanned => scanned?,
        };
        let at_work = at_work(cx).await?;
        let used_by = |uri: &BackupUri| user_of(uri, &at_work);
        let candidates: Vec<Candidate> = found
            .backups
            .iter()
            .map(|listed| Candidate { used_by: used_by(&listed.uri), ..Candidate::from(listed) })
            .collect();
        let windows = params.windows(cx.settings());
        let decisions = decide(&candidates, &params.keep, params.only.as_ref(), &windows, now);
        let abandoned_before = now.checked_sub(LEFTOVER_AGE).unwrap_or(Timestamp::MIN);
        let kept: Vec<Candidate> = candidates
            .into_iter()
            .filter(|one| decisions.iter().any(|decision| decision.keep && decision.uri == one.uri))
            .collect();
        let logs = binlogs::decide(store, params, &kept, abandoned_before, cx).await?;
        let (abandoned, under_way): (Vec<_>, Vec<_>) =
            store.list_unfinished().await?.into_iter().partition(|write| write.newest < abandoned_before);
        // The first object of a dump that takes days may be old, while the rest is still on its way.
        let is_leftover = |one: &&Unpublished| {
            one.newest < abandoned_before
                && one.uri.id != cx.run().as_str()
                && !under_way.iter().any(|write| may_be_of(write, one))
        };
        Ok(Self {
            decisions,
            leftovers: found.unpublished.iter().filter(is_leftover).cloned().collect(),
            logs,
            abandoned,
            found,
            looked_at: now,
            abandoned_before,
        })
    }
}

/// Asks what the other runs are at.
async fn at_work(cx: &StepContext) -> Result<Vec<AtWork>, StepError> {
    let all = cx.world().others.at_work(cx.settings()).await;
    let mut others = all.map_err(|why| {
        StepError::transient(format!("failed to find out which backups other runs work with: {why}"))
    })?;
    others.retain(|one| one.run != *cx.run());
    Ok(others)
}

fn user_of(uri: &BackupUri, at_work: &[AtWork]) -> Option<RunId> {
    let name = uri.to_string();
    at_work.iter().find(|one| one.names(&name)).map(|one| one.run.clone())
}

/// Tells whether a write may become an object of what has no manifest yet.
fn may_be_of(write: &Unfinished, leftover: &Unpublished) -> bool {
    write.key.as_ref().is_none_or(|key| key.as_str().starts_with(&leftover.uri.prefix()))
}

/// Lets listings remember what stays. Losing that costs time, not truth.
pub(super) async fn remember(
    store: &dyn ObjectStore,
    cluster: &str,
    mut found: Catalogue,
    removed: &BTreeSet<String>,
    looked_at: Timestamp,
) {
    found.backups.retain(|listed| !removed.contains(&listed.uri.id));
    if let Err(error) = catalogue::write_index(store, cluster, &found, looked_at).await {
        tracing::warn!(%error, "the index of the backups could not be written; listing them takes longer");
    }
}

/// Looks once more whether a run has begun to work with a backup since it was decided that it goes.
pub(super) async fn used_since(uri: &BackupUri, cx: &StepContext) -> Result<Option<RunId>, StepError> {
    Ok(user_of(uri, &at_work(cx).await?))
}

/// Looks once more whether somebody has marked a backup since it was decided that it goes.
pub(super) async fn kept_since(
    store: &dyn ObjectStore,
    uri: &BackupUri,
) -> Result<Option<String>, StepError> {
    match catalogue::load_mark(store, uri).await {
        Ok(stored) => Ok(stored.and_then(|stored| catalogue::why_kept(&stored.mark))),
        // What is archived was not written since: the decision heeded it.
        Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::Archived => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes a backup: the manifest first, so that what remains after a crash is no backup but a leftover.
pub(super) async fn remove(store: &dyn ObjectStore, uri: &BackupUri) -> Result<(), StepError> {
    let manifest = uri.key(MANIFEST).map_err(|error| StepError::permanent(error.to_string()))?;
    store.delete(&manifest).await?;
    for object in store.list(&uri.prefix()).await? {
        store.delete(&object.key).await?;
    }
    match store.list(&uri.prefix()).await {
        Ok(left) if left.is_empty() => Ok(()),
        Ok(left) => {
            Err(StepError::permanent(format!("{} objects of {uri} could not be removed", left.len())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says what becomes of a leftover.
pub(super) fn leftover_fate(leftover: &Unpublished) -> Fate {
    let (count, newest) = (leftover.objects.len(), leftover.newest);
    let objects = if count == 1 { "object" } else { "objects" };
    let reason =
        format!("never published: {count} {objects} of a run that did not finish, last written {newest}");
    Fate { id: leftover.uri.id.clone(), reason }
}

/// Says what becomes of a write that nobody goes on with.
pub(super) fn abandoned_fate(write: &Unfinished) -> Fate {
    let begun = write.begun.map(|begun| format!("begun {begun}, ")).unwrap_or_default();
    let reason = format!("a write that did not finish, {begun}last sign of life {}", write.newest);
    Fate { id: write.name.clone(), reason }
}
