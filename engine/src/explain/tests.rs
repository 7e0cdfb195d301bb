use std::sync::Arc;

use super::*;
use crate::document::rendering::render;
use crate::document::{Source, parse};
use crate::values::{parse_set, resolve};
use crate::{environment, runbook};

const RUNBOOK: &str = "apiVersion: rekindle/v1
kind: Runbook
name: recovery
version: 1.0.0
values:
  retention: { type: map, default: { keep_last: 7, keep_within: 7d } }
  backup: { type: string, default: latest }
  replicas: { type: list, items: target, default: [] }
  offsite: { type: store, default: null }
defaults: { timeout: 15m, retry: { attempts: 2, delay: 5s } }
steps:
  - { id: ready, uses: wait, with: { target: primary } }
  - { id: restore, uses: restore, needs: [ready], retry: { attempts: 3 }, timeout: 1h }
  - { id: follow, uses: follow, needs: [restore] }
finally:
  - { id: report, uses: report }
";

const BASE: &str = "apiVersion: rekindle/v1
kind: Environment
targets: { primary: { host: db, port: 3307, user: root, password: { secret: root } } }
secrets: { root: { env: ROOT } }
objectives: { rto: 4h, rpo: 24h }
values: { retention: { keep_last: 14, keep_daily: 3 }, backup: b1, extra: 1 }
schedules: { backup: { runbook: backup, cron: '0 2 * * *' } }
patches: { recovery: [{ step: restore, set: { timeout: 2h } }] }
";

const PRODUCTION: &str = "apiVersion: rekindle/v1
kind: Environment
extends: base
name: production
targets: { primary: { host: db.example, password: null } }
objectives: { rto: 1h }
policy: { approve: [destroy], approvals: 2 }
values: { retention: { keep_within: null }, backup: ~ }
patches:
  recovery:
    - { step: restore, set: { timeout: 4h, retry: { delay: 1m } } }
    - { step: restore, set: { timeout: 6h } }
    - { step: follow, disable: true, reason: replicas are managed }
    - { before: restore, insert: [{ id: fence, run: [./fence.sh] }] }
    - { step: report, replace: { run: [./report.sh], timeout: 5m } }
    - { step: ready, set: { retry: { attempts: 9 } } }
";

/// Explains paths with these `--set`s over a values file.
fn explained(sets: &[&str], paths: &[&str]) -> Vec<Result<Explanation, Unset>> {
    let base = Source::new("base.yaml", BASE);
    let environment =
        environment::load(&Source::new("production.yaml", PRODUCTION), |_, _| Ok(Arc::clone(&base)))
            .unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let document = parse(&Source::new("recovery.yaml", RUNBOOK)).unwrap();
    let runbook = runbook::read_patched(&document, &environment.patches["recovery"])
        .unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let file = parse(&Source::new("more.yaml", "retention: { keep_daily: 30 }\n")).unwrap();
    let mut overrides = vec![Override::File(file)];
    overrides.extend(sets.iter().map(|set| parse_set(set).unwrap()));
    let resolved = resolve(&runbook, &environment, &overrides).unwrap();
    let input = ExplainInput {
        document: &document,
        runbook: &runbook,
        environment: &environment,
        overrides: &overrides,
    };
    // Whatever is asked: explanations and values agree.
    for (name, value) in resolved.values.as_object().unwrap() {
        let explanation = explain(&input, &format!("values.{name}")).unwrap();
        assert_eq!(explanation.value.as_ref(), Some(value), "{name}");
    }
    paths.iter().map(|path| explain(&input, path)).collect()
}

fn shown(sets: &[&str], paths: &[&str]) -> String {
    let all: Vec<_> = explained(sets, paths).into_iter().map(|found| found.unwrap()).collect();
    text(&all)
}

