//! The parts of a runbook. Anything that may hold a template stays a [`Node`].

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::{Location, Node, Source};
use crate::step::Effect;

/// A value with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub location: Location,
}

/// A versioned procedure, portable across environments.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// `name:`
    pub name: Spanned<String>,
    /// `version:`
    pub version: semver::Version,
    /// `requires:` as written, met by this program.
    pub requires: Option<String>,
    /// `summary:`, may be empty.
    pub summary: String,
    /// `values:` in order.
    pub values: Vec<ValueDeclaration>,
    /// `concurrency:`
    pub concurrency: Option<Concurrency>,
    /// `defaults:`
    pub defaults: Defaults,
    /// `steps:`
    pub steps: Vec<StepDefinition>,
    /// `on_failure:` runs once after a failure.
    pub on_failure: Vec<StepDefinition>,
    /// `finally:` runs always.
    pub finally: Vec<StepDefinition>,
}

/// A declared input.
#[derive(Debug, Clone)]
pub struct ValueDeclaration {
    /// Its name: a template identifier, so `snake_case`.
    pub name: Spanned<String>,
    /// Its type.
    pub kind: ValueType,
    /// Its default; a value without one must be given.
    pub default: Option<Node>,
    /// What it is for; may be empty.
    pub description: String,
}

/// The types of values.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueType {
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A duration with its unit.
    Duration,
    /// A size with its unit.
    Size,
    /// A path; relative to the working directory.
    Path,
    /// The name of a target of the environment.
    Target,
    /// The name of a store of the environment.
    Store,
    /// One of these texts (`type: string` with `enum: [...]`).
    Enum(Vec<String>),
    /// A list of items of one type (`items:`).
    List(Box<ValueType>),
    /// A map with values of any type.
    Map,
}

/// `concurrency:`
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// A template over `values` and `environment`; runs of one group exclude each other.
    pub group: Node,
    /// What to do when the group is taken.
    pub on_conflict: OnConflict,
}

/// What to do when the concurrency group is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Refuse to start.
    #[default]
    Fail,
    /// Wait until it is free.
    Wait,
}

/// `defaults:`, for every step that does not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Of one attempt.
    pub timeout: Option<Duration>,
    /// How failed attempts are repeated.
    pub retry: Option<Retry>,
}

/// When a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// While planning: read-only kinds; the result is pinned into the plan.
    Plan,
    /// In the run.
    #[default]
    Run,
}

/// What resume does with a step that was in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// Look whether its effect is there.
    Probe,
    /// Run it again.
    Rerun,
    /// Pause for a decision.
    Ask,
}

/// How failed attempts are repeated: `delay × backoff^(n-1)`, at most `max_delay`, each lengthened by up to
/// `jitter` of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// Tries in all, the first included; at least 1.
    pub attempts: u32,
    /// Before the second try.
    pub delay: crate::values::DurationText,
    /// The factor between delays, at least 1.
    pub backoff: f64,
    /// The longest delay.
    pub max_delay: crate::values::DurationText,
    /// A fraction from 0 to 1.
    pub jitter: f64,
}

/// One use of a kind.
#[derive(Debug, Clone)]
pub struct StepDefinition {
    /// `id:`, kebab-case.
    pub id: Spanned<String>,
    /// `name:` for people.
    pub name: Option<String>,
    /// `uses:`; `run` for the `run:` shorthand.
    pub uses: Spanned<String>,
    /// `with:`, a map node (empty when absent). `run:` and `env:` become its `command`/`script` and `env`.
    pub with: Node,
    /// `needs:`
    pub needs: Vec<Spanned<String>>,
    /// `when:`, an expression with or without braces, or a boolean.
    pub when: Option<Node>,
    /// `for_each:`, a template that gives a list or a map, or a literal one.
    pub for_each: Option<Node>,
    /// `max_parallel:` of the instances.
    pub max_parallel: Option<u32>,
    /// `retry:`
    pub retry: Option<Retry>,
    /// `timeout:` of one attempt.
    pub timeout: Option<Duration>,
    /// `deadline:` of all attempts and waits.
    pub deadline: Option<Duration>,
    /// `phase:`
    pub phase: Phase,
    /// `on_crash:`
    pub on_crash: Option<OnCrash>,
    /// `effect:`, for kinds that let it be declared.
    pub effect: Option<Spanned<Effect>>,
    /// `continue_on_error:`
    pub continue_on_error: bool,
    /// Why a patch of the environment disables it.
    pub disabled: Option<Spanned<String>>,
    /// The whole step.
    pub location: Location,
}
