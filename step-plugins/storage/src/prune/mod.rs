//! `backup.prune`: removes the backups that no rule keeps, and what failed runs left behind.

mod binlogs;
#[cfg(test)]
mod binlogs_tests;
mod run;
#[cfg(test)]
mod series_tests;
mod sweep;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unfinished_tests;
#[cfg(test)]
mod used_tests;

use async_trait::async_trait;
use rekindle_backup::retention::{KeepRules, Only, Promise, Window};
use rekindle_engine::environment::Settings;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::looking;

/// The kind `backup.prune`.
#[derive(Debug, Clone, Copy)]
pub struct PruneStep;

/// `with:` of `backup.prune`.
///
/// Logical and physical backups, and those of some databases or tables, are counted apart, each series by itself.
/// Whatever the rules say, the newest backup, the last verified one, marked ones, those that another run works with,
/// those whose manifest can't be read, and those that `keep_binlogs_within` and the environment's
/// `objectives.recovery_window` stand on stay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneParams {
    /// Where.
    pub store: StoreName,
    /// Of which cluster; the environment's own when absent. Others are never touched.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Which backups stay; at least one rule.
    pub keep: KeepRules,
    /// Which backups the rules are for: those of one kind that cover just this, as `{ kind: logical }` of everything. All
    /// others stay. They are for every series when absent.
    #[serde(default)]
    pub only: Option<Only>,
    /// How far back any point in time is to be reached, by archived binary logs. As far as the oldest backup that stays
    /// when absent. Logs that are older go; those that are needed from there on never do, nor does the backup that they
    /// are replayed onto.
    #[serde(default)]
    pub keep_binlogs_within: Option<DurationText>,
}

impl PruneParams {
    /// Gives what was promised, here and in the environment.
    fn windows(&self, settings: &Settings) -> Vec<Window> {
        let recovery = settings.objectives.as_ref().and_then(|objectives| objectives.recovery_window);
        let recovery = recovery.map(|length| Window { length, promise: Promise::Recovery });
        self.logs_window().into_iter().chain(recovery).collect()
    }

    /// Gives how far back archived logs are promised, where that was said.
    fn logs_window(&self) -> Option<Window> {
        self.keep_binlogs_within.map(|length| Window { length, promise: Promise::BinaryLogs })
    }
}

/// Outputs of `backup.prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PruneOutputs {
    /// What stays, the newest first.
    pub kept: Vec<Fate>,
    /// What was removed, the newest first; leftovers of failed runs last.
    pub removed: Vec<Fate>,
    /// Archived binary logs that were removed, the oldest first: `SERVER/TIMELINE/LOG:POSITION`.
    #[serde(default)]
    pub removed_binlogs: Vec<Fate>,
    /// What else was removed, by its name in the store: what archivers that died had stored of logs, and uploads that
    /// nobody goes on with.
    #[serde(default)]
    pub removed_unfinished: Vec<Fate>,
}

/// What becomes of a backup, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fate {
    /// The backup's id, the log's place, or the name.
    pub id: String,
    /// Every reason.
    pub reason: String,
}

#[async_trait]
impl Step for PruneStep {
    const KIND: &'static str = "backup.prune";
    const SUMMARY: &'static str = "Removes the backups that no rule keeps, and what failed runs left behind";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = PruneParams;
    type Outputs = PruneOutputs;

    fn plan(&self, params: &Planned<PruneParams>) -> Result<Intent, StepError> {
        let store = params.show("/store");
        let summary = match params.get() {
            Some(params) => {
                check(params)?;
                let only = params.only.as_ref().map(|only| format!("; only {only}")).unwrap_or_default();
                format!("remove the backups in {store} that no rule keeps (keep {}{only})", params.keep)
            }
            None => format!("remove the backups in {store} that no rule keeps"),
        };
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<PruneParams>, cx: &PreflightContext) -> Preflight {
        let mut preflight = looking::writable(params, "/store", cx).await;
        if let Some(params) = params.get().filter(|_| preflight.problems.is_empty()) {
            match run::preview(params, &cx.step).await {
                Ok(notes) => preflight.notes = notes,
                Err(error) => preflight.problems.push(error.into()),
            }
        }
        preflight
    }

    /// Every run decides anew from what is there, and a removal that was cut short is finished by the next one,
    /// so there is never anything in the way of running.
    async fn probe(&self, _: &PruneParams, _: &StepContext) -> Result<Probe<PruneOutputs>, StepError> {
        Ok(Probe::Absent)
    }

    async fn run(&self, params: &PruneParams, cx: &StepContext) -> Result<PruneOutputs, StepError> {
        check(params)?;
        run::run(params, cx).await
    }
}

fn check(params: &PruneParams) -> Result<(), StepError> {
    if params.keep.is_empty() {
        return Err(StepError::permanent("`keep` has no rule, so it would say of no backup that it stays")
            .help("give at least one: `keep: { keep_last: 7, keep_within: 7d }`"));
    }
    Ok(())
}
