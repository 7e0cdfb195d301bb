//! Proof first, manifest last.

use rekindle_backup::catalogue::{self, CatalogueError};
use rekindle_backup::layout::{BackupUri, MANIFEST};
use rekindle_backup::manifest::Manifest;
use rekindle_backup::physical::check_base;
use rekindle_backup::sealed;
use rekindle_engine::host::{Body, ObjectStore, PutMode, StoreErrorKind};
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::draft::{Draft, draft};
use super::{PublishOutputs, PublishParams, instructions};
use crate::reading::{self, Meter};
use crate::remembering::remember;

/// Looks whether this very backup is published.
pub(super) async fn probe(
    params: &PublishParams,
    cx: &StepContext,
) -> Result<Probe<PublishOutputs>, StepError> {
    let uri = super::uri(params, cx)?;
    let store = cx.store(&params.store).await?;
    let published = match catalogue::load_manifest(&*store, &uri).await {
        Ok(manifest) => manifest,
        Err(CatalogueError::NotFound(_)) => return Ok(Probe::Absent),
        Err(CatalogueError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Probe::Partial { found: error.to_string() }),
    };
    let expected = draft(&*store, &uri, params, published.finished_at).await?.manifest;
    Ok(if published == expected {
        Probe::Complete(PublishOutputs::of(uri, &published))
    } else {
        Probe::Partial { found: format!("{uri} is published, but with other contents") }
    })
}

/// Proves every object, then publishes.
pub(super) async fn run(params: &PublishParams, cx: &StepContext) -> Result<PublishOutputs, StepError> {
    let uri = super::uri(params, cx)?;
    let store = cx.store(&params.store).await?;
    match probe(params, cx).await? {
        Probe::Complete(outputs) => return Ok(outputs),
        Probe::Absent => {}
        Probe::Partial { found: why } | Probe::Unknown { why } => {
            return Err(
                StepError::permanent(why).help("give this backup another `id:`, or remove that one first")
            );
        }
    }
    let Draft { manifest, instructions } = draft(&*store, &uri, params, cx.world().clock.now()).await?;
    // An increment to something that was removed meanwhile is worth nothing.
    if let Some(base) = manifest.physical.as_ref().and_then(|physical| physical.base.as_ref()) {
        check_base(&*store, &uri, base).await?;
    }
    instructions::put(&*store, &uri, instructions).await?;
    prove(&*store, &uri, &manifest, cx).await?;

    let bytes = sealed::seal(&manifest).map_err(|error| StepError::permanent(error.to_string()))?;
    put(&*store, &uri, bytes).await?;
    // What the next reader gets is what counts.
    if catalogue::load_manifest(&*store, &uri).await? != manifest {
        return Err(StepError::permanent(format!("the manifest of {uri} does not read back as written")));
    }
    remember(&*store, &uri, cx).await;
    Ok(PublishOutputs::of(uri, &manifest))
}

async fn put(store: &dyn ObjectStore, uri: &BackupUri, manifest: Vec<u8>) -> Result<(), StepError> {
    let key = uri.key(MANIFEST).map_err(|error| StepError::permanent(error.to_string()))?;
    match store.put(&key, Body::from_bytes(manifest), PutMode::IfAbsent).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == StoreErrorKind::AlreadyExists => {
            Err(StepError::permanent(format!("{uri} was published meanwhile by another run"))
                .help("give each backup an `id:` of its own"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads every object back: an upload counts by what can be read.
async fn prove(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    manifest: &Manifest,
    cx: &StepContext,
) -> Result<(), StepError> {
    let meter = Meter::new(cx, manifest.size_bytes());
    let mut problems = Vec::new();
    for object in &manifest.objects {
        problems.extend(reading::problem(store, uri, object, &meter).await?);
        if manifest.encryption.is_some() {
            problems.extend(reading::openness(store, uri, object).await?);
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StepError::permanent(format!("{uri} is not published: {}", problems.join("; ")))
        .help("make the dump again; what was written is not what can be read"))
}
