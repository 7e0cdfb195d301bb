//! What an increment is made to: from a parameter to a backup whose chain is whole.

use rekindle_backup::catalogue;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::BackupKind;
use rekindle_backup::physical::{Link, Method, StreamFormat, load_chain};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{StepContext, StepError};

use super::Params;
use super::params::LATEST;

/// Finds the base of a backup that is to be of this server.
pub(super) async fn find(
    params: &Params,
    cx: &StepContext,
    store: &dyn ObjectStore,
    format: StreamFormat,
    lineage: &str,
) -> Result<Option<Link>, StepError> {
    let Some(wanted) = params.base() else { return Ok(None) };
    if wanted == LATEST {
        return latest(params, cx, store, format, lineage).await.map(Some);
    }
    let uri: BackupUri = wanted.parse().map_err(|error| StepError::permanent(format!("`base`: {error}")))?;
    if uri.store != params.store || uri.cluster != cx.settings().cluster() {
        return Err(StepError::permanent(format!(
            "{uri} is no base for a backup in the store `{}`",
            params.store
        ))
        .help("an increment lies beside its base: same store, same cluster"));
    }
    let link = load_last(store, &uri).await?;
    match unfit(&link, format, lineage) {
        None => Ok(Some(link)),
        Some(why) => Err(StepError::permanent(format!("{uri} is no base for this backup: {why}"))
            .help("make a full backup: leave `base` out")),
    }
}

/// The whole chain is looked at: an increment to something that can't be restored is worth nothing.
async fn load_last(store: &dyn ObjectStore, uri: &BackupUri) -> Result<Link, StepError> {
    let mut chain = load_chain(store, uri).await?;
    chain.pop().ok_or_else(|| StepError::permanent(format!("{uri} has no files")))
}

async fn latest(
    params: &Params,
    cx: &StepContext,
    store: &dyn ObjectStore,
    format: StreamFormat,
    lineage: &str,
) -> Result<Link, StepError> {
    let cluster = cx.settings().cluster();
    let mut listed = catalogue::list_backups(store, &params.store, Some(cluster)).await?;
    listed.retain(|one| one.summary.as_ref().is_ok_and(|summary| summary.kind == BackupKind::Physical));
    listed.sort_by_key(|one| std::cmp::Reverse(one.recovery_point()));
    let mut passed_over = Vec::new();
    for one in listed {
        if one.has_failed() {
            passed_over.push(format!("{}: a verification found it bad", one.uri.id));
            continue;
        }
        let link = match load_last(store, &one.uri).await {
            Ok(link) => link,
            Err(error) => {
                passed_over.push(format!("{}: {error}", one.uri.id));
                continue;
            }
        };
        if let Some(why) = unfit(&link, format, lineage) {
            passed_over.push(format!("{}: {why}", one.uri.id));
            continue;
        }
        for why in &passed_over {
            cx.warn(&format!("passed over as a base: {why}"));
        }
        return Ok(link);
    }
    let why = if passed_over.is_empty() { String::new() } else { format!(" ({})", passed_over.join("; ")) };
    Err(StepError::permanent(format!(
        "`{}` has no physical backup of this server to build on{why}",
        params.store
    ))
    .help("make a full backup first: leave `base` out"))
}

/// Tells why a backup is no base for one of this server; the tool itself would build on anything.
fn unfit(link: &Link, format: StreamFormat, lineage: &str) -> Option<String> {
    let physical = &link.physical;
    if physical.method == Method::Cold || physical.to_lsn.is_none() {
        return Some("it is a cold one, which no increment can be made to".to_owned());
    }
    if physical.format != format {
        return Some(format!("it is a stream of {}", physical.format.as_str()));
    }
    (physical.lineage != lineage)
        .then(|| format!("it is of another data directory ({}, and this one is {lineage})", physical.lineage))
}
