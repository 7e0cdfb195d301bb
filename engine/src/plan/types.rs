//! The parts of a plan.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Origin;
use crate::document::{Location, Node};
use crate::environment::Settings;
use crate::id::StepId;
use crate::runbook::{OnConflict, OnCrash, Retry};
use crate::step::{Effect, Intent};
use crate::values::DurationText;

/// The plan's format; a reader refuses a newer one.
pub const PLAN_FORMAT: u32 = 2;

/// What will be done, in an order that the edges leave open.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// sha256 (hex) over everything below, see [`Plan::compute_hash`].
    pub hash: String,
    /// Which procedure.
    pub runbook: RunbookIdentity,
    /// What it was made from.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// Where: targets, stores, secret references.
    pub settings: Settings,
    /// The values after all layers; a map.
    pub values: Value,
    /// `concurrency:`, rendered.
    pub concurrency: Option<Group>,
    /// Steps that ran while planning, with what they found.
    pub pinned: Vec<PinnedStep>,
    /// `phase: plan` steps that have not run yet; a plan that has some is not ready to run.
    pub unpinned: Vec<PlanStep>,
    /// All other steps of all sections, in runbook order. The steps of a group stand together, its end last.
    pub steps: Vec<PlanStep>,
    /// The uses of composite kinds, by the id of the step that ends each; outer ones before those in them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub groups: IndexMap<StepId, StepGroup>,
}

/// One use of a composite kind: what its steps share, and what their templates see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepGroup {
    /// The composite kind.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// sha256 (hex) of its text.
    pub sha256: String,
    /// Its values: `with:` of the step that uses it over the defaults. Templates are of the names around it.
    pub values: Param,
    /// `when:` of the step that uses it, when it is not known yet; of the names around it. Holds for each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// `each.key` and `each.value` of the step that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Value>,
    /// The group around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<StepId>,
}

/// Which procedure a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookIdentity {
    /// `name:`
    pub name: String,
    /// `version:`
    pub version: String,
    /// `summary:`
    pub summary: String,
    /// sha256 (hex) of its text.
    pub sha256: String,
    /// `requires:`, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
}

/// Runs of one group exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The name.
    pub name: String,
    /// What to do when it is taken.
    pub on_conflict: OnConflict,
}

/// A step that ran while planning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PinnedStep {
    /// Which.
    pub id: StepId,
    /// Its kind.
    pub kind: String,
    /// What it found.
    pub outputs: Value,
    /// When it looked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What it did, for people.
    pub intent: Intent,
}

/// Which list of the runbook a step stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// `steps:`
    Main,
    /// `on_failure:` starts after `Main` has ended with a failure. Runs in the order written.
    OnFailure,
    /// `finally:` starts last, always. Runs in the order written.
    Finally,
}

/// One step, or one instance of a `for_each`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// `restore` or `restore[2]`; in a group `reseed[0]/restore`.
    pub id: StepId,
    /// The id in the runbook: `restore`; in a group `reseed[0]/restore`.
    pub definition: StepId,
    /// The group in whose names its templates are written. The step that ends a group has the group's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<StepId>,
    /// `name:`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `uses:`
    pub kind: String,
    /// Which list it stands in.
    pub section: Section,
    /// The kind's effect, or the declared one.
    pub effect: Effect,
    /// `with:`, rendered as far as it is known.
    pub params: Param,
    /// `when:` as an expression without braces, when it is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// It will not run: `when:` was false while compiling, or it is disabled.
    #[serde(default)]
    pub skipped: bool,
    /// Why the environment disables it; such a step is `skipped` as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// `each.key` and `each.value` of an instance: `{"key": …, "value": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Value>,
    /// Steps of the same section that must end first.
    pub needs: Vec<Edge>,
    /// How failed attempts are repeated; absent means one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// Of all attempts and waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DurationText>,
    /// How many instances of `definition` may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// A failure here only warns.
    #[serde(default)]
    pub continue_on_error: bool,
    /// What resume does with it when it was in flight.
    pub on_crash: OnCrash,
    /// Who must agree before its first attempt; absent means nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// What it will do, for people.
    pub intent: Intent,
    /// Where `with:` stands, to point at in diagnostics; not kept in stored plans.
    #[serde(skip)]
    pub with: Option<Node>,
    /// Where the step stands; not kept in stored plans.
    #[serde(skip)]
    pub location: Option<Location>,
}

impl PlanStep {
    /// Tells whether it is the last step of a group, which gives the group's outputs.
    pub fn ends_group(&self) -> bool {
        self.group.as_ref() == Some(&self.id)
    }
}

/// How many people must agree before a step's first attempt, and how long they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRule {
    /// How many; each person counts once.
    pub needed: u32,
    /// How long they are waited for; then the step fails. Absent means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
}

impl ApprovalRule {
    /// Says it for people: `approval by 2 within 4h`.
    pub fn words(&self) -> String {
        let within = self.timeout.map_or_else(String::new, |timeout| format!(" within {timeout}"));
        format!("approval by {}{within}", self.needed)
    }
}

/// Why and on what a step waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// The step that must end first.
    pub step: StepId,
    /// Why.
    pub reason: EdgeReason,
}

/// Where an edge comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EdgeReason {
    /// `needs:`
    Declared,
    /// A template refers to the step.
    Inferred {
        /// The reference: `steps.find.outputs.uri`.
        reference: String,
    },
    /// The order of `on_failure:` and `finally:`.
    Order,
}

/// A parameter tree: values that are known, templates that are not yet. Known values are never rendered again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Param {
    /// Known.
    Value(Value),
    /// A template over `steps`, `run`, `failure` (and anything else), to be rendered when the step starts.
    Template(String),
    /// A list of which something is not known.
    List(Vec<Param>),
    /// A map of which something is not known.
    Map(IndexMap<String, Param>),
}
