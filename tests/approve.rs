//! People's agreement: a run waits for it, counts it, and nothing else stands in for it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Answer, Project};

const RUNBOOK: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: wipe
version: 1.0.0
steps:
  - { id: look, run: [echo, /var/old] }
  - { id: wipe, needs: [look], effect: destroy, run: [touch, "{{ steps.look.outputs.stdout | trim | replace('/var/', '') }}"] }
on_failure:
  - { id: page, run: [touch, paged] }
finally:
  - { id: clean, run: [touch, cleaned] }
"#;

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n\
                           policy: { approve: [destroy], approvals: 2 }\n";

fn project() -> Project {
    let project = Project::new();
    project.write("runbooks/wipe.yaml", RUNBOOK);
    project.write("environments/here.yaml", ENVIRONMENT);
    project
}

fn as_user(project: &Project, user: &str, args: &[&str]) -> Answer {
    Answer::from(project.command(args).env("USER", user).output().unwrap())
}

fn journal(project: &Project) -> Vec<Value> {
    project.run(&["runs", "show", "latest", "--json"]).success().json()["events"].as_array().unwrap().clone()
}

fn count(project: &Project, event: &str) -> usize {
    journal(project).iter().filter(|record| record["event"]["type"] == event).count()
}

fn exists(project: &Project, name: &str) -> bool {
    project.path().join(name).exists()
}

#[test]
fn a_step_runs_when_two_people_have_approved_it_and_not_before() {
    let project = project();
    let waits = project.run(&["run", "wipe", "-e", "here", "--yes"]).code(3);
    assert!(waits.stderr.contains("rekindle approve"), "{}", waits.stderr);
    assert!(waits.stderr.contains("wipe (0 of 2)"), "{}", waits.stderr);

    let one = as_user(&project, "kim", &["approve", "latest", "wipe", "--because", "looked"]).code(3);
    assert!(one.stdout.contains("now: run touch old"), "{}", one.stdout);
    let again = as_user(&project, "kim", &["approve", "latest", "wipe"]).code(3);
    assert!(again.stderr.contains("kim has approved wipe already; 1 more"), "{}", again.stderr);
    assert_eq!(count(&project, "step_approved"), 1);
    let list = project.run(&["runs", "list"]).success();
    assert!(list.stdout.contains("waiting for approval: wipe (1 of 2)"), "{}", list.stdout);
    project.run(&["resume", "latest"]).code(3);
    assert!(!exists(&project, "old"));

    as_user(&project, "ana", &["approve", "latest"]).code(0);
    assert!(exists(&project, "old") && exists(&project, "cleaned"));
    let report = project.run(&["runs", "report", "latest"]).success();
    assert!(report.stdout.contains("approved by kim (uid "), "{}", report.stdout);
    assert!(report.stdout.contains(": looked"), "{}", report.stdout);
    as_user(&project, "ben", &["approve", "latest", "wipe"]).code(2);
}

#[test]
fn an_approval_of_another_plan_is_refused_and_nothing_is_recorded() {
    let project = project();
    project.run(&["run", "wipe", "-e", "here"]).code(3);
    let before = journal(&project);
    let hash = before[0]["event"]["plan_hash"].as_str().unwrap().to_owned();
    for wrong in ["0123456789ab", "abc", ""] {
        project.run(&["approve", "latest", "wipe", "--plan", wrong]).code(2);
    }
    project.run(&["approve", "latest", "look"]).code(2);
    project.run(&["approve", "latest", "wipe", "--as", " "]).code(2);
    assert_eq!(journal(&project), before);
    project.run(&["approve", "latest", "wipe", "--plan", &hash[..12], "--as", "kim"]).code(3);
    project.run(&["approve", "latest", "wipe", "--plan", &hash, "--as", "ana"]).success();
    assert!(exists(&project, "old"));
}

#[test]
fn a_rejection_fails_the_run_and_runs_what_follows_a_failure() {
    let project = project();
    project.run(&["run", "wipe", "-e", "here"]).code(3);
    project.run(&["reject", "latest", "wipe", "--because", "not tonight", "--as", "kim"]).success();
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "failed");
    assert!(exists(&project, "paged") && exists(&project, "cleaned") && !exists(&project, "old"));
    let report = project.run(&["runs", "report", "latest", "--format", "md"]).success();
    assert!(report.stdout.contains("rejected by kim") && report.stdout.contains("not tonight"));
}

#[test]
fn a_waiting_run_is_cancelled_in_order() {
    let project = project();
    project.run(&["run", "wipe", "-e", "here"]).code(3);
    project.run(&["cancel", "latest"]).success();
    assert!(exists(&project, "cleaned") && !exists(&project, "old"));
    assert_eq!(project.run(&["runs", "list", "--json"]).json()[0]["status"], "cancelled");
}

#[test]
fn no_other_run_of_its_group_starts_while_a_run_waits() {
    let project = project();
    let grouped = RUNBOOK.replace("steps:", "concurrency: { group: old }\nsteps:");
    project.write("runbooks/wipe.yaml", &grouped);
    project.run(&["run", "wipe", "-e", "here"]).code(3);
    project.run(&["approve", "latest", "wipe", "--as", "kim"]).code(3);
    let refused = project.run(&["run", "wipe", "-e", "here"]).code(2);
    assert!(refused.stderr.contains("approval of step `wipe`"), "{}", refused.stderr);
    project.run(&["approve", "latest", "wipe", "--as", "ana"]).success();
    project.run(&["run", "wipe", "-e", "here"]).code(3);
}

const BRANCHES: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: branches
version: 1.0.0
steps:
  - { id: wipe, effect: destroy, run: [touch, old] }
  - { id: slow, run: [sh, -c, "until test -e go; do sleep 0.05; done"] }
"#;

/// A run that waits for approval of `wipe` while `slow` runs.
fn branches() -> (Project, Child) {
    let project = project();
    project.write("runbooks/branches.yaml", BRANCHES);
    let mut runner = project
        .command(&["run", "branches", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let mut seen = (false, false);
    while seen != (true, true) {
        let line = lines.next().unwrap().unwrap();
        seen.0 |= line.contains("approval_requested");
        seen.1 |= line.contains("step_started");
    }
    std::thread::spawn(move || lines.for_each(drop));
    (project, runner)
}

#[test]
fn answers_reach_the_process_that_drives_the_run() {
    let (project, mut runner) = branches();
    let one = as_user(&project, "kim", &["approve", "latest"]).code(3);
    assert!(one.stdout.contains("wipe is approved by kim; 1 more"), "{}", one.stdout);
    as_user(&project, "ana", &["approve", "latest", "wipe"]).success();
    let begun = Instant::now();
    while !exists(&project, "old") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the step never ran");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(runner.try_wait().unwrap().is_none(), "its process went on by itself");
    project.write("go", "");
    assert_eq!(runner.wait().unwrap().code(), Some(0));
}

#[test]
fn a_run_killed_while_it_waits_is_approved_and_goes_on() {
    let (project, mut runner) = branches();
    as_user(&project, "kim", &["approve", "latest"]).code(3);
    runner.kill().unwrap();
    runner.wait().unwrap();
    project.write("go", "");
    // `slow` was under way, and nobody can look at a `run:` step: that must be decided as ever.
    as_user(&project, "ana", &["approve", "latest"]).code(4);
    project.run(&["resume", "latest", "--resolve", "slow=done"]).success();
    assert!(exists(&project, "old"));
    assert_eq!(count(&project, "approval_requested"), 1);
}
