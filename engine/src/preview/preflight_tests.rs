//! What a preflight finds, and what it leaves alone.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::json_schema;
use serde_json::json;

use super::{Preview, preflight};
use crate::document::{Entry, Location, Node, NodeValue, ScalarStyle, Source, Span, rendering};
use crate::environment::{SecretSource, Target};
use crate::id::StepId;
use crate::plan::{Param, Plan, PlanStep, Section, fixture};
use crate::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Problem, Registry, Step, StepContext, StepError,
};
use crate::testing::{FakeClock, FakeWorld, ScriptedStep};

/// A world in which no time passes: secrets are read on other threads, of which an automatic clock knows nothing.
fn world() -> FakeWorld {
    FakeWorld::with_clock(FakeClock::manual())
}

/// Says which targets it was told are provided.
struct SaysProvided;

#[async_trait]
impl Step for SaysProvided {
    const KIND: &'static str = "says.provided";
    const SUMMARY: &'static str = "Says what is provided.";
    const EFFECT: Effect = Effect::Read;
    type Params = serde_json::Value;
    type Outputs = serde_json::Value;

    fn plan(&self, _: &Planned<Self::Params>) -> Result<Intent, StepError> {
        Ok(Intent::default())
    }

    async fn preflight(&self, _: &Planned<Self::Params>, cx: &PreflightContext) -> Preflight {
        let provided: Vec<_> = cx.provided.iter().map(ToString::to_string).collect();
        Preflight { notes: vec![provided.join(" ")], ..Preflight::default() }
    }

    async fn run(&self, _: &Self::Params, _: &StepContext) -> Result<Self::Outputs, StepError> {
        Err(StepError::permanent("a preflight must not run anything"))
    }
}

fn target_kind() -> ScriptedStep {
    let params = json_schema!({
        "type": "object", "properties": { "target": { "type": "string", "format": "target" } },
    });
    ScriptedStep::new("fake.write", Effect::Write).params(params)
}

/// A step at `target: primary`, standing at these bytes of a document.
fn at_primary(id: &str, source: &Arc<Source>, start: usize) -> PlanStep {
    let location = |start, end| Location { source: Arc::clone(source), span: Span::new(start, end) };
    let text = NodeValue::String { text: "primary".to_owned(), style: ScalarStyle::Plain, raw: false };
    let target = Node { value: text, location: location(start + 8, start + 15) };
    let entry = Entry { key: "target".to_owned(), key_span: Span::new(start, start + 6), value: target };
    let mut step = fixture::step(id, "fake.write", Effect::Write, "");
    step.params = Param::Value(json!({ "target": "primary" }));
    step.with = Some(Node { value: NodeValue::Map(vec![entry]), location: location(start, start + 15) });
    step.location = Some(location(start, start + 15));
    step
}

fn two_steps_at_primary() -> Plan {
    let source = Source::new("dr.yaml", "target: primary\ntarget: primary\n");
    let mut plan = fixture::plan(vec![at_primary("a", &source, 0), at_primary("b", &source, 16)]);
    let primary: Target = serde_json::from_value(json!({
        "host": "127.0.0.1", "user": "root", "password": { "secret": "root" },
    }))
    .unwrap();
    let secret = SecretSource { env: Some("ROOT_PASSWORD".to_owned()), file: None, command: None };
    plan.settings.targets.insert("primary".into(), primary);
    plan.settings.secrets.insert("root".into(), secret);
    plan
}

async fn preview(plan: &Plan, kind: &ScriptedStep, world: &FakeWorld) -> Preview {
    let mut registry = Registry::default();
    kind.register(&mut registry);
    registry.register(SaysProvided);
    preflight(plan, &registry, &world.world).await
}

fn unreachable() -> Problem {
    Problem {
        code: "rekindle::target::unreachable",
        message: "primary refused `hunter2`".to_owned(),
        help: Some("start it".to_owned()),
        pointer: Some("/target"),
    }
}

#[tokio::test]
async fn one_problem_of_two_steps_is_told_once_at_both_places_without_secrets() {
    let (world, kind) = (world(), target_kind());
    world.secrets.set("root", "hunter2");
    kind.preflights(Preflight {
        commands: vec!["mysql -phunter2".to_owned()],
        ..Preflight::problem(unreachable())
    });
    let preview = preview(&two_steps_at_primary(), &kind, &world).await;
    let [problem] = preview.problems.as_slice() else { panic!("{:?}", preview.problems) };
    assert_eq!(problem.message, "primary refused `***`");
    assert_eq!((problem.code, problem.help.as_deref()), ("rekindle::target::unreachable", Some("start it")));
    let labels: Vec<_> = problem.labels.iter().map(|(span, text)| (span.start, text.as_str())).collect();
    assert_eq!(labels, [(8, "in step `a`"), (24, "in step `b`")]);
    assert_eq!(preview.steps[&StepId::from("b")].commands, ["mysql -p***"]);
    assert_eq!((kind.preflighted().len(), kind.runs()), (2, 0));
}

#[tokio::test]
async fn a_stored_plan_has_no_places_so_problems_name_their_steps() {
    let (world, kind) = (world(), target_kind());
    world.secrets.set("root", "hunter2");
    kind.preflights(Preflight::problem(unreachable()));
    let mut plan = two_steps_at_primary();
    plan.hash = plan.compute_hash();
    let plan = Plan::from_json(&plan.to_json()).unwrap();
    let preview = preview(&plan, &kind, &world).await;
    assert_eq!(preview.problems[0].message, "primary refused `***` (steps `a`, `b`)");
    assert_eq!(preview.problems.len(), 1);
}

