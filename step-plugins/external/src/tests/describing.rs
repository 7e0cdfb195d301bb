//! What a plugin says of itself, and what is made of a plugin that can't.

use std::collections::BTreeMap;

use rekindle_engine::step::{Effect, ErasedStep};
use serde_json::json;

use super::{KIND, Lab, told};

fn refused(mode: &str) -> String {
    let lab = Lab::new(mode);
    let problem = lab.refusal();
    let message = problem.message.replace(lab.folder.path().to_str().unwrap(), "DIR");
    format!("{}: {message}\nhelp: {}", problem.code, problem.help.unwrap_or_default())
}

#[test]
fn a_plugin_is_a_kind_like_any_other() {
    let lab = Lab::new("");
    let step = lab.step();
    let info = step.info();
    assert_eq!((info.kind.as_str(), info.version.as_str()), (KIND, "1.2.3"));
    assert_eq!((info.effect, info.effect_is_declared, info.probes), (Effect::Write, false, true));
    assert_eq!(info.digest.as_ref().unwrap().len(), 64);
    assert_eq!(info.params.as_value()["properties"]["token"]["properties"]["secret"]["format"], "secret");
    assert!(step.check_params(&json!({ "text": "x" })).is_ok());
    let error = step.check_params(&json!({ "text": "x", "tries": "y" })).unwrap_err();
    assert_eq!(
        (error.pointer.as_str(), error.message.as_str()),
        ("/tries", "\"y\" is not of type \"integer\"")
    );
}

#[test]
fn a_plan_shows_its_intent_with_unknowns_in_their_places() {
    let step = Lab::new("").step();
    let rendered = json!({ "text": "(known after find)", "target": "primary" });
    let unknown = [("/text".to_owned(), "(known after find)".to_owned())].into();
    let intent = step.plan(&rendered, &unknown).unwrap();
    assert_eq!(intent.summary, "test (known after find) on primary");
    assert_eq!(intent.provides, ["primary".into()]);
    let unknown = [("/target".to_owned(), String::new())].into();
    assert!(step.plan(&rendered, &unknown).unwrap().provides.is_empty());
}

#[test]
fn a_plugin_that_cannot_be_described_says_why() {
    insta::assert_snapshot!(refused("garbage at once"), @r"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin wrote a line that is no message: `Traceback: no JSON \u{1b}[31m here`: expected value at line 1 column 1
    help: a plugin writes messages only to its standard output; its other words belong on standard error
    ");
    insta::assert_snapshot!(refused("ends at once"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin ended with exit code 3 before it gave a result: no python module named x
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
    insta::assert_snapshot!(refused("newer protocol"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin speaks protocol 2, this rekindle speaks 1
    help: use a newer rekindle, or an older version of the plugin
    ");
    insta::assert_snapshot!(refused("not hello"), @r#"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin's first line is not its hello: `{"type": "heartbeat"}`
    help: a plugin writes messages only to its standard output; its other words belong on standard error
    "#);
    insta::assert_snapshot!(refused("wrong kind"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin says that its kind is `acme.other`, but its file name says `test.fixture`
    help: name the file `rekindle-step-acme.other`
    ");
    insta::assert_snapshot!(refused("exits before reading"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin ended with exit code 0 before it gave a result
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
    insta::assert_snapshot!(refused("cannot describe"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin could not describe itself: no licence
    help: buy one
    ");
    insta::assert_snapshot!(refused("bad schema"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin's description is wrong: `params` must not have `$ref`: write subschemas where they are used
    help: docs/plugins.md says what a description holds
    ");
}

#[test]
fn a_plugin_that_says_nothing_is_not_waited_for() {
    insta::assert_snapshot!(refused("mute"), @"
    rekindle::plugin::not_described: the plugin DIR/rekindle-step-test.fixture can't be used: the plugin did not say hello within 10s
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[test]
fn a_plugin_without_its_interpreter_says_so() {
    let lab = Lab::with("#!/no/such/interpreter\n");
    let problem = lab.refusal();
    let message = problem.message.replace(lab.folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(format!("{message}\nhelp: {}", problem.help.unwrap()), @"
    the plugin DIR/rekindle-step-test.fixture can't be used: failed to run `DIR/rekindle-step-test.fixture`: No such file or directory (os error 2)
    help: check the first line (`#!`) of the plugin and that its interpreter is installed
    ");
}

#[test]
fn a_plugin_never_replaces_a_built_in_kind() {
    let lab = Lab::new("");
    let mut registry = rekindle_engine::step::Registry::default();
    rekindle_engine::testing::ScriptedStep::new(KIND, Effect::Write).register(&mut registry);
    let start: crate::Start = std::sync::Arc::new(|| Err("not needed".to_owned()));
    crate::register(&mut registry, lab.found(), &start);
    let problem = registry.refusal(KIND).unwrap();
    let message = problem.message.replace(lab.folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(format!("{}: {message}", problem.code), @"rekindle::plugin::built_in_kind: the plugin DIR/rekindle-step-test.fixture has the name of the built-in kind `test.fixture`");
}

#[tokio::test]
async fn a_plugin_that_was_changed_after_it_was_described_is_not_run() {
    let lab = Lab::new("");
    let step = lab.step();
    lab.write("#!/bin/sh\necho something else\n");
    let test = super::context();
    let error = step.run(&super::params(), &test.cx).await.unwrap_err();
    let told = told(&error).replace(lab.folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(told, @"
    permanent: the plugin DIR/rekindle-step-test.fixture was changed since it was described
    help: plan again with the plugin as it is now, or put back the one that was planned with
    ");
    insta::assert_snapshot!(preflight_problem(&lab, &step).await, @"
    rekindle::plugin::changed: the plugin DIR/rekindle-step-test.fixture was changed since it was described
    help: plan again with the plugin as it is now, or put back the one that was planned with
    ");

    let lab = Lab::new("plain");
    let step = lab.step();
    lab.write("#!/bin/sh\necho something else\n");
    insta::assert_snapshot!(preflight_problem(&lab, &step).await, @"
    rekindle::plugin::changed: the plugin DIR/rekindle-step-test.fixture was changed since it was described
    help: plan again with the plugin as it is now, or put back the one that was planned with
    ");
}

async fn preflight_problem(lab: &Lab, step: &std::sync::Arc<dyn ErasedStep>) -> String {
    let cx = rekindle_engine::testing::context(&super::world()).preflight([]);
    let problem = step.preflight(&super::params(), &BTreeMap::default(), &cx).await.problems.remove(0);
    let message = problem.message.replace(lab.folder.path().to_str().unwrap(), "DIR");
    format!("{}: {message}\nhelp: {}", problem.code, problem.help.unwrap_or_default())
}

#[tokio::test]
async fn a_plugin_that_gives_no_plan_is_told_before_the_run() {
    let lab = Lab::new("no plan");
    insta::assert_snapshot!(preflight_problem(&lab, &lab.step()).await, @"
    rekindle::plugin::no_answer: the plugin answered `plan` with `outputs`, not with `plan`
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
    let lab = Lab::new("plan fails");
    insta::assert_snapshot!(preflight_problem(&lab, &lab.step()).await, @"
    rekindle::plugin::problem: no pager is on duty
    help: wake one
    ");
}
