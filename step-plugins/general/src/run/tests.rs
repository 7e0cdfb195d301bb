//! `run` with real processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::World;
use rekindle_engine::step::{ErrorClass, Planned, Step, StepError};
use rekindle_engine::testing::{self, FakeWorld, TestContext};
use rekindle_host::SystemProcesses;
use serde_json::{Value, json};

use super::{Run, RunOutputs, RunParams};

fn real_world() -> FakeWorld {
    let mut world = testing::world();
    world.world = World { processes: Arc::new(SystemProcesses::new(None)), ..world.world };
    world
}

fn test_context() -> TestContext {
    testing::context(&real_world()).build()
}

fn params(with: Value) -> RunParams {
    serde_json::from_value(with).unwrap()
}

async fn run(with: Value) -> Result<RunOutputs, StepError> {
    Run.run(&params(with), &test_context().cx).await
}

fn plan(with: Value) -> Result<String, String> {
    let intent = Run.plan(&Planned::known(params(with.clone()), with));
    intent
        .map(|intent| format!("{}\n{}", intent.summary, intent.commands.join("\n")))
        .map_err(|error| format!("{}; help: {}", error.message, error.help.unwrap_or_default()))
}

#[tokio::test]
async fn output_and_log_come_from_the_command() {
    let test = test_context();
    let with = params(json!({ "command": ["sh", "-c", "echo one; echo two; echo careful >&2"] }));
    let outputs = Run.run(&with, &test.cx).await.unwrap();
    assert_eq!(
        outputs,
        RunOutputs {
            exit_code: 0,
            stdout: "one\ntwo".to_owned(),
            stdout_truncated: false,
            stderr: "careful".to_owned()
        }
    );
    assert_eq!(test.reporter.logs(), ["one", "two", "careful"]);
}

#[tokio::test]
async fn words_reach_the_program_as_they_are_and_numbers_as_text() {
    let with = json!({ "command": ["printf", "<%s>", "a b", "$HOME; `x`", "", 3306, true] });
    assert_eq!(run(with).await.unwrap().stdout, "<a b><$HOME; `x`><><3306><true>");
}

#[tokio::test]
async fn a_script_gets_its_values_through_the_environment() {
    let with = json!({ "script": "printf %s \"$LEVEL-$NAME\"", "env": { "LEVEL": 3, "NAME": "a'b\"$c" } });
    assert_eq!(run(with).await.unwrap().stdout, "3-a'b\"$c");
}

#[tokio::test]
async fn a_script_stops_at_its_first_failure_and_at_an_unset_variable() {
    let error = run(json!({ "script": "false\necho reached >&2" })).await.unwrap_err();
    assert_eq!(error.message, "the script ended with exit code 1");
    let error = run(json!({ "script": "echo \"$NO_SUCH_VARIABLE\"" })).await.unwrap_err();
    assert!(error.message.contains("NO_SUCH_VARIABLE"), "{}", error.message);
}

#[tokio::test]
async fn a_script_can_read_its_standard_input_without_eating_itself() {
    assert_eq!(run(json!({ "script": "cat\necho after" })).await.unwrap().stdout, "after");
}

#[tokio::test]
async fn the_file_of_a_script_is_gone_afterwards() {
    let path = run(json!({ "script": "echo \"$0\"" })).await.unwrap().stdout;
    assert!(path.starts_with('/') && !std::path::Path::new(&path).exists(), "{path}");
}

#[tokio::test]
async fn a_failure_is_transient_and_shows_the_end_of_what_was_said() {
    let error = run(json!({ "command": ["sh", "-c", "echo no luck >&2; exit 3"] })).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(error.message, "`sh` ended with exit code 3: no luck");
}

#[tokio::test]
async fn death_by_a_signal_is_a_failure() {
    let error = run(json!({ "script": "kill -9 $$" })).await.unwrap_err();
    assert_eq!(error.message, "the script ended with signal 9");
}

#[tokio::test]
async fn it_runs_in_the_folder_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let outputs = run(json!({ "command": ["pwd"], "cwd": dir })).await.unwrap();
    assert_eq!(outputs.stdout, dir.to_str().unwrap());
}

#[tokio::test]
async fn a_missing_program_is_permanent_and_says_what_to_do() {
    let error = run(json!({ "command": ["no-such-program"] })).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert_eq!(error.message, "there is no program `no-such-program` on PATH");
    assert_eq!(error.help.unwrap(), "install `no-such-program`, or write its path");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let error = run(json!({ "command": ["true"], "cwd": "/no/such/folder" })).await.unwrap_err();
    assert_eq!(error.message, "failed to run `true`: there is no folder /no/such/folder to run it in");
}

/// Waits until the step has logged the pid of its process group.
async fn group_of(test: &TestContext) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(line) = test.reporter.logs().first() {
            return line.parse().unwrap();
        }
        assert!(Instant::now() < deadline, "the script never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn cancelling_ends_the_whole_group_before_it_returns() {
    let test = test_context();
    let with = params(json!({ "script": "echo $$; sleep 1000 | sleep 1000" }));
    let (result, group) = tokio::join!(Run.run(&with, &test.cx), async {
        let group = group_of(&test).await;
        test.cancel.cancel();
        group
    });
    assert_eq!(result.unwrap_err().class, ErrorClass::Cancelled);
    assert!(rekindle_host::live_group_members(group).is_empty());
}

