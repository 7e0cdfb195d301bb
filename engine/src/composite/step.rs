//! Composite kinds as step kinds: what is known of one, and the step that ends a group.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::Schema;
use serde_json::Value;

use crate::step::{
    Effect, ErasedStep, Intent, KindInfo, ParamsError, Preflight, PreflightContext, Probe, StepContext,
    StepError,
};

/// The step that ends a group: its parameters are the outputs of the group, rendered, and it gives them.
///
/// In a registry, by the name of a composite, it holds what is known of that one.
pub(crate) struct Gather {
    info: KindInfo,
}

impl Gather {
    /// Makes the kind that a registry holds for a composite.
    pub(crate) fn of(info: KindInfo) -> Self {
        Self { info }
    }

    /// Makes the kind that ends any group, also of a composite whose file is gone by now.
    pub(crate) fn any(kind: &str, version: &str, digest: &str) -> Self {
        let open = || Schema::from(true);
        Self {
            info: KindInfo {
                kind: kind.to_owned(),
                summary: "Ends a group of steps.".to_owned(),
                version: version.to_owned(),
                digest: Some(digest.to_owned()),
                effect: Effect::Read,
                effect_is_declared: false,
                probes: false,
                params: open(),
                outputs: open(),
            },
        }
    }
}

#[async_trait]
impl ErasedStep for Gather {
    fn info(&self) -> &KindInfo {
        &self.info
    }

    fn check_params(&self, _: &Value) -> Result<(), ParamsError> {
        Ok(())
    }

    fn plan(&self, _: &Value, _: &BTreeMap<String, String>) -> Result<Intent, StepError> {
        Ok(Intent::default())
    }

    async fn preflight(&self, _: &Value, _: &BTreeMap<String, String>, _: &PreflightContext) -> Preflight {
        Preflight::default()
    }

    async fn probe(&self, params: &Value, _: &StepContext) -> Result<Probe<Value>, StepError> {
        Ok(Probe::Complete(params.clone()))
    }

    async fn run(&self, params: &Value, _: &StepContext) -> Result<Value, StepError> {
        Ok(params.clone())
    }
}
