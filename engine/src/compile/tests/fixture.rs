//! Kinds that do nothing, a small environment, and one line to compile a runbook.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compile::{CompileInput, compile};
use crate::composite;
use crate::diagnostic::Diagnostic;
use crate::document::{Source, rendering};
use crate::environment::{self, Environment, SecretRef};
use crate::id::{StoreName, TargetName};
use crate::plan::{EdgeReason, PinnedStep, Plan, PlanStep};
use crate::runbook;
use crate::step::{Effect, Intent, Planned, Registry, Step, StepContext, StepError};
use crate::values::DurationText;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindParams {
    #[allow(dead_code)]
    store: StoreName,
    #[serde(default)]
    #[allow(dead_code)]
    backup: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Outputs {
    uri: String,
    bytes: u64,
    names: Vec<String>,
    sizes: Vec<u64>,
    store: StoreName,
    position: Option<Position>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Position {
    gtid: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct WorkParams {
    /// The server to work on.
    target: TargetName,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    count: Option<u32>,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    others: Vec<TargetName>,
    #[serde(default)]
    account: Option<Account>,
    #[serde(default)]
    wait: Option<DurationText>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    All,
    SchemaOnly,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Account {
    user: String,
    password: SecretRef,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct RunParams {
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    script: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

macro_rules! kind {
    ($name:ident, $kind:literal, $effect:ident, $params:ty, declared $declared:literal, probes $probes:literal) => {
        struct $name;

        #[async_trait]
        impl Step for $name {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = "Does nothing.";
            const EFFECT: Effect = Effect::$effect;
            const EFFECT_IS_DECLARED: bool = $declared;
            const PROBES: bool = $probes;
            type Params = $params;
            type Outputs = Outputs;

            fn plan(&self, params: &Planned<$params>) -> Result<Intent, StepError> {
                if params.show("/text") == "refuse" {
                    return Err(StepError::permanent("that text is refused").help("write another"));
                }
                Ok(Intent { summary: params.rendered().to_string(), ..Intent::default() })
            }

            async fn run(&self, _: &$params, _: &StepContext) -> Result<Outputs, StepError> {
                Err(StepError::permanent("not for running"))
            }
        }
    };
}

kind!(Find, "backup.find", Read, FindParams, declared false, probes true);
kind!(Work, "test.work", Write, WorkParams, declared false, probes false);
kind!(Restore, "test.restore", Destroy, WorkParams, declared false, probes true);
kind!(Run, "run", Write, RunParams, declared true, probes false);

pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register(Find);
    registry.register(Work);
    registry.register(Restore);
    registry.register(Run);
    registry
}

pub(super) const ENVIRONMENT: &str = "\
apiVersion: rekindle/v1
kind: Environment
name: production
targets:
  primary: { host: 127.0.0.1, user: root, password: { secret: root } }
  replica-0: { host: 127.0.0.2, user: root }
  replica-1: { host: 127.0.0.3, user: root }
stores:
  primary: { url: \"file:backups\" }
secrets:
  root: { env: ROOT_PASSWORD }
";

const HEAD: &str = "\
apiVersion: rekindle/v1
kind: Runbook
name: test
version: 1.0.0
values:
  name: { type: string, default: shop }
  count: { type: integer, default: 3 }
  on: { type: boolean, default: true }
  off: { type: boolean, default: false }
  retention: { type: map, default: { keep_last: 5 } }
  replicas: { type: list, items: target, default: [replica-0, replica-1] }
  nobody: { type: list, items: target, default: [] }
  regions: { type: map, default: { eu: replica-0, us: replica-1 } }
";

pub(super) fn environment() -> Environment {
    environment::parse(&Source::new("production.yaml", ENVIRONMENT))
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)))
}

/// Compiles a runbook of these sections.
pub(super) fn compiled(sections: &str, pinned: &[PinnedStep]) -> Result<Plan, Vec<Diagnostic>> {
    compiled_by(&registry(), sections, pinned)
}

/// Gives a registry with composites of these names and documents, which begin with `values:` or `steps:`.
pub(super) fn with_composites(composites: &[(&str, &str)]) -> Registry {
    let mut registry = registry();
    let file = |(name, rest): &(&str, &str)| {
        let head = format!("apiVersion: rekindle/v1\nkind: StepKind\nname: {name}\nversion: 1.0.0\n");
        ((*name).to_owned(), Ok(Source::new(format!("kinds/{name}.yaml"), format!("{head}{rest}"))))
    };
    composite::register(&mut registry, composites.iter().map(file).collect());
    registry
}

/// Compiles with other kinds than the usual ones.
pub(super) fn compiled_by(
    registry: &Registry,
    sections: &str,
    pinned: &[PinnedStep],
) -> Result<Plan, Vec<Diagnostic>> {
    compiled_in(ENVIRONMENT, sections, pinned, registry)
}

/// Compiles a runbook of these sections in this environment.
pub(super) fn compiled_in(
    environment: &str,
    sections: &str,
    pinned: &[PinnedStep],
    registry: &Registry,
) -> Result<Plan, Vec<Diagnostic>> {
    let runbook = runbook::parse(&Source::new("test.yaml", format!("{HEAD}{sections}")))
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)));
    let environment = environment::parse(&Source::new("production.yaml", environment))
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)));
    compile(&CompileInput { runbook: &runbook, environment: &environment, overrides: &[], registry, pinned })
}

