use std::path::Path;

use jiff::Timestamp;
use rekindle_engine::compile::{CompileInput, compile};
use rekindle_engine::diagnostic::Diagnostic;
use rekindle_engine::document::Source;
use rekindle_engine::environment::{self, Environment};
use rekindle_engine::id::StoreName;
use rekindle_engine::plan::{self, Beside, PinnedStep, Plan, Style};
use rekindle_engine::runbook::Runbook;
use rekindle_engine::step::Intent;
use rekindle_engine::{runbook, values};
use serde_json::json;

use super::*;
use crate::project::{self, EnvironmentArg};
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
  drill:     { host: 127.0.0.1, port: 3309, user: root, password: { secret: root } }
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
    compiled_runbook(&runbook, environment, sets)
}

fn compiled_runbook(
    runbook: &Runbook,
    environment: &Environment,
    sets: &[&str],
) -> Result<Plan, Vec<Diagnostic>> {
    let name = &runbook.name.value;
    let overrides: Vec<_> = sets.iter().map(|set| values::parse_set(set).unwrap()).collect();
    let registry = world::registry();
    let input =
        CompileInput { runbook, environment, overrides: &overrides, registry: &registry, pinned: &[] };
    let first = compile(&input)?;
    let pinned: Vec<_> = first
        .unpinned
        .iter()
        .map(|step| {
            let outputs = match step.kind.as_str() {
                "backup.find" => found(),
                "mysql.find-in-binlogs" => dropped(),
                other => panic!("of {name}: give the outputs of {other} here"),
            };
            PinnedStep {
                id: step.id.clone(),
                kind: step.kind.clone(),
                outputs,
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
        "recovery_point": "2026-11-22T15:35:00Z", "age_seconds": 60, "size_bytes": 1, "kind": "logical",
        "covers": "everything", "object": "full.sql.gz", "flavour": "mariadb",
        "version": "10.11.6", "verified": ["content"], "databases": 1, "tables": 1, "rows": 1,
    })
}

fn dropped() -> serde_json::Value {
    json!({
        "gtid": "0-1-5", "at": "2026-11-22T15:40:00Z", "server": "mariadb-0-1", "log": "bin.000001", "start": 400,
        "end": 500, "what": "DROP shop.orders", "statement": "DROP TABLE shop.orders", "count": 1, "found": [],
    })
}

fn steps(name: &str, sets: &[&str]) -> Vec<String> {
    let plan = compiled(name, &whole(), sets).unwrap_or_else(|errors| panic!("{name} {sets:?}: {errors:#?}"));
    plan.steps.iter().filter(|step| !step.skipped).map(|step| step.id.to_string()).collect()
}

#[test]
fn every_shipped_runbook_compiles_with_its_defaults() {
    for (name, _) in RUNBOOKS {
        // Where a sandbox keeps its data, what to say of which backup, and what to recover have no default.
        let sets: &[&str] = match name {
            SANDBOX_CLUSTER => &["directory=/tmp/sandbox"],
            "mark" => &["backup=b1", "keep=false"],
            "import-dump" => &["from=old.sql.gz", "taken_at=2026-11-22T15:00:00Z"],
            "restore-database" => &["database=shop"],
            "restore-table" => &["table=shop.orders", "as=shop.orders_before"],
            "reseed-replica" => &["replica=replica-0"],
            "reset-replication" => &["replicas=[replica-0]"],
            "point-in-time-recovery" => &["time=2026-11-22T15:40:00Z"],
            "undo-drop" => &["sandbox=replica-0", "database=shop", "table=orders"],
            _ => &[],
        };
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
fn a_drill_removes_its_server_also_when_production_is_named() {
    for production in ["production=[]", "production=[primary]"] {
        assert_eq!(
            steps("restore-drill", &[production]),
            ["sandbox", "restore", "verify", "remove", "report"]
        );
        let of_files = ["kind=physical", "options=[--lower-case-table-names=1]", production];
        assert_eq!(
            steps("restore-drill", &of_files),
            ["sandbox", "restore-files", "verify", "remove", "report"]
        );
    }
}

#[test]
fn a_replica_is_loaded_and_compared() {
    let steps = steps("reseed-replica", &["replica=replica-1"]);
    assert_eq!(steps, ["wait-ready", "restore", "follow", "caught-up", "compare", "report"]);
}

#[test]
fn replicas_follow_another_source_with_what_they_have() {
    let sets = ["source=replica-0", "replicas=[primary, replica-1]"];
    let followed = ["wait-ready", "reset-replication[0]", "reset-replication[1]"];
    let compared = ["compare-replicas[0]", "compare-replicas[1]", "report"];
    assert_eq!(steps("reset-replication", &sets), [&followed[..], &compared].concat());
    let errors =
        compiled("reset-replication", &whole(), &["source=replica-0", "replicas=[replica-0]"]).unwrap_err();
    assert!(errors.iter().any(|error| error.message.contains("can't follow itself")), "{errors:#?}");
}

#[test]
fn files_are_copied_and_come_back_with_replicas() {
    let sets = ["mode=hot", "base=latest", "copy_to=[offsite]"];
    let copied = ["facts", "files", "publish", "verify", "copy[0]", "prune", "report"];
    assert_eq!(steps("backup-physical", &sets), copied);
    let sets = ["replicas=[replica-0]", "overwrite=true", "verified=false"];
    let restored = ["restore", "reseed[0]", "reset-replication[0]", "compare-replicas[0]", "report"];
    assert_eq!(steps("restore-physical", &sets), restored);
}

#[test]
fn a_recovery_to_a_point_says_how_far_in_one_way() {
    let steps = steps(
        "point-in-time-recovery",
        &["gtid=0-1-5", "backup=b1", "provision=sandbox", "expect=[{sql: SELECT 1, expect: 1}]"],
    );
    assert_eq!(steps, ["provision", "wait-ready", "restore", "replay", "assert", "report"]);
    let of_files = ["base=physical", "time=2026-11-22T15:40:00Z"];
    assert_eq!(self::steps("point-in-time-recovery", &of_files), ["restore-files", "replay", "report"]);
    let errors = compiled("point-in-time-recovery", &whole(), &[]).unwrap_err();
    assert!(errors.iter().any(|error| error.message.contains("`until` does not say how far")), "{errors:#?}");
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

#[test]
fn the_three_two_one_example_prepares_its_stores_and_copies_every_backup_to_two_more() {
    let example = "../examples/three-two-one";
    let prepare = format!("{example}/runbooks/prepare-stores.yaml");
    let mut told = Vec::new();
    for environment in ["production", "production-google"] {
        let arg = EnvironmentArg { environment: format!("{example}/environments/{environment}.yaml") };
        for runbook in [prepare.as_str(), "backup"] {
            let loaded = project::load(runbook, &arg).unwrap_or_else(|failure| panic!("{failure:#?}"));
            let plan = compiled_runbook(&loaded.runbook, &loaded.environment, &[])
                .unwrap_or_else(|errors| panic!("{runbook}: {errors:#?}"));
            let ids: Vec<_> = plan.steps.iter().map(|step| step.id.to_string()).collect();
            let offsite = &loaded.environment.settings.stores[&StoreName::from("offsite")];
            told.push(format!("{}: {}", offsite.url, ids.join(" ")));
        }
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    s3://mysql-backups-company/mysql: places[0] places[1] places[2] rules
    s3://mysql-backups-company/mysql: full schema facts publish verify copy[0] copy[1] prune report
    gs://mysql-backups-company/mysql: places[0] places[1] places[2] rules
    gs://mysql-backups-company/mysql: full schema facts publish verify copy[0] copy[1] prune report
    ");
}

/// Loads a runbook in one of the three environments as every command does.
fn loaded(runbook: &str, environment: &str) -> project::Project {
    let environment = format!("../examples/three-environments/environments/{environment}.yaml");
    project::load(runbook, &EnvironmentArg { environment }).unwrap_or_else(|failure| panic!("{failure:#?}"))
}

#[test]
fn three_environments_make_three_plans_of_one_runbook() {
    for runbook in ["backup", "disaster-recovery"] {
        let mut hashes = Vec::new();
        for environment in ["dev", "staging", "production"] {
            let project = loaded(runbook, environment);
            let plan = compiled_runbook(&project.runbook, &project.environment, &[])
                .unwrap_or_else(|errors| panic!("{runbook} {environment}: {errors:#?}"));
            // The hash covers the shipped text, which may change without a change to the plan.
            let text = plan::text(&plan, Beside::default(), Style::Plain).replace(&plan.hash[..12], "HASH");
            insta::assert_snapshot!(format!("{runbook} in {environment}"), text);
            hashes.push(plan.hash);
        }
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 3, "{runbook}");
    }
}

#[test]
fn the_three_environments_promise_what_the_guide_says() {
    let promised = |name: &str| {
        let settings = loaded("backup", name).environment.settings;
        let objectives = settings.objectives.unwrap();
        let schedule = &settings.schedules["backup"];
        format!("{}/{} {}", objectives.rto.unwrap(), objectives.rpo.unwrap(), schedule.cron)
    };
    assert_eq!(promised("dev"), "4h/1d 0 2 * * *");
    assert_eq!(promised("staging"), "2h/4h 0 */6 * * *");
    assert_eq!(promised("production"), "1h/15m */15 * * * *");
    let production = loaded("backup", "production").environment;
    assert_eq!(production.settings.policy.approvals, 2);
    let files: Vec<_> =
        production.sources.iter().map(|source| source.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["base.yaml", "production.yaml"]);
}

#[test]
fn a_part_comes_back_in_place_or_under_another_name() {
    for name in ["restore-database=database=shop", "restore-table=table=shop.orders"] {
        let (runbook, what) = name.split_once('=').unwrap();
        for more in [&[][..], &["as=x.y"], &["overwrite=true", "verified=false"]] {
            let sets: Vec<&str> = [what].into_iter().chain(more.iter().copied()).collect();
            assert_eq!(steps(runbook, &sets), ["restore", "report"]);
        }
    }
    let sets = ["database=shop", "as=shop_new", "schema_only=true"];
    assert_eq!(steps("restore-database", &sets), ["restore", "report"]);
}
