//! `backup.verify`: looks whether a backup is still what was written, and records the verdict beside it.

mod content;
mod files;
mod look;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_backup::catalogue;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::verdict::{Level, Verdict};
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::content::index_of;
use crate::looking;

/// The kind `backup.verify`.
#[derive(Debug, Clone, Copy)]
pub struct VerifyStep;

/// `with:` of `backup.verify`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyParams {
    /// Which: `backup://STORE/CLUSTER/ID`.
    pub backup: BackupUri,
    /// How thoroughly.
    #[serde(default = "default_level")]
    pub level: Level,
    /// Whether to store the verdict beside the backup, where `backup.find` and `backup.prune` see it.
    #[serde(default = "default_record")]
    pub record: bool,
}

fn default_level() -> Level {
    Level::Content
}

fn default_record() -> bool {
    true
}

/// Outputs of `backup.verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyOutputs {
    /// The backup.
    pub uri: BackupUri,
    /// How thoroughly it was looked at.
    pub level: Level,
    /// Objects that were read, the manifest not counted.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

#[async_trait]
impl Step for VerifyStep {
    const KIND: &'static str = "backup.verify";
    const SUMMARY: &'static str = "Reads a backup back, proves that it is whole, and records the verdict";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = VerifyParams;
    type Outputs = VerifyOutputs;

    fn plan(&self, params: &Planned<VerifyParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            refuse_restore(params.level)?;
        }
        let what = match params.value("/level").and_then(|level| level.as_str()) {
            Some("objects") => "sizes and checksums",
            _ => "sizes, checksums and every statement",
        };
        Ok(Intent { summary: format!("check {what} of {}", params.show("/backup")), ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<VerifyParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let preflight = if params.record {
            looking::store_writable(&params.backup.store, "/backup", cx).await
        } else {
            Preflight::default()
        };
        if !preflight.problems.is_empty() {
            return preflight;
        }
        backup_exists(&params.backup, cx).await
    }

    /// The verdict is one object, so there is never half of one: looking again is always safe.
    async fn probe(&self, _: &VerifyParams, _: &StepContext) -> Result<Probe<VerifyOutputs>, StepError> {
        Ok(Probe::Absent)
    }

    async fn run(&self, params: &VerifyParams, cx: &StepContext) -> Result<VerifyOutputs, StepError> {
        refuse_restore(params.level)?;
        let uri = &params.backup;
        let store = cx.store(&uri.store).await?;
        let found = look::look(&store, uri, params.level, cx).await?;
        let verdict = Verdict {
            level: params.level,
            ok: found.problems.is_empty(),
            at: cx.world().clock.now(),
            by_run: cx.run().clone(),
            problems: found.problems,
            drill: None,
        };
        let recorded =
            if params.record { catalogue::store_verdict(&*store, uri, &verdict).await } else { Ok(()) };
        if verdict.ok {
            recorded?;
            let (objects, bytes) = (found.objects, found.bytes);
            return Ok(VerifyOutputs { uri: uri.clone(), level: params.level, objects, bytes });
        }
        if let Err(error) = recorded {
            cx.warn(&format!("the verdict could not be stored: {error}"));
        }
        for problem in &verdict.problems {
            cx.log(problem);
        }
        Err(StepError::permanent(format!("{uri} is not whole: {}", verdict.problems.join("; ")))
            .help("make a new backup now; a copy in another store may be whole: verify it"))
    }
}

/// Reading a backup back never proves that it can be restored.
fn refuse_restore(level: Level) -> Result<(), StepError> {
    match level {
        Level::Objects | Level::Content => Ok(()),
        Level::Restore => Err(StepError::permanent("`level: restore` needs a server to restore into").help(
            "run the runbook restore-drill: it restores into a throw-away server and stores the verdict",
        )),
    }
}

/// Looks whether a backup is there at all.
pub(crate) async fn backup_exists(uri: &BackupUri, cx: &PreflightContext) -> Preflight {
    let store = match cx.step.store(&uri.store).await {
        Ok(store) => store,
        Err(error) => return Preflight::problem(Problem::unusable_store(error, "/backup")),
    };
    if let Err(error) = store.check_readable() {
        return Preflight::problem(Problem::no_key(&uri.store, &error, "/backup"));
    }
    let found = match catalogue::load_manifest(&*store, uri).await {
        // Damage is what verification is there to find.
        Ok(_) | Err(catalogue::CatalogueError::Damaged { .. }) => return Preflight::default(),
        Err(error) => StepError::from(error),
    };
    Preflight::problem(Problem {
        code: "rekindle::backup::not_usable",
        message: found.message,
        help: found.help,
        pointer: Some("/backup"),
    })
}
