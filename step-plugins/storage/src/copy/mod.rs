//! `backup.copy`: brings a backup to another store, proves that it arrived, and only then publishes it there.

mod run;
mod source;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::looking;

/// The kind `backup.copy`.
#[derive(Debug, Clone, Copy)]
pub struct CopyStep;

/// `with:` of `backup.copy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyParams {
    /// Which: `backup://STORE/CLUSTER/ID`.
    pub backup: BackupUri,
    /// The other store.
    pub to: StoreName,
}

/// Outputs of `backup.copy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyOutputs {
    /// The copy: `backup://TO/CLUSTER/ID`.
    pub uri: BackupUri,
    /// Objects that were copied now, the manifest not counted.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were there already, proven equal.
    pub skipped: u64,
}

#[async_trait]
impl Step for CopyStep {
    const KIND: &'static str = "backup.copy";
    const SUMMARY: &'static str = "Copies a backup to another store and proves that it arrived whole";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = CopyParams;
    type Outputs = CopyOutputs;

    fn plan(&self, params: &Planned<CopyParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check(params)?;
        }
        let summary = format!("copy {} to {}", params.show("/backup"), params.show("/to"));
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<CopyParams>, cx: &PreflightContext) -> Preflight {
        let mut preflight = looking::writable(params, "/to", cx).await;
        if let Some(params) = params.get() {
            preflight.problems.extend(crate::verify::backup_exists(&params.backup, cx).await.problems);
        }
        preflight
    }

    /// What is there of an unfinished copy is checked and used by the next run, so it counts as absent.
    async fn probe(&self, params: &CopyParams, cx: &StepContext) -> Result<Probe<CopyOutputs>, StepError> {
        check(params)?;
        run::probe(params, cx).await
    }

    async fn run(&self, params: &CopyParams, cx: &StepContext) -> Result<CopyOutputs, StepError> {
        check(params)?;
        run::run(params, cx).await
    }
}

fn check(params: &CopyParams) -> Result<(), StepError> {
    if params.backup.store == params.to {
        return Err(StepError::permanent(format!(
            "{} lies in the store `{}` already",
            params.backup, params.to
        ))
        .help("name another store in `to:`"));
    }
    Ok(())
}
