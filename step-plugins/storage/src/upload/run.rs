//! Looks first whether it is there, sends what is missing, proves the whole.

use std::path::Path;

use rekindle_engine::host::{Key, ObjectInfo, ObjectStore, PutMode, Resumption, StoreError};
use rekindle_engine::step::{Probe, StepContext, StepError};

use super::{UploadOutputs, UploadParams};
use crate::reading::Meter;
use crate::transfer::{IfExists, LocalFile, Origin as _, State, Watched, Whole, differs, digest_file};

/// Looks whether the object is there and has the bytes of the file.
pub(super) async fn probe(
    params: &UploadParams,
    key: &Key,
    cx: &StepContext,
) -> Result<Probe<UploadOutputs>, StepError> {
    let store = cx.store(&params.store).await?;
    let Some(info) = store.head(key).await? else { return Ok(Probe::Absent) };
    let file = LocalFile::open(Path::new(&params.from))?;
    let meter = Meter::new(cx, file.size_bytes());
    Ok(match arrived(&*store, &info, &file, params, &meter).await? {
        Some(whole) => Probe::Complete(outputs(key, whole)),
        None => Probe::Absent,
    })
}

/// Sends the file.
pub(super) async fn run(
    params: &UploadParams,
    key: &Key,
    cx: &StepContext,
) -> Result<UploadOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let file = LocalFile::open(Path::new(&params.from))?;
    let meter = Meter::new(cx, file.size_bytes());
    if let Some(info) = store.head(key).await? {
        if let Some(whole) = arrived(&*store, &info, &file, params, &meter).await? {
            cx.log(&format!("{key} is in {} already, with the same bytes", store.url()));
            return Ok(outputs(key, whole));
        }
        if params.if_exists == IfExists::Fail {
            return Err(another(&*store, key));
        }
    }
    let source = Watched::new(file, meter.clone());
    let state = State::new(cx, format!("{}/{key}", params.store));
    let resumption =
        Resumption { parts_at_once: params.parts_at_once, ..Resumption::new(state.earlier(), &state) };
    let mode = match params.if_exists {
        IfExists::Fail => PutMode::IfAbsent,
        IfExists::Replace => PutMode::Replace,
    };
    let sending = async {
        // What went wrong at either end of the store is the reason why it failed.
        let failed = |error: StoreError| source.failure().or_else(|| state.failure()).unwrap_or(error.into());
        store.upload(key, &source, mode, resumption).await.map_err(failed)
    };
    let info = meter.unless_cancelled(sending).await?;
    let whole = match source.whole() {
        Some(whole) => whole,
        None => digest_file(Path::new(&params.from), &meter).await?,
    };
    if let Some(how) = differs(&*store, key, &info, &whole, &meter).await? {
        return Err(StepError::permanent(format!("`{key}` did not arrive whole in {}: {how}", store.url()))
            .help("somebody else may have written it meanwhile; look at it, then resume the run"));
    }
    Ok(outputs(key, whole))
}

/// Gives the sums of the file when the object has the same bytes.
async fn arrived(
    store: &dyn ObjectStore,
    info: &ObjectInfo,
    file: &LocalFile,
    params: &UploadParams,
    meter: &Meter,
) -> Result<Option<Whole>, StepError> {
    if info.size_bytes != file.size_bytes() {
        return Ok(None);
    }
    let whole = digest_file(Path::new(&params.from), meter).await?;
    Ok(differs(store, &info.key, info, &whole, meter).await?.is_none().then_some(whole))
}

fn another(store: &dyn ObjectStore, key: &Key) -> StepError {
    StepError::permanent(format!("another object is in {} as `{key}`", store.url()))
        .help("name another `key:`, or set `if_exists: replace`")
}

fn outputs(key: &Key, whole: Whole) -> UploadOutputs {
    UploadOutputs { key: key.to_string(), size_bytes: whole.size_bytes, sha256: whole.sha256 }
}