#[test]
fn values_come_from_every_layer_by_precedence() {
    insta::assert_snapshot!(
        shown(
            &["retention.keep_last=3", "backup=77"],
            &["values.retention.keep_last", "values.retention.keep_within", "values.retention.keep_daily",
              "values.backup", "values.retention", "values.offsite", "values.extra"],
        ),
        @r#"
    values.retention.keep_last = 3
        runbook      recovery.yaml:6              7
        environment  base.yaml:6                  14
      → --set        --set retention.keep_last=3  3

    values.retention.keep_within is not set
        runbook      recovery.yaml:6    "7d"
        environment  production.yaml:8  (deleted by null)

    values.retention.keep_daily = 30
        environment  base.yaml:6  3
      → values file  more.yaml:1  30

    values.backup = "77"
        runbook      recovery.yaml:7    "latest"
        environment  base.yaml:6        "b1"
        environment  production.yaml:8  (null: back to the default)
      → --set        --set backup=77    "77"

    values.retention = {"keep_last":3,"keep_daily":30}
      → runbook      recovery.yaml:6              {"keep_last":7,"keep_within":"7d"}
      → environment  base.yaml:6                  {"keep_last":14,"keep_daily":3}
      → environment  production.yaml:8            {"keep_within":null}
      → values file  more.yaml:1                  {"keep_daily":30}
      → --set        --set retention.keep_last=3  {"keep_last":3}

    values.offsite = null
      → runbook      recovery.yaml:9  null

    values.extra = 1
      → environment  base.yaml:6  1
    "#
    );
}

#[test]
fn null_in_a_value_goes_back_to_the_default() {
    insta::assert_snapshot!(
        shown(&["retention=null"], &["values.retention.keep_last", "values.retention.keep_daily", "values.backup"]),
        @r#"
    values.retention.keep_last = 7
      → runbook      recovery.yaml:6       7
        environment  base.yaml:6           14
        --set        --set retention=null  (null: back to the default)

    values.retention.keep_daily is not set
        environment  base.yaml:6           3
        values file  more.yaml:1           30
        --set        --set retention=null  (null: back to the default)

    values.backup = "latest"
      → runbook      recovery.yaml:7    "latest"
        environment  base.yaml:6        "b1"
        environment  production.yaml:8  (null: back to the default)
    "#
    );
}

#[test]
fn fields_of_a_step_come_from_defaults_the_step_and_patches() {
    insta::assert_snapshot!(
        shown(
            &[],
            &["steps.restore.timeout", "steps.ready.timeout", "steps.restore.retry.attempts",
              "steps.restore.retry.delay", "steps.ready.retry", "steps.ready.with.target"],
        ),
        @r#"
    steps.restore.timeout = "6h"
        runbook      recovery.yaml:10    "15m"  (default for every step)
        runbook      recovery.yaml:13    "1h"
        patch        base.yaml:8         (not applied: an environment above has patches of its own for this runbook)
        patch        production.yaml:11  "4h"
      → patch        production.yaml:12  "6h"

    steps.ready.timeout = "15m"
      → runbook      recovery.yaml:10  "15m"  (default for every step)

    steps.restore.retry.attempts = 3
        runbook      recovery.yaml:10  2  (default for every step)
      → runbook      recovery.yaml:13  3

    steps.restore.retry.delay = "1m"
        runbook      recovery.yaml:10    "5s"  (default for every step)
        runbook      recovery.yaml:13    (its own `retry` replaces the default)
      → patch        production.yaml:11  "1m"

    steps.ready.retry = {"attempts":9}
        runbook      recovery.yaml:10    {"attempts":2,"delay":"5s"}  (default for every step)
      → patch        production.yaml:16  {"attempts":9}

    steps.ready.with.target = "primary"
      → runbook      recovery.yaml:12  "primary"
    "#
    );
}

#[test]
fn patches_that_disable_insert_and_replace_are_told() {
    insta::assert_snapshot!(
        shown(
            &[],
            &["steps.follow.needs", "steps.fence.run", "steps.fence.needs", "steps.restore.needs", "steps.report.uses",
              "steps.report.timeout", "steps.report"],
        ),
        @r#"
    steps.follow.needs = ["restore"]
      → runbook      recovery.yaml:14    ["restore"]
        patch        production.yaml:13  (disabled: replicas are managed)

    steps.fence.run = ["./fence.sh"]
      → patch        production.yaml:14  ["./fence.sh"]

    steps.fence.needs = ["ready"]
        patch        production.yaml:14  (inserted before restore: what that needs)

    steps.restore.needs = ["ready","fence"]
        runbook      recovery.yaml:13    ["ready"]
      → patch        production.yaml:14  ["fence"]  (added by the steps inserted before it)

    steps.report.uses is not set
        runbook      recovery.yaml:16    "report"
        patch        production.yaml:15  (the step is replaced)

    steps.report.timeout = "5m"
        runbook      recovery.yaml:10    "15m"  (default for every step)
      → patch        production.yaml:15  "5m"

    steps.report = {"run":["./report.sh"],"timeout":"5m","id":"report"}
        runbook      recovery.yaml:16    {"id":"report","uses":"report"}
      → patch        production.yaml:15  {"run":["./report.sh"],"timeout":"5m"}
    "#
    );
}

