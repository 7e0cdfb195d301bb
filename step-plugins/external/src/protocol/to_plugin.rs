//! What a plugin is told.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use rekindle_engine::environment::{StoreConfig, Target};
use rekindle_engine::host::Secret;
use rekindle_engine::id::{RunId, SecretName, StepId, StoreName, TargetName};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A line on a plugin's standard input: first `hello`, then one request, later perhaps the answers to checkpoints
/// and `cancel`. It stays open until the plugin has given its result.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPlugin {
    /// Answers the plugin's hello.
    Hello {
        /// The protocol that is spoken.
        protocol: u32,
        /// The version of rekindle.
        rekindle: String,
        /// How long a line may be.
        line_bytes: usize,
        /// How long the plugin may be silent.
        silence_seconds: u64,
    },
    /// What are you? Touches nothing.
    Describe {},
    /// What would you do? Read-only; sent to plugins with the feature `plan`.
    Plan(Box<PlanRequest>),
    /// Is the effect there already? Read-only; sent to plugins with the feature `probe`.
    Probe(Box<Task>),
    /// Do it.
    Run(Box<Task>),
    /// The last checkpoint is on disk.
    CheckpointKept {},
    /// Stop: end what you started, then give a result. Sent to plugins with the feature `cancel`.
    Cancel {},
}

/// A step as far as it is known before the run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanRequest {
    /// The step.
    pub step: StepId,
    /// The parameters; what is not known yet is a text such as `(known after find)`.
    pub params: Value,
    /// What is not known yet: JSON pointers (RFC 6901) into `params`, with the text that stands there.
    pub unknown: BTreeMap<String, String>,
    /// The targets that known parameters name. Their passwords are not given.
    pub targets: IndexMap<TargetName, Target>,
    /// The stores that known parameters name.
    pub stores: IndexMap<StoreName, StoreConfig>,
    /// Targets that steps before this one provide: they need not be reachable yet.
    pub provided: BTreeSet<TargetName>,
}

/// A step to run or to probe.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Task {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// The parameters, whole.
    pub params: Value,
    /// The targets that parameters name.
    pub targets: IndexMap<TargetName, Target>,
    /// The stores that parameters name.
    pub stores: IndexMap<StoreName, StoreConfig>,
    /// The secrets that parameters and targets name. They come this way only: never on a command line or in the
    /// environment.
    pub secrets: BTreeMap<SecretName, SecretText>,
    /// The last checkpoint of this step in this run; null when there is none.
    pub checkpoint: Option<Value>,
}

/// A secret on its way to a plugin's standard input: the only place where one is written out.
#[derive(Debug, Clone)]
pub struct SecretText(pub(crate) Secret);

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl ToPlugin {
    /// Names the request, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Describe {} => "describe",
            Self::Plan(_) => "plan",
            Self::Probe(_) => "probe",
            Self::Run(_) => "run",
            Self::CheckpointKept {} => "checkpoint_kept",
            Self::Cancel {} => "cancel",
        }
    }
}
