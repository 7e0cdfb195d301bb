//! Objects first, each proven; then verdicts; the manifest last.

use std::sync::Arc;

use rekindle_backup::catalogue::{self, CatalogueError, Listed, Shown};
use rekindle_backup::layout::{BackupUri, MANIFEST};
use rekindle_backup::manifest::{Manifest, ObjectEntry, ObjectRole};
use rekindle_backup::sealed;
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode, Resumption, StoreErrorKind, UploadSource as _};
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::source::{Stored, damaged};
use super::{CopyOutputs, CopyParams};
use crate::publish::instructions;
use crate::reading::{self, Meter};
use crate::remembering::remember;
use crate::transfer::{State, Watched};

/// Both ends of a copy.
struct Ends {
    from: Arc<dyn ObjectStore>,
    from_uri: BackupUri,
    to: Arc<dyn ObjectStore>,
    to_uri: BackupUri,
}

impl Ends {
    async fn open(params: &CopyParams, cx: &StepContext) -> Result<Self, StepError> {
        Ok(Self {
            from: cx.store(&params.backup.store).await?,
            from_uri: params.backup.clone(),
            to: cx.store(&params.to).await?,
            to_uri: BackupUri { store: params.to.clone(), ..params.backup.clone() },
        })
    }

    /// Reads what is published at the other end.
    async fn published(&self) -> Result<Option<Manifest>, CatalogueError> {
        match catalogue::load_manifest(&*self.to, &self.to_uri).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(CatalogueError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn other_backup(&self) -> String {
        format!("another backup is published as {}", self.to_uri)
    }
}

/// A backup as it is to lie at the other end.
struct Arrival {
    /// Says how its objects are encrypted there.
    manifest: Manifest,
    /// Other instructions than at this end, when they are encrypted otherwise; then every byte has to pass through us.
    instructions: Option<String>,
}

impl Arrival {
    fn of(mut manifest: Manifest, to: &dyn ObjectStore) -> Self {
        let encryption = to.encryption().cloned();
        if manifest.encryption == encryption {
            return Self { manifest, instructions: None };
        }
        manifest.encryption = encryption;
        let text = instructions::text(&manifest, &manifest.objects);
        for object in &mut manifest.objects {
            if object.role == ObjectRole::Instructions {
                *object = instructions::entry(&text);
            }
        }
        Self { manifest, instructions: Some(text) }
    }
}

/// Looks whether the copy is there, whole.
pub(super) async fn probe(params: &CopyParams, cx: &StepContext) -> Result<Probe<CopyOutputs>, StepError> {
    let ends = Ends::open(params, cx).await?;
    let published = match ends.published().await {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(Probe::Absent),
        Err(CatalogueError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Probe::Partial { found: error.to_string() }),
    };
    if !published.is_same_backup(&catalogue::load_manifest(&*ends.from, &ends.from_uri).await?) {
        return Ok(Probe::Partial { found: ends.other_backup() });
    }
    let meter = Meter::new(cx, published.size_bytes());
    for object in &published.objects {
        if !arrived(&ends, object, &meter).await? {
            return Ok(Probe::Absent);
        }
    }
    let skipped = published.objects.len() as u64;
    Ok(Probe::Complete(CopyOutputs { uri: ends.to_uri, objects: 0, bytes: 0, skipped }))
}

/// Copies what is not there yet.
pub(super) async fn run(params: &CopyParams, cx: &StepContext) -> Result<CopyOutputs, StepError> {
    let ends = Ends::open(params, cx).await?;
    let Shown { listed, manifest } = catalogue::show(&*ends.from, &ends.from_uri).await?;
    let arrival = Arrival::of(manifest?, &*ends.to);
    let published = ends.published().await?;
    if published.as_ref().is_some_and(|published| !published.is_same_backup(&arrival.manifest)) {
        return Err(
            StepError::permanent(ends.other_backup()).help("remove that one, or copy to another store")
        );
    }
    let wanted = published.as_ref().unwrap_or(&arrival.manifest);
    // Each object is read here and read back there.
    let meter = Meter::new(cx, wanted.size_bytes().saturating_mul(2));
    let (mut objects, mut bytes, mut skipped) = (0, 0, 0);
    for object in &wanted.objects {
        if arrived(&ends, object, &meter).await? {
            skipped += 1;
            continue;
        }
        if wanted.encryption != arrival.manifest.encryption {
            return Err(StepError::permanent(format!(
                "`{}` of {} is not whole, and the store encrypts otherwise than when that copy was made",
                object.name, ends.to_uri
            ))
            .help("remove that copy, and copy again: a manifest tells of one encryption only"));
        }
        meter.unless_cancelled(copy(&ends, &arrival, object, &meter, cx)).await?;
        if !arrived(&ends, object, &meter).await? {
            let (name, to) = (&object.name, &ends.to_uri);
            return Err(StepError::permanent(format!("`{name}` did not arrive whole in {to}")));
        }
        objects += 1;
        bytes += object.size_bytes;
    }
    if published.is_none() {
        publish(&ends, &listed, &arrival.manifest).await?;
        remember(&*ends.to, &ends.to_uri, cx).await;
    }
    Ok(CopyOutputs { uri: ends.to_uri, objects, bytes, skipped })
}

/// Tells whether an object is there with the right size and checksum, by reading it.
async fn arrived(ends: &Ends, object: &ObjectEntry, meter: &Meter) -> Result<bool, StepError> {
    let info = match ends.to.head(&key(&ends.to_uri, &object.name)?).await {
        Err(error) if error.kind == StoreErrorKind::Corrupt => return Ok(false),
        info => info?,
    };
    if info.is_none_or(|info| info.size_bytes != object.size_bytes) {
        return Ok(false);
    }
    // Of a copy that was begun before the store encrypted, nothing may stay as it is.
    if ends.to.encryption().is_some() && reading::openness(&*ends.to, &ends.to_uri, object).await?.is_some() {
        return Ok(false);
    }
    Ok(reading::problem(&*ends.to, &ends.to_uri, object, meter).await?.is_none())
}

/// Brings one object over; a source that is not what the manifest says leaves no object behind. A large one goes
/// on with what an earlier try has brought.
async fn copy(
    ends: &Ends,
    arrival: &Arrival,
    object: &ObjectEntry,
    meter: &Meter,
    cx: &StepContext,
) -> Result<(), StepError> {
    let is_open = object.role == ObjectRole::Instructions;
    if let Some(text) = arrival.instructions.as_ref().filter(|_| is_open) {
        return instructions::put(&*ends.to, &ends.to_uri, text.clone()).await;
    }
    let from_key = key(&ends.from_uri, &object.name)?;
    let to_key = key(&ends.to_uri, &object.name)?;
    // Within a provider nothing passes through us, unless it has to be encrypted otherwise. What arrives is read and
    // compared in any case.
    if arrival.instructions.is_none()
        && let Some(place) = ends.from.place(&from_key)
        && ends.to.copy_from(&place, &to_key, PutMode::Replace).await?.is_some()
    {
        return Ok(());
    }
    let info = ends.from.head(&from_key).await?;
    let info = info.ok_or_else(|| damaged(&ends.from_uri, &format!("`{}` is missing", object.name)))?;
    let origin =
        Stored { store: Arc::clone(&ends.from), uri: ends.from_uri.clone(), info, object: object.clone() };
    let source = Watched::new(origin, meter.clone());
    let state = State::new(cx, &object.name);
    let resumption = Resumption::new(state.earlier(), &state);
    let put = if is_open {
        let whole = source.read(0..source.size_bytes()).await;
        let body = whole
            .map_err(|error| source.failure().unwrap_or_else(|| StepError::transient(error.to_string())))?;
        ends.to.put_open(&to_key, body, PutMode::Replace).await
    } else {
        ends.to.upload(&to_key, &source, PutMode::Replace, resumption).await
    };
    // What went wrong at the source is the reason why the other end got no whole stream.
    put.map(|_| ()).map_err(|error| source.failure().or_else(|| state.failure()).unwrap_or(error.into()))
}

/// Stores verdicts and the manifest. A mark (`keep.json`) stays behind: it is a decision about one store.
async fn publish(ends: &Ends, listed: &Listed, manifest: &Manifest) -> Result<(), StepError> {
    for verdict in &listed.verdicts {
        catalogue::store_verdict(&*ends.to, &ends.to_uri, verdict).await?;
    }
    let bytes = sealed::seal(manifest).map_err(|error| StepError::permanent(error.to_string()))?;
    let key = key(&ends.to_uri, MANIFEST)?;
    ends.to.put(&key, Body::from_bytes(bytes), PutMode::IfAbsent).await?;
    if ends.published().await?.as_ref() != Some(manifest) {
        return Err(StepError::permanent(format!("the manifest of {} does not read back", ends.to_uri)));
    }
    Ok(())
}

fn key(uri: &BackupUri, name: &str) -> Result<Key, StepError> {
    uri.key(name).map_err(|error| StepError::permanent(error.to_string()))
}
