//! `backup.mark`: says of a backup that pruning must leave it alone, or no longer so, and why; and labels it.

mod check;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::looking;

/// The kind `backup.mark`.
#[derive(Debug, Clone, Copy)]
pub struct MarkStep;

/// `with:` of `backup.mark`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkParams {
    /// Which: `backup://STORE/CLUSTER/ID`.
    pub backup: BackupUri,
    /// `true`: pruning never removes it. `false`: pruning judges it as any other. Absent: as it was.
    #[serde(default)]
    pub keep: Option<bool>,
    /// Why; must be given to keep one, and is shown wherever pruning is.
    #[serde(default)]
    pub reason: String,
    /// Labels to set, over those it has; the empty text takes one away.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Outputs of `backup.mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkOutputs {
    /// The backup.
    pub uri: BackupUri,
    /// Whether pruning leaves it alone.
    pub keep: bool,
    /// Why it is kept, or no longer is.
    pub reason: String,
    /// All its labels, those of the manifest included.
    pub labels: BTreeMap<String, String>,
    /// Whether this changed anything.
    pub changed: bool,
}

#[async_trait]
impl Step for MarkStep {
    const KIND: &'static str = "backup.mark";
    const SUMMARY: &'static str = "Keeps a backup from being pruned, or gives it free again, and labels it";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = MarkParams;
    type Outputs = MarkOutputs;

    fn plan(&self, params: &Planned<MarkParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check::check(params)?;
        }
        let (backup, reason) = (params.show("/backup"), params.show("/reason"));
        let summary = match (params.show("/keep").as_str(), reason.as_str()) {
            ("true", reason) => format!("keep {backup} from being pruned: {reason}"),
            ("false", "") => format!("let pruning judge {backup} as any other"),
            ("false", reason) => format!("let pruning judge {backup} as any other: {reason}"),
            ("", _) => format!("label {backup}"),
            (unknown, _) => format!("mark {backup} as kept or not: {unknown}"),
        };
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<MarkParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let mut preflight = looking::store_writable(&params.backup.store, "/backup", cx).await;
        if preflight.problems.is_empty()
            && let Err(error) = run::look(&params.backup, &cx.step).await
        {
            let (message, help) = (error.message, error.help);
            preflight.problems.push(Problem {
                code: "rekindle::backup::not_usable",
                message,
                help,
                pointer: Some("/backup"),
            });
        }
        preflight
    }

    /// The mark is one object, so it says what was asked for, or something else as a whole.
    async fn probe(&self, params: &MarkParams, cx: &StepContext) -> Result<Probe<MarkOutputs>, StepError> {
        check::check(params)?;
        run::probe(params, cx).await
    }

    async fn run(&self, params: &MarkParams, cx: &StepContext) -> Result<MarkOutputs, StepError> {
        check::check(params)?;
        run::run(params, cx).await
    }
}