#[tokio::test]
async fn a_missing_secret_is_told_once_and_its_steps_are_not_asked() {
    let (world, kind) = (world(), target_kind());
    let preview = preview(&two_steps_at_primary(), &kind, &world).await;
    let [problem] = preview.problems.as_slice() else { panic!("{:?}", preview.problems) };
    assert_eq!(problem.code, "rekindle::secret::missing");
    insta::assert_snapshot!(problem.message, @"failed to read the secret `root` from the environment variable ROOT_PASSWORD: it is not there");
    insta::assert_snapshot!(problem.help.as_deref().unwrap(), @"set the environment variable `ROOT_PASSWORD` and start rekindle again");
    assert_eq!(problem.labels.len(), 2);
    assert!(kind.preflighted().is_empty());
    assert_eq!(world.secrets.reads().len(), 1);
}

#[tokio::test]
async fn a_secret_that_is_not_declared_is_missing() {
    let (world, kind) = (world(), target_kind());
    let mut plan = two_steps_at_primary();
    plan.settings.secrets.clear();
    let preview = preview(&plan, &kind, &world).await;
    assert_eq!(preview.problems[0].message, "the environment has no secret `root`");
}

#[tokio::test]
async fn a_check_that_hangs_is_a_problem_after_its_time() {
    let kind = ScriptedStep::new("fake.write", Effect::Write);
    let world = FakeWorld::with_clock(FakeClock::automatic());
    kind.hang_preflights();
    let plan = fixture::plan(vec![fixture::step("a", "fake.write", Effect::Write, "")]);
    let preview = preview(&plan, &kind, &world).await;
    insta::assert_snapshot!(rendering::render(&preview.problems), @"
    rekindle::preflight::timed_out: checking what the step needs took longer than 30s (step `a`)
      help: see whether the servers and stores that it uses answer, then try again
    ");
}

#[tokio::test]
async fn skipped_and_on_failure_steps_are_not_asked_and_unknown_kinds_are_told() {
    let (world, kind) = (world(), ScriptedStep::new("fake.write", Effect::Write));
    let mut steps =
        ["a", "b", "c", "d"].map(|id| fixture::step(id, "fake.write", Effect::Write, "")).to_vec();
    steps[0].skipped = true;
    steps[1].section = Section::OnFailure;
    steps[2].section = Section::Finally;
    steps[3].kind = "fake.gone".to_owned();
    let preview = preview(&fixture::plan(steps), &kind, &world).await;
    assert_eq!(kind.preflighted(), ["c"]);
    insta::assert_snapshot!(rendering::render(&preview.problems), @"
    rekindle::plan::unknown_step_kind: this version of rekindle has no step kind `fake.gone` (step `d`)
      help: use the version that made the plan, or plan again with this one
    ");
}

/// Runs into a bug when it is asked.
struct Panics;

#[async_trait]
impl Step for Panics {
    const KIND: &'static str = "fake.panics";
    const SUMMARY: &'static str = "Panics.";
    const EFFECT: Effect = Effect::Read;
    type Params = serde_json::Value;
    type Outputs = serde_json::Value;

    fn plan(&self, _: &Planned<Self::Params>) -> Result<Intent, StepError> {
        Ok(Intent::default())
    }

    async fn preflight(&self, _: &Planned<Self::Params>, _: &PreflightContext) -> Preflight {
        panic!("as the test wanted")
    }

    async fn run(&self, _: &Self::Params, _: &StepContext) -> Result<Self::Outputs, StepError> {
        Err(StepError::permanent("a preflight must not run anything"))
    }
}

#[tokio::test]
async fn a_check_that_panics_is_a_problem_of_its_step() {
    let mut registry = Registry::default();
    registry.register(Panics);
    let plan = fixture::plan(vec![fixture::step("a", "fake.panics", Effect::Read, "")]);
    let preview = preflight(&plan, &registry, &world().world).await;
    let text = rendering::render(&preview.problems);
    // What follows is the number of a task.
    let text = text.split_once(": task ").map_or(text.as_str(), |(before, _)| before);
    insta::assert_snapshot!(text, @"rekindle::preflight::panicked: checking what the step needs ran into a bug");
}

#[test]
fn an_error_of_a_step_is_a_problem_beforehand() {
    let error = StepError::permanent("it is full").help("make room");
    insta::assert_snapshot!(Problem::from(error), @r"
    rekindle::preflight::failed: it is full
      help: make room
    ");
}

#[tokio::test]
async fn targets_are_provided_by_steps_near_and_far_but_not_by_skipped_or_unrelated_ones() {
    let kind = ScriptedStep::new("fake.write", Effect::Write);
    let mut steps = ["far", "skipped", "unrelated", "near", "last", "end"]
        .map(|id| fixture::step(id, SaysProvided::KIND, Effect::Read, ""))
        .to_vec();
    for (position, target) in ["far", "skipped", "unrelated"].into_iter().enumerate() {
        steps[position].intent.provides = vec![target.into()];
    }
    steps[1].skipped = true;
    steps[3].needs = vec![fixture::needs("far"), fixture::needs("skipped")];
    steps[4].needs = vec![fixture::needs("near")];
    steps[5].section = Section::Finally;
    let preview = preview(&fixture::plan(steps), &kind, &world()).await;
    let said = |id: &str| preview.steps[&StepId::from(id)].notes[0].clone();
    assert_eq!((said("far"), said("near"), said("last")), (String::new(), "far".into(), "far".into()));
    assert_eq!(said("end"), "far unrelated");
}
