//! Runs of one group exclude each other: while they run, and while they wait for a person.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::Project;

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

/// A step that needs a decision after a crash, and one that destroys.
const RUNBOOK: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: move
version: 1.0.0
concurrency: { group: "cluster/{{ environment.name }}" }
steps:
  - { id: move, run: [sh, -c, "echo moved >> moved; test -e quick || sleep 1000"] }
  - { id: wipe, needs: [move], effect: destroy, run: [touch, wiped] }
finally:
  - { id: tidy, run: [touch, tidied] }
"#;

fn project() -> Project {
    let project = Project::new();
    project.write("runbooks/move.yaml", RUNBOOK);
    project.write("environments/here.yaml", ENVIRONMENT);
    project
}

/// Starts the runbook and kills its runner with -9 while `move` is under way.
fn start_and_kill(project: &Project) {
    let args = ["run", "move", "-e", "here", "--yes", "--log-format", "json"];
    let mut runner = project.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();
    while !project.path().join("moved").exists() {
        std::thread::yield_now();
    }
    runner.kill().unwrap();
    runner.wait().unwrap();
    std::fs::remove_file(project.path().join("moved")).unwrap();
}

fn tokens(project: &Project, run: &str) -> Vec<Value> {
    let records = project.run(&["runs", "show", run, "--json"]).success().json()["events"].clone();
    let events = records.as_array().unwrap().iter().map(|record| &record["event"]);
    events.filter(|event| !event["runner"].is_null()).map(|event| event["fence"].clone()).collect()
}

#[test]
fn a_run_takes_over_the_group_of_a_killed_one_at_once() {
    let project = project();
    start_and_kill(&project);
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    let first = runs[0]["run"].as_str().unwrap();
    project.write("quick", "");
    let second = project.run(&["run", "move", "-e", "here", "--yes", "--log-format", "json"]).success();
    let started: Value = serde_json::from_str(second.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(started["record"]["event"]["fence"], 2);

    // The killed one can still go on, and is told that it was not alone.
    let paused = project.run(&["resume", first]).code(4);
    assert!(
        paused.stderr.contains("warning: other runs of the group `cluster/here` went on"),
        "{}",
        paused.stderr
    );
    assert_eq!(tokens(&project, first), [1, 3]);
}

#[test]
fn a_run_that_waits_for_a_decision_keeps_its_group_until_it_has_one() {
    let project = project();
    start_and_kill(&project);
    project.write("quick", "");
    project.run(&["resume", "latest"]).code(4);
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    let first = runs[0]["run"].as_str().unwrap().to_owned();

    let second = project.run(&["run", "move", "-e", "here", "--yes"]).code(2);
    insta::assert_snapshot!(second.stderr.replace(&first, "RUN"), @r"
    error: the group `cluster/here` is locked: run RUN keeps it while it waits for a decision on step `move`
    help: decide with `rekindle resume RUN --resolve move=done|rerun|fail`, or give it up with `rekindle cancel RUN`
    ");
    assert!(!project.path().join("wiped").exists());

    // A decision that makes no sense changes nothing, also not who has the group.
    project.run(&["resume", &first, "--resolve", "wipe=done"]).code(2);
    project.run(&["run", "move", "-e", "here", "--yes"]).code(2);

    project.run(&["resume", &first, "--resolve", "move=done"]).success();
    assert!(!project.path().join("moved").exists());
    assert!(project.path().join("wiped").exists());
    project.run(&["run", "move", "-e", "here", "--yes"]).success();
}

#[test]
fn cancelling_a_run_that_waits_ends_it_in_order_and_frees_its_group() {
    let project = project();
    start_and_kill(&project);
    project.write("quick", "");
    project.run(&["resume", "latest"]).code(4);

    project.run(&["cancel", "latest"]).success();

    assert!(project.path().join("tidied").exists());
    assert!(!project.path().join("wiped").exists());
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "cancelled");
    project.run(&["run", "move", "-e", "here", "--yes"]).success();
}

#[test]
fn a_damaged_lock_file_is_refused_by_name_before_anything_begins() {
    let project = project();
    project.write("quick", "");
    project.run(&["run", "move", "-e", "here", "--yes"]).success();
    let file = ".rekindle/locks/cluster%2Fhere.lease";
    let whole = std::fs::read_to_string(project.path().join(file)).unwrap();
    project.write(file, &whole.replace("\"token\":1", "\"token\":0"));
    std::fs::remove_file(project.path().join("wiped")).unwrap();

    let answer = project.run(&["run", "move", "-e", "here", "--yes"]).code(2);

    insta::assert_snapshot!(answer.stderr, @r"
    error: the lock file .rekindle/locks/cluster%2Fhere.lease is damaged: its checksum does not fit what stands there
    help: make sure that no run of this group goes on (`rekindle runs list`), then remove the file
    ");
    assert!(!project.path().join("wiped").exists());
    assert_eq!(project.run(&["runs", "list", "--json"]).success().json().as_array().unwrap().len(), 1);
}
