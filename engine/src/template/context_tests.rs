use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Failure, RunScope, evaluate, render, run_context};
use crate::environment::{SecretSource, Settings};
use crate::id::{RunId, StepId};
use crate::plan::{PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity, Section};
use crate::runbook::OnCrash;
use crate::step::{Effect, Intent};

fn step(id: &str, each: Option<Value>) -> PlanStep {
    PlanStep {
        id: id.into(),
        definition: id.split('[').next().unwrap().into(),
        group: None,
        name: None,
        kind: "test".to_owned(),
        section: Section::Main,
        effect: Effect::Read,
        params: Param::Value(json!({})),
        when: None,
        skipped: false,
        disabled: None,
        each,
        needs: Vec::new(),
        retry: None,
        timeout: None,
        deadline: None,
        max_parallel: None,
        continue_on_error: false,
        on_crash: OnCrash::Rerun,
        approval: None,
        intent: Intent::default(),
        with: None,
        location: None,
    }
}

fn plan() -> Plan {
    let mut settings = Settings { name: "production".to_owned(), ..Settings::default() };
    let source = SecretSource { env: Some("TOP_SECRET".to_owned()), file: None, command: None };
    settings.secrets.insert("root".into(), source);
    Plan {
        format: PLAN_FORMAT,
        hash: String::new(),
        runbook: RunbookIdentity {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            sha256: String::new(),
            requires: None,
        },
        origin: crate::plan::Origin::default(),
        settings,
        values: json!({ "n": 1 }),
        concurrency: None,
        pinned: vec![PinnedStep {
            id: "find-it".into(),
            kind: "test".to_owned(),
            outputs: json!({ "uri": "file:/b" }),
            at: Timestamp::UNIX_EPOCH,
            intent: Intent::default(),
        }],
        unpinned: Vec::new(),
        groups: indexmap::IndexMap::new(),
        steps: vec![
            step("one", None),
            step("skipped", None),
            step("list[0]", Some(json!({ "key": 0, "value": "a" }))),
            step("list[1]", Some(json!({ "key": 1, "value": "b" }))),
            step("map[eu]", Some(json!({ "key": "eu", "value": "a" }))),
        ],
    }
}

fn in_step(step: &PlanStep, failure: Option<&Failure>) -> Value {
    let plan = plan();
    let outputs: BTreeMap<StepId, Value> = [
        ("one".into(), json!({ "x": 1 })),
        ("list[1]".into(), json!({ "x": 12 })),
        ("map[eu]".into(), json!({ "x": 20 })),
    ]
    .into();
    let run = RunId::from("20261122T153500Z-1f9c");
    run_context(&RunScope {
        plan: &plan,
        step,
        outputs: &outputs,
        run: &run,
        started_at: Timestamp::UNIX_EPOCH,
        failure,
    })
    .unwrap()
}

fn rendered(text: &str) -> Value {
    let step = PlanStep { params: Param::Template(text.to_owned()), ..step("last", None) };
    render(&step.params, &in_step(&step, None)).unwrap()
}

#[test]
fn steps_answer_to_both_spellings_of_their_id() {
    assert_eq!(rendered("{{ steps.find_it.outputs.uri }}"), json!("file:/b"));
    assert_eq!(rendered("{{ steps[\"find-it\"].outputs.uri }}"), json!("file:/b"));
    assert_eq!(rendered("{{ steps.one.outputs }}"), json!({ "x": 1 }));
}

#[test]
fn a_step_without_outputs_is_an_empty_map() {
    assert_eq!(rendered("{{ steps.skipped.outputs.y | default('z') }}"), json!("z"));
}

#[test]
fn instances_are_a_list_or_a_map_as_what_they_were_made_from() {
    assert_eq!(rendered("{{ steps.list.outputs }}"), json!([{}, { "x": 12 }]));
    assert_eq!(rendered("{{ steps.list.outputs[1].x }}"), json!(12));
    assert_eq!(rendered("{{ steps.map.outputs.eu.x }}"), json!(20));
    assert_eq!(rendered("{{ steps.of_nothing.outputs }}"), json!([]));
}

#[test]
fn the_run_and_the_environment_are_named() {
    assert_eq!(
        rendered("{{ run.id }} {{ run.started_at }} {{ environment.cluster }} {{ values.n }}"),
        json!("20261122T153500Z-1f9c 1970-01-01T00:00:00Z production 1")
    );
}

#[test]
fn no_context_holds_where_a_secret_comes_from() {
    let context = in_step(&step("last", None), None).to_string();
    assert!(!context.contains("TOP_SECRET") && !context.contains("root"), "{context}");
}

#[test]
fn a_failure_is_seen_by_the_last_sections_only() {
    let failure = Failure { step: "one".into(), message: "no space".to_owned() };
    assert!(in_step(&step("last", None), Some(&failure)).get("failure").is_none());
    let last = PlanStep { section: Section::Finally, ..step("last", None) };
    assert_eq!(in_step(&last, Some(&failure))["failure"], json!({ "step": "one", "message": "no space" }));
    let calm = in_step(&last, None);
    assert_eq!(evaluate("failure.step is defined", &calm).unwrap(), json!(false));
}

#[test]
fn a_condition_sees_the_steps_it_names() {
    let step = PlanStep { when: Some("steps.one.outputs.x == 1".to_owned()), ..step("last", None) };
    assert_eq!(evaluate("steps.one.outputs.x == 1", &in_step(&step, None)).unwrap(), json!(true));
}
