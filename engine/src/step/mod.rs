//! What a step kind is, and what it may use.

mod context;
mod effect;
mod erased;
mod error;
mod looking;
mod opening;
mod planned;
mod registry;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use context::{Preflight, PreflightContext, Problem, Progress, Reporter, StepContext, StepContextParts};
pub(crate) use effect::EFFECTS;
pub use effect::Effect;
pub use erased::{ErasedStep, ParamsError};
pub use error::{ErrorClass, StepError};
pub use opening::open_store;
pub use planned::Planned;
pub use registry::{KindInfo, Load, Registry};

use crate::id::TargetName;
use crate::values::DurationText;

/// One step kind: what `uses:` names.
///
/// A kind never sees a template: it receives rendered, typed parameters. It talks to the driver only through
/// [`StepContext`].
#[async_trait]
pub trait Step: Send + Sync + 'static {
    /// The name, such as `mysql.dump`.
    const KIND: &'static str;
    /// One third-person sentence for `rekindle steps`.
    const SUMMARY: &'static str;
    /// What it may do to the world.
    const EFFECT: Effect;
    /// Whether the runbook may declare another effect (`run` and external kinds only).
    const EFFECT_IS_DECLARED: bool = false;
    /// Whether [`Step::probe`] can tell something; decides what resume does by default.
    const PROBES: bool = false;
    /// Parameters: the user's `with:`. Use `deny_unknown_fields`, no `flatten`, no `untagged`.
    type Params: DeserializeOwned + JsonSchema + Send + Sync;
    /// What later steps can refer to as `steps.ID.outputs`.
    type Outputs: Serialize + DeserializeOwned + JsonSchema + Send;

    /// Says what the step will do. Pure: no IO. Unknown parameters are typed unknowns.
    fn plan(&self, params: &Planned<Self::Params>) -> Result<Intent, StepError>;

    /// Says what approval the step asks for by its nature, whatever the environment's policy is. Pure.
    ///
    /// # Errors
    /// When what it depends on is not known while planning: what is agreed to must be fixed in the plan.
    fn approval(&self, _params: &Planned<Self::Params>) -> Result<Option<AskedApproval>, StepError> {
        Ok(None)
    }

    /// Looks, read-only, whether what the step needs is there: reachable, allowed, installed, writable.
    /// Runs for `plan` and before a run begins. A problem here means exit 2 with nothing touched.
    async fn preflight(&self, _params: &Planned<Self::Params>, _cx: &PreflightContext) -> Preflight {
        Preflight::default()
    }

    /// Looks, read-only, whether the step's effect is already there.
    async fn probe(
        &self,
        _params: &Self::Params,
        _cx: &StepContext,
    ) -> Result<Probe<Self::Outputs>, StepError> {
        Ok(Probe::Unknown { why: format!("{} has no probe", Self::KIND) })
    }

    /// Does it, and returns only on proof.
    async fn run(&self, params: &Self::Params, cx: &StepContext) -> Result<Self::Outputs, StepError>;
}

/// What a step will do, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
pub struct Intent {
    /// One sentence: `dump all databases of primary into file:///backups`.
    pub summary: String,
    /// Commands and statements that are known without looking, one a line, secrets masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Targets that can be reached once this step has succeeded; later steps don't check them beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<TargetName>,
    /// Files of the project that it reads or runs, by path: a saved plan is refused when one of them has changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

/// What approval a step asks for by its nature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedApproval {
    /// How many people must agree; absent means as many as the environment's policy says.
    pub needed: Option<u32>,
    /// How long they are waited for; absent means as long as the environment's policy says.
    pub timeout: Option<DurationText>,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe<O> {
    /// Nothing of the effect is there: the step can run.
    Absent,
    /// The effect is there, proven, with the outputs the step would have had.
    Complete(O),
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