#[tokio::test]
async fn a_command_that_was_cancelled_before_it_began_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let test = test_context();
    test.cancel.cancel();
    let error = Run.run(&params(json!({ "command": ["touch", mark] })), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_dropped_step_ends_the_whole_group() {
    let test = test_context();
    let with = params(json!({ "script": "echo $$; sleep 1000 | sleep 1000" }));
    let group = tokio::select! {
        _ = Run.run(&with, &test.cx) => panic!("it ended by itself"),
        group = group_of(&test) => group,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !rekindle_host::live_group_members(group).is_empty() {
        assert!(Instant::now() < deadline, "the group lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_plan_shows_a_command_as_it_would_be_typed() {
    let with = json!({ "command": ["./smoke.sh", "a b"], "env": { "LEVEL": 3 }, "cwd": "my tests" });
    insta::assert_snapshot!(plan(with).unwrap(), @"
    run ./smoke.sh 'a b'
    cd 'my tests' && env LEVEL=3 ./smoke.sh 'a b'
    ");
}

#[test]
fn the_plan_shows_a_script_whole() {
    insta::assert_snapshot!(plan(json!({ "script": "one\n  two\n" })).unwrap(), @"
    run a script
    sh -eu <<'END'
    one
      two
    END
    ");
}

#[test]
fn the_plan_shows_unknowns_in_their_places() {
    let rendered = json!({ "command": ["./check.sh", "s3://(known after find)/y"] });
    let unknown = [("/command/1".to_owned(), "(known after find)".to_owned())].into();
    let intent = Run.plan(&Planned::partly_known(rendered, unknown)).unwrap();
    assert_eq!(intent.commands, ["./check.sh 's3://(known after find)/y'"]);
}

#[test]
fn scripts_of_the_project_are_what_it_reads() {
    let reads = |with: Value| Run.plan(&Planned::known(params(with.clone()), with)).unwrap().reads;
    let command = |words: &[&str]| reads(json!({ "command": words }));
    assert_eq!(command(&["./smoke.sh", "x"]), ["./smoke.sh"]);
    assert_eq!(command(&["bash", "scripts/smoke.sh", "x"]), ["scripts/smoke.sh"]);
    assert_eq!(command(&["./python3", "check.py"]), ["./python3", "check.py"]);
    assert_eq!(reads(json!({ "command": ["./smoke.sh"], "cwd": "tests" })), ["tests/./smoke.sh"]);
    for words in [&["ls", "file"][..], &["/usr/bin/env", "x"], &["sh", "-c", "./x"], &["sh"]] {
        assert_eq!(command(words), Vec::<String>::new(), "{words:?}");
    }
    let rendered = json!({ "command": ["(known after a)/x", "y"], "cwd": "z" });
    let unknown = [("/command/0".to_owned(), "(known after a)/x".to_owned())].into();
    assert_eq!(Run.plan(&Planned::partly_known(rendered, unknown)).unwrap().reads, Vec::<String>::new());
}

#[test]
fn nothing_to_run_and_two_things_to_run_are_refused() {
    insta::assert_snapshot!(plan(json!({})).unwrap_err(), @"there is nothing to run; help: write `run: [program, argument, …]`, or `run: |` and a script");
    insta::assert_snapshot!(plan(json!({ "command": ["a"], "script": "b" })).unwrap_err(), @"there are a `command` and a `script`; help: keep one of them, or make two steps");
    insta::assert_snapshot!(plan(json!({ "command": [] })).unwrap_err(), @"`command` names no program; help: write `command: [program, argument, …]`");
}

#[test]
fn a_variable_needs_a_name_that_a_shell_can_say() {
    for name in ["", "1A", "A=B", "A B"] {
        let error = plan(json!({ "command": ["true"], "env": { name: "x" } })).unwrap_err();
        assert!(error.contains("is no name of a variable"), "{error}");
    }
}

#[test]
fn a_list_is_no_word() {
    let error = serde_json::from_value::<RunParams>(json!({ "command": [["a"]] })).unwrap_err();
    assert!(error.to_string().contains("expected a string, a number or a boolean"), "{error}");
    assert!(serde_json::from_value::<RunParams>(json!({ "comand": ["a"] })).is_err());
}

#[tokio::test]
async fn the_preflight_misses_a_program_and_nothing_that_a_step_may_still_make() {
    let find = |with: Value| async {
        let cx = testing::context(&real_world()).preflight([]);
        Run.preflight(&Planned::known(params(with.clone()), with), &cx).await.problems
    };
    let problems = find(json!({ "command": ["no-such-program"] })).await;
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].code, problems[0].pointer), ("rekindle::tool::missing", Some("/command/0")));
    assert!(find(json!({ "command": ["./made-later.sh"] })).await.is_empty());
    assert!(find(json!({ "script": "true" })).await.is_empty());
}
