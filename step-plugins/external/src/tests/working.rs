//! What a plugin is given, and what becomes of its words.

use std::collections::BTreeMap;

use rekindle_engine::step::{Probe, Progress};
use rekindle_engine::testing;
use serde_json::{Value, json};

use super::{Lab, context, params, settings, told, world};

#[tokio::test]
async fn words_and_checkpoints_reach_the_driver() {
    let test = context();
    Lab::new("").step().run(&params(), &test.cx).await.unwrap();
    let progress = Progress { bytes: 3, total_bytes: Some(6), note: "half".to_owned() };
    assert_eq!(test.reporter.progress_shown(), [progress]);
    assert_eq!(test.reporter.logs(), ["two", "lines", "on standard error"]);
    assert_eq!(test.reporter.warnings(), ["it is late"]);
    assert_eq!(test.reporter.checkpoints(), [json!({ "at": 1 })]);
}

#[tokio::test]
async fn a_plugin_gets_what_its_parameters_name_and_secrets_on_its_input_only() {
    let checkpoint = json!({ "at": 7 });
    let test = testing::context(&world()).settings(settings()).attempt(2).checkpoint(checkpoint).build();
    let params = json!({ "text": "hello", "target": "primary" });
    let outputs = Lab::new("").step().run(&params, &test.cx).await.unwrap();
    let said: Value = serde_json::from_str(outputs["said"].as_str().unwrap()).unwrap();
    assert_eq!(said["secrets"], json!({ "any": "s3cr3t" }));
    assert_eq!(said["targets"]["primary"]["password"], json!({ "secret": "any" }));
    assert_eq!((&said["attempt"], &said["step"]), (&json!(2), &json!("step")));
    assert_eq!(said["checkpoint"], json!({ "at": 7 }));
    assert_eq!(said["visible"], false);
    // What the test itself was given, and a child is not.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!said["env"].as_array().unwrap().contains(&json!("CARGO_MANIFEST_DIR")), "{}", said["env"]);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_kept_ends_the_step() {
    let test = context();
    test.reporter.fail_checkpoints(rekindle_engine::step::StepError::permanent("the disk is full"));
    let error = Lab::new("").step().run(&params(), &test.cx).await.unwrap_err();
    assert_eq!(told(&error), "permanent: the disk is full\nhelp: none");
}

#[tokio::test]
async fn the_plugins_own_error_is_the_news_whatever_its_exit_code() {
    let error = Lab::new("fails").step().run(&params(), &context().cx).await.unwrap_err();
    assert_eq!(told(&error), "transient: busy\nhelp: wait");
}

#[tokio::test]
async fn parameters_that_became_known_late_are_checked_before_the_plugin_is_started() {
    let error = Lab::new("").step().run(&json!({ "text": 7 }), &context().cx).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    permanent: the parameters do not fit what test.fixture described: 7 is not of type "string" at /text
    help: none
    "#);
}

#[tokio::test]
async fn every_finding_of_a_probe_comes_back() {
    let test = context();
    let lab = Lab::new("");
    let step = lab.step();
    let probe = async |text: &str| step.probe(&json!({ "text": text }), &test.cx).await;
    assert_eq!(probe("complete").await, Ok(Probe::Complete(json!({ "said": "before" }))));
    assert_eq!(probe("partial").await, Ok(Probe::Partial { found: "half of it".to_owned() }));
    assert_eq!(probe("nothing").await, Ok(Probe::Absent));
    insta::assert_snapshot!(told(&probe("odd").await.unwrap_err()), @"
    permanent: the outputs do not fit what test.fixture described: unknown field `sad` at /sad
    help: none
    ");
}

#[tokio::test]
async fn a_plugin_without_a_probe_can_tell_nothing() {
    let lab = Lab::new("plain");
    let found = lab.step().probe(&params(), &context().cx).await.unwrap();
    assert_eq!(found, Probe::Unknown { why: "test.fixture has no probe".to_owned() });
}

#[tokio::test]
async fn the_plan_is_asked_for_with_unknowns_and_without_secrets() {
    let world = world();
    let cx = testing::context(&world).settings(settings()).preflight(["replica"]);
    let lab = Lab::new("");
    let rendered = json!({ "text": "(known after find)", "target": "primary" });
    let unknown = [("/text".to_owned(), "(known after find)".to_owned())].into();
    let found = lab.step().preflight(&rendered, &unknown, &cx).await;
    assert_eq!(found.commands, ["say (known after find)"]);
    insta::assert_snapshot!(found.notes[0], @"1 targets, provided: ['replica'], unknown: {'/text': '(known after find)'}");
    assert!(found.problems.is_empty() && world.secrets.reads().is_empty());

    let found = lab.step().preflight(&json!({ "text": "full" }), &BTreeMap::default(), &cx).await;
    let problem = &found.problems[0];
    assert_eq!((problem.code, problem.message.as_str()), ("rekindle::plugin::problem", "it is full"));
}
