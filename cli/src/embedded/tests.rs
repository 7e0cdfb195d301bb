use std::path::Path;

use jiff::Timestamp;
use rekindle_engine::compile::{CompileInput, compile};
use rekindle_engine::diagnostic::Diagnostic;
use rekindle_engine::document::Source;
use rekindle_engine::environment::{self, Environment};
use rekindle_engine::plan::{PinnedStep, Plan};
use rekindle_engine::step::Intent;
use rekindle_engine::{runbook, values};
use serde_json::json;

use super::*;
use crate::world;

/// Everything that a shipped runbook may name.
const WHOLE: &str = r#"
apiVersion: rekindle/v1
kind: Environment
name: whole
targets:
  primary:   { host: 127.0.0.1, user: root, password: { secret: root } }
  replica-0: { host: 127.0.0.1, port: 3307, user: root, password: { secret: root } }
  replica-1: { host: 127.0.0.1, port: 3308, user: root, password: { secret: root } }
stores:
  primary: { url: "file:backups" }
  offsite: { url: "file:offsite" }
secrets:
  root: { env: ROOT }
  replication: { env: REPLICATION }
"#;

fn whole() -> Environment {
    environment::parse(&Source::new("whole.yaml", WHOLE)).unwrap()
}

/// Compiles as `plan` does: with nothing looked up first, then with what the steps of the plan phase found.
fn compiled(name: &str, environment: &Environment, sets: &[&str]) -> Result<Plan, Vec<Diagnostic>> {
    let runbook = runbook::parse(&Source::new(name, super::runbook(name).unwrap()))?;
    let overrides: Vec<_> = sets.iter().map(|set| values::parse_set(set).unwrap()).collect();
    let registry = world::registry();
    let input = CompileInput {
        runbook: &runbook,
        environment,
        overrides: &overrides,
        registry: &registry,
        pinned: &[],
    };
    let first = compile(&input)?;
    let pinned: Vec<_> = first
        .unpinned
        .iter()
        .map(|step| {
            assert_eq!(step.kind, "backup.find", "of {name}: give this kind's outputs here");
            PinnedStep {
                id: step.id.clone(),
                kind: step.kind.clone(),
                outputs: found(),
                at: Timestamp::UNIX_EPOCH,
                intent: Intent::default(),
            }
        })
        .collect();
    let plan = compile(&CompileInput { pinned: &pinned, ..input })?;
    assert!(plan.unpinned.is_empty(), "{name} {sets:?}");
    Ok(plan)
}

fn found() -> serde_json::Value {
    json!({
        "uri": "backup://primary/whole/b1", "id": "b1", "store": "primary", "cluster": "whole",
        "recovery_point": "2026-11-22T15:35:00Z", "age_seconds": 60, "size_bytes": 1, "flavour": "mariadb",
        "version": "10.11.6", "verified": ["content"], "databases": 1, "tables": 1, "rows": 1,
    })
}

fn steps(name: &str, sets: &[&str]) -> Vec<String> {
    let plan = compiled(name, &whole(), sets).unwrap_or_else(|errors| panic!("{name} {sets:?}: {errors:#?}"));
    plan.steps.iter().map(|step| step.id.to_string()).collect()
}

#[test]
fn every_shipped_runbook_compiles_with_its_defaults() {
    for (name, _) in RUNBOOKS {
        // Where a sandbox keeps its data is the one thing that has no default.
        let sets: &[&str] = if name == SANDBOX_CLUSTER { &["directory=/tmp/sandbox"] } else { &[] };
        assert!(!steps(name, sets).is_empty(), "{name}");
    }
}

#[test]
fn a_backup_is_copied_to_every_further_store_and_thinned_by_any_rule() {
    let steps = steps(
        "backup",
        &["target=replica-0", "copy_to=[offsite]", "retention={keep_daily: 30, keep_monthly: 12}"],
    );
    assert_eq!(steps, ["full", "schema", "facts", "publish", "verify", "copy[0]", "prune", "report"]);
}

#[test]
fn both_levels_of_verification_compile() {
    for level in ["level=objects", "level=content"] {
        assert_eq!(steps("verify", &[level, "store=offsite", "backup=b1"]), ["verify", "report"]);
    }
}

#[test]
fn a_recovery_loads_and_compares_every_replica() {
    let steps = steps(
        "disaster-recovery",
        &["replicas=[replica-0, replica-1]", "reseed_replicas=true", "provision=sandbox", "verified=false"],
    );
    assert_eq!(
        steps,
        [
            "provision",
            "wait-ready",
            "restore",
            "reseed[0]",
            "reseed[1]",
            "reset-replication[0]",
            "reset-replication[1]",
            "verify",
            "compare-replicas[0]",
            "compare-replicas[1]",
            "report",
        ]
    );
}

#[test]
fn a_sandbox_has_a_server_for_every_replica() {
    let steps = steps(SANDBOX_CLUSTER, &["directory=/tmp/sandbox", "replicas=[replica-0]"]);
    assert_eq!(steps, ["primary", "replica[0]", "follow[0]"]);
}

#[test]
fn a_store_that_the_environment_has_not_is_refused() {
    let errors = compiled("backup", &whole(), &["copy_to=[elsewhere]"]).unwrap_err();
    assert!(errors.iter().any(|error| error.message.contains("elsewhere")), "{errors:#?}");
}

#[test]
fn the_quickstart_does_for_every_runbook_that_it_is_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart/environments/local.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let environment = environment::parse(&Source::new("local.yaml", &*text)).unwrap();
    for name in ["backup", "verify", "disaster-recovery"] {
        if let Err(errors) = compiled(name, &environment, &[]) {
            panic!("{name}: {errors:#?}");
        }
    }
}
