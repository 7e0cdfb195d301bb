//! A step kind without its types, as the driver holds it: JSON in, JSON out.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use async_trait::async_trait;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{
    AskedApproval, Intent, KindInfo, Planned, Preflight, PreflightContext, Probe, Step, StepContext,
    StepError,
};

/// Why parameters don't fit a kind's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamsError {
    /// JSON pointer of the value that does not fit; empty for the whole.
    pub pointer: String,
    /// What serde says.
    pub message: String,
}

/// A [`Step`] with its types hidden.
#[async_trait]
pub trait ErasedStep: Send + Sync {
    /// What is known of it.
    fn info(&self) -> &KindInfo;

    /// Checks that fully known parameters fit the kind's type.
    fn check_params(&self, params: &Value) -> Result<(), ParamsError>;

    /// As [`Step::plan`]. `unknown` is empty when everything in `rendered` is known.
    fn plan(&self, rendered: &Value, unknown: &BTreeMap<String, String>) -> Result<Intent, StepError>;

    /// As [`Step::approval`]. `unknown` is empty when everything in `rendered` is known.
    fn approval(
        &self,
        _rendered: &Value,
        _unknown: &BTreeMap<String, String>,
    ) -> Result<Option<AskedApproval>, StepError> {
        Ok(None)
    }

    /// As [`Step::preflight`].
    async fn preflight(
        &self,
        rendered: &Value,
        unknown: &BTreeMap<String, String>,
        cx: &PreflightContext,
    ) -> Preflight;

    /// As [`Step::probe`].
    async fn probe(&self, params: &Value, cx: &StepContext) -> Result<Probe<Value>, StepError>;

    /// As [`Step::run`].
    async fn run(&self, params: &Value, cx: &StepContext) -> Result<Value, StepError>;
}

pub(super) struct Adapter<S> {
    step: S,
    info: KindInfo,
    marker: PhantomData<S>,
}

impl<S: Step> Adapter<S> {
    pub(super) fn new(step: S) -> Self {
        let generator =
            || SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
        let info = KindInfo {
            kind: S::KIND.to_owned(),
            summary: S::SUMMARY.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digest: None,
            effect: S::EFFECT,
            effect_is_declared: S::EFFECT_IS_DECLARED,
            probes: S::PROBES,
            params: generator().into_root_schema_for::<S::Params>(),
            outputs: generator().into_root_schema_for::<S::Outputs>(),
        };
        Self { step, info, marker: PhantomData }
    }
}

fn read<T: serde::de::DeserializeOwned>(params: &Value) -> Result<T, ParamsError> {
    serde_path_to_error::deserialize(params).map_err(|error| {
        let pointer = error.path().iter().fold(String::new(), |pointer, segment| {
            let part = match segment {
                serde_path_to_error::Segment::Seq { index } => index.to_string(),
                serde_path_to_error::Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
                serde_path_to_error::Segment::Enum { variant } => variant.clone(),
                serde_path_to_error::Segment::Unknown => return pointer,
            };
            format!("{pointer}/{part}")
        });
        ParamsError { pointer, message: error.into_inner().to_string() }
    })
}

fn typed<S: Step>(params: &Value) -> Result<S::Params, StepError> {
    read(params).map_err(|error| {
        StepError::permanent(format!("the parameters do not fit {}: {}{}", S::KIND, error.message, {
            if error.pointer.is_empty() { String::new() } else { format!(" at {}", error.pointer) }
        }))
    })
}

fn untyped<O: serde::Serialize>(outputs: &O) -> Result<Value, StepError> {
    serde_json::to_value(outputs)
        .map_err(|error| StepError::permanent(format!("the outputs can't be written as JSON: {error}")))
}

fn planned<S: Step>(
    rendered: &Value,
    unknown: &BTreeMap<String, String>,
) -> Result<Planned<S::Params>, StepError> {
    if unknown.is_empty() {
        Ok(Planned::known(typed::<S>(rendered)?, rendered.clone()))
    } else {
        Ok(Planned::partly_known(rendered.clone(), unknown.clone()))
    }
}

#[async_trait]
impl<S: Step> ErasedStep for Adapter<S> {
    fn info(&self) -> &KindInfo {
        &self.info
    }

    fn check_params(&self, params: &Value) -> Result<(), ParamsError> {
        read::<S::Params>(params).map(|_| ())
    }

    fn plan(&self, rendered: &Value, unknown: &BTreeMap<String, String>) -> Result<Intent, StepError> {
        self.step.plan(&planned::<S>(rendered, unknown)?)
    }

    fn approval(
        &self,
        rendered: &Value,
        unknown: &BTreeMap<String, String>,
    ) -> Result<Option<AskedApproval>, StepError> {
        self.step.approval(&planned::<S>(rendered, unknown)?)
    }

    async fn preflight(
        &self,
        rendered: &Value,
        unknown: &BTreeMap<String, String>,
        cx: &PreflightContext,
    ) -> Preflight {
        match planned::<S>(rendered, unknown) {
            Ok(planned) => self.step.preflight(&planned, cx).await,
            Err(error) => Preflight::problem(error.into()),
        }
    }

    async fn probe(&self, params: &Value, cx: &StepContext) -> Result<Probe<Value>, StepError> {
        Ok(match self.step.probe(&typed::<S>(params)?, cx).await? {
            Probe::Absent => Probe::Absent,
            Probe::Complete(outputs) => Probe::Complete(untyped(&outputs)?),
            Probe::Partial { found } => Probe::Partial { found },
            Probe::Unknown { why } => Probe::Unknown { why },
        })
    }

    async fn run(&self, params: &Value, cx: &StepContext) -> Result<Value, StepError> {
        untyped(&self.step.run(&typed::<S>(params)?, cx).await?)
    }
}
