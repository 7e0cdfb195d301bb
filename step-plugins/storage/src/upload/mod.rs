//! `store.upload`: brings a file of this machine to a store, proves that it arrived, and goes on after a crash.

mod run;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::Path;

use async_trait::async_trait;
use rekindle_engine::host::Key;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::looking;
use crate::transfer::{IfExists, LocalFile, cannot_use};

/// The kind `store.upload`.
#[derive(Debug, Clone, Copy)]
pub struct UploadStep;

/// `with:` of `store.upload`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadParams {
    /// The file, from rekindle's working directory.
    pub from: String,
    /// The store.
    pub store: StoreName,
    /// The object's name in the store, such as `mysql/{{ run.started_at[:10] }}/backup.sql.gz`.
    pub key: String,
    /// What to do when another object has that name: `fail` (the default) or `replace`.
    #[serde(default)]
    pub if_exists: IfExists,
    /// How many parts are on the way side by side; 1 unless said otherwise, and no more than memory is meant for
    /// (5 of 8 MiB). Each of them may have to be sent once more after a crash.
    #[serde(default = "one")]
    pub parts_at_once: NonZeroUsize,
}

/// Outputs of `store.upload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadOutputs {
    /// The object's name in the store.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

#[async_trait]
impl Step for UploadStep {
    const KIND: &'static str = "store.upload";
    const SUMMARY: &'static str =
        "Brings a file to a store and proves that it arrived; goes on after a crash";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = UploadParams;
    type Outputs = UploadOutputs;

    fn plan(&self, params: &Planned<UploadParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check(params)?;
        }
        let (from, key, store) = (params.show("/from"), params.show("/key"), params.show("/store"));
        Ok(Intent { summary: format!("upload {from} as {key} to {store}"), ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<UploadParams>, cx: &PreflightContext) -> Preflight {
        let mut preflight = looking::writable(params, "/store", cx).await;
        let Some(from) = looking::known(params, "/from") else { return preflight };
        if std::fs::symlink_metadata(&from).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            // A step before this one may make it.
            preflight.notes.push(format!("{from} is not there yet"));
        } else if let Err(error) = LocalFile::open(Path::new(&from)) {
            preflight.problems.push(cannot_use(error, "/from"));
        }
        preflight
    }

    async fn probe(
        &self,
        params: &UploadParams,
        cx: &StepContext,
    ) -> Result<Probe<UploadOutputs>, StepError> {
        run::probe(params, &check(params)?, cx).await
    }

    async fn run(&self, params: &UploadParams, cx: &StepContext) -> Result<UploadOutputs, StepError> {
        run::run(params, &check(params)?, cx).await
    }
}

fn check(params: &UploadParams) -> Result<Key, StepError> {
    if params.from.is_empty() {
        return Err(StepError::permanent("`from` is empty").help("write the path of a file"));
    }
    Key::new(&params.key).map_err(|error| {
        StepError::permanent(error.to_string())
            .help("write the object's whole name, such as `mysql/2026/11/22/backup.sql.gz`")
    })
}
