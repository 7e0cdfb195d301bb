//! What a plugin says.

use rekindle_engine::step::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A line on a plugin's standard output. Fields that are not known here are passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPlugin {
    /// The first line of every call, before anything is read.
    Hello(PluginHello),
    /// How far it is; also a sign of life.
    Progress {
        /// Bytes done so far.
        #[serde(default)]
        bytes: u64,
        /// Bytes in all, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        /// A word on what is being done now.
        #[serde(default)]
        note: String,
    },
    /// A sign of life.
    Heartbeat {},
    /// A line for the step's log.
    Log {
        /// The line.
        text: String,
    },
    /// A warning, kept in the journal.
    Warning {
        /// What to know.
        text: String,
    },
    /// What a later attempt needs to go on from here; answered by `checkpoint_kept` once it is on disk.
    Checkpoint {
        /// Any JSON, at most 64 KiB; no secrets.
        value: Value,
    },
    /// The one answer to the request, and the last line of the call.
    Result(Box<Answer>),
}

/// Who answers, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginHello {
    /// The protocol it speaks: 1.
    pub protocol: u32,
    /// The kind, as the executable's name says: `acme.notify` for `rekindle-step-acme.notify`.
    pub kind: String,
    /// Its own version.
    pub version: String,
    /// What it can do beyond `describe` and `run`: `plan`, `probe`, `cancel`, `checkpoint`. Others are passed over.
    #[serde(default)]
    pub features: Vec<String>,
    /// How long it may be silent before it is taken for dead; 60 when absent, at most 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_seconds: Option<u32>,
}

impl PluginHello {
    /// Tells whether it can do something.
    pub fn can(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }
}

/// An answer: exactly one of the fields, the one that the request asks for, or `error`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [
    { "required": ["description"] }, { "required": ["plan"] }, { "required": ["probe"] },
    { "required": ["outputs"] }, { "required": ["error"] }
]))]
pub struct Answer {
    /// To `describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// To `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanAnswer>,
    /// To `probe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeAnswer>,
    /// To `run`: it is done, and proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// To anything: it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<PluginError>,
}

impl Answer {
    /// Lists the fields that are there.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let fields = [
            ("description", self.description.is_some()),
            ("plan", self.plan.is_some()),
            ("probe", self.probe.is_some()),
            ("outputs", self.outputs.is_some()),
            ("error", self.error.is_some()),
        ];
        fields.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
}

/// What a kind is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// One third-person sentence for `rekindle steps`.
    pub summary: String,
    /// What it may do to the world; the runbook declares it when absent (`write` by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// JSON Schema (draft 2020-12) of `with:`, of type `object`, without `$ref`. Texts with the `format` `target`,
    /// `store` or `secret` are names in the environment.
    pub params: Map<String, Value>,
    /// JSON Schema of the outputs, of type `object`, without `$ref`.
    pub outputs: Map<String, Value>,
    /// What a step will do, for plans: `post {/text} to {/url}`, where `{/…}` is the parameter at a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// JSON pointers of parameters that name a target which can be reached once the step has succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
    /// Uses that work anywhere, run by `rekindle plugin test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// A use of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The parameters. In texts, `{dir}` stands for an empty folder made for the test.
    pub params: Value,
}

/// What a step would do, found out by looking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAnswer {
    /// The exact commands and statements, without secrets.
    #[serde(default)]
    pub commands: Vec<String>,
    /// What is worth knowing.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What would make the step fail.
    #[serde(default)]
    pub problems: Vec<PlanProblem>,
}

/// Something that would make a step fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanProblem {
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Whether a step's effect is there already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// Nothing of it is there.
    Absent {},
    /// It is there, proven.
    Complete {
        /// The outputs the step would have had.
        outputs: Map<String, Value>,
    },
    /// A part is there, and running again is not known to be safe.
    Partial {
        /// What.
        found: String,
    },
    /// Can't tell.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// Why a request could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginError {
    /// Whether trying again can help; `cancelled` in answer to `cancel`.
    pub class: rekindle_engine::step::ErrorClass,
    /// What went wrong: a lowercase fragment, without secrets.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
