//! `store.download`: brings an object to a file of this machine, goes on from the byte it had, proves the whole.

mod look;
mod part;
mod read_back;
mod run;
#[cfg(test)]
mod tests;
mod writer;

use async_trait::async_trait;
use rekindle_engine::host::Key;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::transfer::IfExists;

/// The kind `store.download`.
#[derive(Debug, Clone, Copy)]
pub struct DownloadStep;

/// `with:` of `store.download`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadParams {
    /// The store.
    pub store: StoreName,
    /// The object's name in the store.
    pub key: String,
    /// The file to write, from rekindle's working directory. It appears when it is whole and proven.
    pub to: String,
    /// What to do when another file has that name: `fail` (the default) or `replace`.
    #[serde(default)]
    pub if_exists: IfExists,
    /// The SHA-256 that it must have, in hexadecimal digits. Absent: what the store keeps of the whole is compared;
    /// where it keeps no checksum, the object is read once more.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: Option<String>,
}

/// Outputs of `store.download`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DownloadOutputs {
    /// The file.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

#[async_trait]
impl Step for DownloadStep {
    const KIND: &'static str = "store.download";
    const SUMMARY: &'static str =
        "Brings an object to a file and proves that it is whole; goes on after a crash";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = DownloadParams;
    type Outputs = DownloadOutputs;

    fn plan(&self, params: &Planned<DownloadParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check(params)?;
        }
        let (key, store, to) = (params.show("/key"), params.show("/store"), params.show("/to"));
        Ok(Intent { summary: format!("download {key} from {store} to {to}"), ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<DownloadParams>, cx: &PreflightContext) -> Preflight {
        look::preflight(params, cx).await
    }

    async fn probe(
        &self,
        params: &DownloadParams,
        cx: &StepContext,
    ) -> Result<Probe<DownloadOutputs>, StepError> {
        run::probe(params, &check(params)?, cx).await
    }

    async fn run(&self, params: &DownloadParams, cx: &StepContext) -> Result<DownloadOutputs, StepError> {
        run::run(params, &check(params)?, cx).await
    }
}

fn check(params: &DownloadParams) -> Result<Key, StepError> {
    if params.to.is_empty() || params.to.ends_with('/') {
        return Err(StepError::permanent("`to` names no file").help("write the path of the file to make"));
    }
    let digits = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if params.sha256.as_ref().is_some_and(|text| !digits(text)) {
        return Err(StepError::permanent("`sha256` is no SHA-256").help("write 64 hexadecimal digits"));
    }
    Key::new(&params.key).map_err(|error| {
        StepError::permanent(error.to_string())
            .help("write the object's whole name, such as `mysql/2026/11/22/backup.sql.gz`")
    })
}
