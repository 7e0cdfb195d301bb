//! `store.lifecycle`: makes a bucket's lifecycle rules those that the environment declares.

mod difference;
#[cfg(test)]
mod form_tests;
pub(crate) mod gcs;
mod import;
mod run;
pub(crate) mod s3;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use form_tests::guide_rules;
pub use import::{ImportError, Imported, import};

/// The kind `store.lifecycle`.
#[derive(Debug, Clone, Copy)]
pub struct LifecycleStep;

/// `with:` of `store.lifecycle`.
///
/// Rules that the declaration did not make stay as they are. Since the rules delete, running it needs consent as
/// everything that destroys does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifecycleParams {
    /// The store whose `lifecycle`, in the environment, is to hold.
    pub store: StoreName,
}

/// Outputs of `store.lifecycle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LifecycleOutputs {
    /// Whether this changed anything.
    pub changed: bool,
    /// The declared rules in words, as they were read back.
    pub rules: Vec<String>,
    /// How many rules the bucket has besides.
    pub other_rules: u64,
}

#[async_trait]
impl Step for LifecycleStep {
    const KIND: &'static str = "store.lifecycle";
    const SUMMARY: &'static str = "Makes a bucket's lifecycle rules those that the environment declares";
    // The rules delete backups, though not now.
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = LifecycleParams;
    type Outputs = LifecycleOutputs;

    fn plan(&self, params: &Planned<LifecycleParams>) -> Result<Intent, StepError> {
        let summary =
            format!("let the bucket of {} keep the lifecycle of the environment", params.show("/store"));
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<LifecycleParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let lifecycle = match run::declared(params, &cx.step) {
            Ok(lifecycle) => lifecycle,
            Err(error) => {
                return Preflight::problem(Problem {
                    code: "rekindle::store::no_lifecycle",
                    message: error.message,
                    help: error.help,
                    pointer: Some("/store"),
                });
            }
        };
        let store = match cx.step.store(&params.store).await {
            Ok(store) => store,
            Err(error) => return Preflight::problem(Problem::unusable_store(error, "/store")),
        };
        match run::preview(lifecycle, &*store).await {
            Ok(notes) => Preflight { notes, ..Preflight::default() },
            Err(error) => Preflight::problem(error.into()),
        }
    }

    /// The rules are replaced in one request, and those of others are not touched by doing it again.
    async fn probe(
        &self,
        params: &LifecycleParams,
        cx: &StepContext,
    ) -> Result<Probe<LifecycleOutputs>, StepError> {
        run::probe(params, cx).await
    }

    async fn run(&self, params: &LifecycleParams, cx: &StepContext) -> Result<LifecycleOutputs, StepError> {
        run::run(params, cx).await
    }
}
