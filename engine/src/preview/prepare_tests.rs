//! Plan-phase steps run, are pinned, and fail where they stand.

use std::time::Duration;

use serde_json::json;

use super::{PrepareError, Prepared, prepare};
use crate::compile::CompileInput;
use crate::composite;
use crate::document::{Source, parse};
use crate::plan::{Param, PinnedStep};
use crate::runbook;
use crate::step::{Effect, Preflight, Problem, Registry, StepError};
use crate::testing::{Act, FakeClock, FakeWorld, ScriptedStep};

const TWO_LOOKUPS: &str = "\
apiVersion: rekindle/v1
kind: Runbook
name: dr
version: 1.0.0
steps:
  - id: find
    uses: fake.find
    phase: plan
    with: { what: latest }
  - id: inspect
    uses: fake.find
    phase: plan
    with: { what: \"{{ steps.find.outputs.uri }}\" }
  - id: restore
    uses: fake.write
    with: { from: \"{{ steps.inspect.outputs.uri }}\" }
";

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: test\n";

struct Lab {
    world: FakeWorld,
    find: ScriptedStep,
    write: ScriptedStep,
    /// A composite, `fake.group`, which begins with its values or steps.
    group: Option<&'static str>,
}

impl Lab {
    fn new() -> Self {
        let find = ScriptedStep::new("fake.find", Effect::Read).outputs(json!({ "uri": "memory:a" }));
        let write = ScriptedStep::new("fake.write", Effect::Write);
        Self { world: FakeWorld::with_clock(FakeClock::automatic()), find, write, group: None }
    }

    async fn prepare(&self, runbook: &str, pinned: &[PinnedStep]) -> Result<Prepared, PrepareError> {
        let runbook = runbook::read(&parse(&Source::new("dr.yaml", runbook)).unwrap()).unwrap();
        let environment =
            crate::environment::read(&[parse(&Source::new("test.yaml", ENVIRONMENT)).unwrap()]).unwrap();
        let mut registry = Registry::default();
        self.find.register(&mut registry);
        self.write.register(&mut registry);
        let head = "apiVersion: rekindle/v1\nkind: StepKind\nname: fake.group\nversion: 1.0.0\n";
        let source = |rest| Ok(Source::new("kinds/fake.group.yaml", format!("{head}{rest}")));
        let files = self.group.into_iter().map(|rest| ("fake.group".to_owned(), source(rest))).collect();
        composite::register(&mut registry, files);
        let input = CompileInput {
            runbook: &runbook,
            environment: &environment,
            overrides: &[],
            registry: &registry,
            pinned,
        };
        prepare(&input, &self.world.world).await
    }

    async fn lookup_error(&self, runbook: &str) -> crate::diagnostic::Diagnostic {
        match self.prepare(runbook, &[]).await {
            Err(PrepareError::Lookup(mut diagnostics)) if diagnostics.len() == 1 => diagnostics.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_plan_phase_steps_find_is_pinned_one_after_the_other() {
    let lab = Lab::new();
    lab.find.script("inspect", [Act::Outputs(json!({ "uri": "memory:b" }))]);
    let prepared = lab.prepare(TWO_LOOKUPS, &[]).await.unwrap();
    assert_eq!(lab.find.order(), ["find", "inspect"]);
    assert_eq!(lab.find.params_of("inspect"), [json!({ "what": "memory:a" })]);
    let plan = prepared.plan;
    assert!(plan.unpinned.is_empty() && plan.verify_hash());
    assert_eq!(plan.pinned.len(), 2);
    assert_eq!(plan.steps[0].params, Param::Value(json!({ "from": "memory:b" })));
    assert_eq!(lab.write.runs(), 0);
}

#[tokio::test]
async fn what_is_pinned_already_is_not_looked_up_again() {
    let lab = Lab::new();
    let first = lab.prepare(TWO_LOOKUPS, &[]).await.unwrap().plan;
    let again = lab.prepare(TWO_LOOKUPS, &first.pinned).await.unwrap().plan;
    assert_eq!(lab.find.runs(), 2);
    assert_eq!(again.hash, first.hash);
}

#[tokio::test]
async fn a_failed_lookup_points_at_its_step_and_says_what_to_do() {
    let lab = Lab::new();
    lab.world.world.masker.learn(&crate::host::Secret::new("hunter2"));
    let error = StepError::permanent("there is no verified backup, hunter2").help("verify one");
    lab.find.script("find", [Act::Fail(error)]);
    let diagnostic = lab.lookup_error(TWO_LOOKUPS).await;
    assert_eq!(
        (diagnostic.code, diagnostic.help.as_deref()),
        ("rekindle::plan::lookup_failed", Some("verify one"))
    );
    assert_eq!(diagnostic.message, "there is no verified backup, ***");
    assert_eq!(diagnostic.location().unwrap().to_string(), "dr.yaml:6:5");
    assert_eq!(lab.find.order(), ["find"]);
}

#[tokio::test]
async fn a_preflight_problem_keeps_a_lookup_from_running() {
    let lab = Lab::new();
    let code = "rekindle::store::missing";
    let message = "there is no such store".to_owned();
    let problem = Problem { code, message, help: None, pointer: Some("/what") };
    lab.find.preflights(Preflight::problem(problem));
    let diagnostic = lab.lookup_error(TWO_LOOKUPS).await;
    assert_eq!(diagnostic.location().unwrap().to_string(), "dr.yaml:9:19");
    assert_eq!(lab.find.runs(), 0);
}

#[tokio::test]
async fn a_lookup_is_retried_as_declared() {
    let lab = Lab::new();
    lab.find
        .script("find", [Act::transient("busy"), Act::transient("busy"), Act::Warn("it is old".to_owned())]);
    let runbook = TWO_LOOKUPS.replacen(
        "phase: plan",
        "phase: plan\n    retry: { attempts: 3, delay: 2s, backoff: 2, max_delay: 60s, jitter: 0 }",
        1,
    );
    let prepared = lab.prepare(&runbook, &[]).await.unwrap();
    assert_eq!(prepared.warnings, [("find".into(), "it is old".to_owned())]);
    assert_eq!(lab.find.runs_of("find"), 3);
    let slept = lab.world.clock.slept();
    assert!(slept.contains(&Duration::from_secs(2)) && slept.contains(&Duration::from_secs(4)), "{slept:?}");
}

#[tokio::test]
async fn a_lookup_that_hangs_or_panics_is_told() {
    for (act, message) in [(Act::Hang, "it took longer than 5m"), (Act::Panic, "it ran into a bug")] {
        let lab = Lab::new();
        lab.find.script("find", [act]);
        let diagnostic = lab.lookup_error(TWO_LOOKUPS).await;
        assert!(diagnostic.message.starts_with(message), "{diagnostic}");
    }
}

#[tokio::test]
async fn mistakes_of_the_documents_come_before_any_look() {
    let lab = Lab::new();
    let result = lab.prepare(&TWO_LOOKUPS.replace("fake.write", "fake.gone"), &[]).await;
    assert!(matches!(result, Err(PrepareError::Invalid(_))));
    assert!(lab.find.preflighted().is_empty());
}

const LOOKUP_IN_A_GROUP: &str = "\
values: { what: { type: string } }
steps:
  - { id: look, uses: fake.find, phase: plan, with: { what: \"{{ values.what }}\" } }
  - { id: load, uses: fake.write, with: { from: \"{{ steps.look.outputs.uri }}\" } }
";

fn with_group(uses: &str) -> String {
    TWO_LOOKUPS.split("  - id: inspect").next().unwrap().to_owned() + uses
}

#[tokio::test]
async fn a_lookup_in_a_group_waits_for_what_the_group_is_given_and_for_its_condition() {
    let lab = Lab { group: Some(LOOKUP_IN_A_GROUP), ..Lab::new() };
    let uses = "  - { id: a, uses: fake.group, with: { what: \"{{ steps.find.outputs.uri }}\" } }\n  - { id: b, uses: fake.group, when: \"steps.find.outputs.uri == 'x'\", with: { what: y } }\n";
    let plan = lab.prepare(&with_group(uses), &[]).await.unwrap().plan;
    assert_eq!(lab.find.order(), ["find", "a/look"]);
    assert_eq!(lab.find.params_of("a/look"), [json!({ "what": "memory:a" })]);
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["a/load", "a", "b"]);
    assert_eq!(plan.steps[0].params, Param::Value(json!({ "from": "memory:a" })));
    assert!(plan.steps[2].skipped);
}

#[tokio::test]
async fn a_lookup_in_a_group_whose_condition_only_the_run_tells_is_never_ready() {
    let lab = Lab { group: Some(LOOKUP_IN_A_GROUP), ..Lab::new() };
    let uses = "  - { id: w, uses: fake.write }\n  - { id: a, uses: fake.group, when: \"steps.w.outputs is defined\", with: { what: y } }\n";
    let diagnostic = lab.lookup_error(&with_group(uses)).await;
    assert_eq!(diagnostic.code, "rekindle::plan::never_ready");
    assert_eq!(diagnostic.location().unwrap().source.name, "kinds/fake.group.yaml");
}

#[test]
fn a_lookup_that_can_never_run_is_told() {
    // Compiling lets none through that it knows of.
    let step = crate::plan::fixture::step("find", "fake.find", Effect::Read, "");
    insta::assert_snapshot!(super::prepare::never_ready(&step), @r"
    rekindle::plan::never_ready: `find` can't run while planning: it needs something known only in the run
      help: remove `phase: plan`, or what it refers to
    ");
}