/// Compiles a runbook of these sections with patches of the environment.
pub(super) fn patched(sections: &str, patches: &str, pinned: &[PinnedStep]) -> Result<Plan, Vec<Diagnostic>> {
    let environment = format!("{ENVIRONMENT}patches: {{ test: [{patches}] }}\n");
    let environment = environment::parse(&Source::new("production.yaml", environment))
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)));
    let document = crate::document::parse(&Source::new("test.yaml", format!("{HEAD}{sections}"))).unwrap();
    let runbook = runbook::read_patched(&document, &environment.patches["test"])
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)));
    let registry = registry();
    let (runbook, environment) = (&runbook, &environment);
    compile(&CompileInput { runbook, environment, overrides: &[], registry: &registry, pinned })
}

/// Compiles a runbook that is right.
pub(super) fn plan(sections: &str) -> Plan {
    planned_with(sections, &[])
}

pub(super) fn planned_with(sections: &str, pinned: &[PinnedStep]) -> Plan {
    compiled(sections, pinned).unwrap_or_else(|found| panic!("{}", rendering::render(&found)))
}

/// Compiles a runbook that was changed after it was read, and writes what is wrong with it.
pub(super) fn mistakes_of(sections: &str, change: impl FnOnce(&mut runbook::Runbook)) -> String {
    let mut runbook = runbook::parse(&Source::new("test.yaml", format!("{HEAD}{sections}"))).unwrap();
    change(&mut runbook);
    let (environment, registry) = (environment(), registry());
    let input = CompileInput {
        runbook: &runbook,
        environment: &environment,
        overrides: &[],
        registry: &registry,
        pinned: &[],
    };
    rendering::render(&compile(&input).expect_err("the runbook is right"))
}

/// Compiles a runbook that is wrong, and writes what is wrong with it.
pub(super) fn mistakes(sections: &str) -> String {
    rendering::render(&compiled(sections, &[]).expect_err("the runbook is right"))
}

pub(super) fn pinned(id: &str, outputs: Value) -> PinnedStep {
    PinnedStep {
        id: id.into(),
        kind: "backup.find".to_owned(),
        outputs,
        at: Timestamp::UNIX_EPOCH,
        intent: Intent::default(),
    }
}

pub(super) fn step<'p>(plan: &'p Plan, id: &str) -> &'p PlanStep {
    plan.steps
        .iter()
        .chain(&plan.unpinned)
        .find(|step| step.id.as_str() == id)
        .unwrap_or_else(|| panic!("no step {id} in {:?}", ids(&plan.steps)))
}

pub(super) fn ids(steps: &[PlanStep]) -> Vec<&str> {
    steps.iter().map(|step| step.id.as_str()).collect()
}

/// Writes the edges of a step: `find (steps.find.outputs.uri), provision`.
pub(super) fn needs(plan: &Plan, id: &str) -> String {
    let edges = step(plan, id).needs.iter().map(|edge| match &edge.reason {
        EdgeReason::Declared => edge.step.to_string(),
        EdgeReason::Inferred { reference } => format!("{} ({reference})", edge.step),
        EdgeReason::Order => format!("{} (order)", edge.step),
    });
    edges.collect::<Vec<_>>().join(", ")
}
