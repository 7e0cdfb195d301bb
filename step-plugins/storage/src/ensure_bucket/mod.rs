//! `store.ensure-bucket`: makes the bucket of a store if it is missing, and lets it keep backups as it should.

mod run;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_engine::host::Setting;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind `store.ensure-bucket`.
#[derive(Debug, Clone, Copy)]
pub struct EnsureBucketStep;

/// `with:` of `store.ensure-bucket`.
///
/// Where the bucket is made, the store's `region` says, of Google its `location` and `project`. Public access is blocked in any case. A `file:` store gets its
/// folder; the rest means nothing there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureBucketParams {
    /// The store.
    pub store: StoreName,
    /// `true`: what is replaced or deleted stays as an older version. `false`: that is left as it is.
    #[serde(default = "yes")]
    pub versioning: bool,
}

fn yes() -> bool {
    true
}

/// Outputs of `store.ensure-bucket`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnsureBucketOutputs {
    /// What was changed, in words; nothing when all was as it should be.
    pub changed: Vec<String>,
    /// The bucket's region or location, when the service tells.
    pub location: Option<String>,
    /// Whether it keeps versions.
    pub versioning: Setting,
    /// Whether public access is blocked.
    pub public_access_blocked: Setting,
}

#[async_trait]
impl Step for EnsureBucketStep {
    const KIND: &'static str = "store.ensure-bucket";
    const SUMMARY: &'static str =
        "Makes a store's bucket if it is missing, with versions kept and public access blocked";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = EnsureBucketParams;
    type Outputs = EnsureBucketOutputs;

    fn plan(&self, params: &Planned<EnsureBucketParams>) -> Result<Intent, StepError> {
        let store = params.show("/store");
        let versions = match params.get() {
            Some(params) if !params.versioning => "",
            Some(_) | None => " keeps versions and",
        };
        let summary =
            format!("see to it that the bucket of {store} is there,{versions} blocks public access");
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<EnsureBucketParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let store = match cx.step.store(&params.store).await {
            Ok(store) => store,
            Err(error) => return Preflight::problem(Problem::unusable_store(error, "/store")),
        };
        match run::preview(params, &*store).await {
            Ok(notes) => Preflight { notes, ..Preflight::default() },
            Err(error) => Preflight::problem(Problem::unusable_store(error, "/store")),
        }
    }

    /// Every change is idempotent: a part of them is no harm, and running again makes the rest.
    async fn probe(
        &self,
        params: &EnsureBucketParams,
        cx: &StepContext,
    ) -> Result<Probe<EnsureBucketOutputs>, StepError> {
        run::probe(params, cx).await
    }

    async fn run(
        &self,
        params: &EnsureBucketParams,
        cx: &StepContext,
    ) -> Result<EnsureBucketOutputs, StepError> {
        run::run(params, cx).await
    }
}
