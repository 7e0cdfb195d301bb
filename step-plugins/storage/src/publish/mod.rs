//! `backup.publish`: proves that every object of a backup is there, then writes the manifest that makes it exist.

mod draft;
pub(crate) mod instructions;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_backup::layout::{BackupUri, SERVER_FACTS};
use rekindle_backup::manifest::{BackupKind, Manifest};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::looking;

/// The kind `backup.publish`.
#[derive(Debug, Clone, Copy)]
pub struct PublishStep;

/// `with:` of `backup.publish`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishParams {
    /// Where the objects lie.
    pub store: StoreName,
    /// The backup's id; the run's id when absent, as for `mysql.dump`.
    #[serde(default)]
    pub id: Option<String>,
    /// The names of the dumps, as their `mysql.dump` steps have them: `[full, schema]`; or of one stream of files, as its
    /// `mysql.backup-physical` step has it: `[base]`.
    #[schemars(length(min = 1))]
    pub objects: Vec<String>,
    /// The object that says what the server was, written by `mysql.inspect`.
    #[serde(default = "default_facts")]
    pub facts: String,
    /// Free labels, kept in the manifest.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How the backup was made; what its objects say, when absent.
    #[serde(default)]
    pub kind: Option<BackupKind>,
}

fn default_facts() -> String {
    SERVER_FACTS.to_owned()
}

/// Outputs of `backup.publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishOutputs {
    /// The backup: `backup://STORE/CLUSTER/ID`.
    pub uri: BackupUri,
    /// Its id.
    pub id: String,
    /// Size of its objects.
    pub size_bytes: u64,
    /// The point in time that restoring it leads to (UTC).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
    /// Base tables in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
}

impl PublishOutputs {
    fn of(uri: BackupUri, manifest: &Manifest) -> Self {
        Self {
            id: uri.id.clone(),
            uri,
            size_bytes: manifest.size_bytes(),
            recovery_point: manifest.recovery_point(),
            tables: manifest.inventory.table_count(),
            rows: manifest.inventory.row_count(),
        }
    }
}

#[async_trait]
impl Step for PublishStep {
    const KIND: &'static str = "backup.publish";
    const SUMMARY: &'static str =
        "Reads every object of a backup back and writes the manifest that makes it exist";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = PublishParams;
    type Outputs = PublishOutputs;

    fn plan(&self, params: &Planned<PublishParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check(params)?;
        }
        let id = params.show("/id");
        let name = if id.is_empty() { "this run's backup" } else { &id };
        Ok(Intent {
            summary: format!("check and publish {name} in {}", params.show("/store")),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<PublishParams>, cx: &PreflightContext) -> Preflight {
        looking::writable(params, "/store", cx).await
    }

    async fn probe(
        &self,
        params: &PublishParams,
        cx: &StepContext,
    ) -> Result<Probe<PublishOutputs>, StepError> {
        run::probe(params, cx).await
    }

    async fn run(&self, params: &PublishParams, cx: &StepContext) -> Result<PublishOutputs, StepError> {
        check(params)?;
        run::run(params, cx).await
    }
}

fn check(params: &PublishParams) -> Result<(), StepError> {
    if params.objects.is_empty() {
        return Err(StepError::permanent("`objects` names no dump")
            .help("name the dumps that make up the backup: `objects: [full]`"));
    }
    for (position, name) in params.objects.iter().enumerate() {
        if params.objects[..position].contains(name) {
            return Err(StepError::permanent(format!("`objects` names `{name}` twice")));
        }
    }
    Ok(())
}

/// Names the backup that is to be published.
fn uri(params: &PublishParams, cx: &StepContext) -> Result<BackupUri, StepError> {
    let id = params.id.as_deref().unwrap_or(cx.run().as_str());
    let text = format!("backup://{}/{}/{id}", params.store, cx.settings().cluster());
    text.parse().map_err(|_| {
        StepError::permanent(format!("`{id}` of cluster `{}` can't name a backup", cx.settings().cluster()))
            .help("an id and a cluster's name have no `/` and are not `.` or `..`")
    })
}