#[test]
fn parts_of_the_environment_come_from_its_files() {
    insta::assert_snapshot!(
        shown(
            &[],
            &["targets.primary.host", "targets.primary.port", "targets.primary.password", "objectives.rto", "objectives.rpo",
              "policy.approvals", "schedules.backup.cron", "secrets.root", "targets.primary"],
        ),
        @r#"
    targets.primary.host = "db.example"
        environment  base.yaml:3        "db"
      → environment  production.yaml:5  "db.example"

    targets.primary.port = 3307
      → environment  base.yaml:3  3307

    targets.primary.password is not set
        environment  base.yaml:3        {"secret":"root"}
        environment  production.yaml:5  (deleted by null)

    objectives.rto = "1h"
        environment  base.yaml:5        "4h"
      → environment  production.yaml:6  "1h"

    objectives.rpo = "24h"
      → environment  base.yaml:5  "24h"

    policy.approvals = 2
      → environment  production.yaml:7  2

    schedules.backup.cron = "0 2 * * *"
      → environment  base.yaml:7  "0 2 * * *"

    secrets.root = {"env":"ROOT"}
      → environment  base.yaml:4  {"env":"ROOT"}

    targets.primary = {"host":"db.example","port":3307,"user":"root"}
      → environment  base.yaml:3        {"host":"db","port":3307,"user":"root","password":{"secret":"root"}}
      → environment  production.yaml:5  {"host":"db.example","password":null}
    "#
    );
}

#[test]
fn of_a_path_that_nothing_sets_the_nearest_is_named() {
    let paths = [
        "values.retention.keep_lst",
        "values.retention.weekly",
        "steps.restor.timeout",
        "steps.restore.deadline",
        "valeus.backup",
        "targets.primary.hots",
        "targets",
        "",
        "steps",
        "stores.primary",
        "steps.nothing-like-it.timeout",
    ];
    let said: Vec<String> = explained(&[], &paths)
        .into_iter()
        .map(|found| match found {
            Ok(explanation) => format!("{} is set", explanation.path),
            Err(unset) => format!("{unset}: {}", unset.help),
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    nothing sets `values.retention.keep_lst`: did you mean `values.retention.keep_last`?
    nothing sets `values.retention.weekly`: `values.retention` has: keep_daily, keep_last, keep_within
    nothing sets `steps.restor.timeout`: did you mean `steps.restore.timeout`?
    nothing sets `steps.restore.deadline`: `steps.restore` has: id, needs, retry, timeout, uses
    nothing sets `valeus.backup`: did you mean `values`? paths begin with values, steps, defaults, concurrency, cluster, targets, stores, secrets, objectives, journal, policy, schedules, patches
    nothing sets `targets.primary.hots`: did you mean `targets.primary.host`?
    targets is set
    nothing sets ``: paths begin with values, steps, defaults, concurrency, cluster, targets, stores, secrets, objectives, journal, policy, schedules, patches
    nothing sets `steps`: name something under `steps`
    nothing sets `stores.primary`: nothing is set under `stores`
    nothing sets `steps.nothing-like-it.timeout`: `steps` has: fence, follow, ready, report, restore
    ");
}

#[test]
fn programs_get_the_same_words() {
    let explained = explained(&[], &["objectives.rto"]).remove(0).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&explained).unwrap(), @r#"{"path":"objectives.rto","value":"1h","words":[{"layer":"environment","at":"base.yaml:5","value":"4h","wins":false},{"layer":"environment","at":"production.yaml:6","value":"1h","wins":true}]}"#);
}
