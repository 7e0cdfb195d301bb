//! The operator's word: a run stops in order, and nothing of it stays behind.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Project;

const RUNBOOK: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: slow
version: 1.0.0
steps:
  - { id: sleep, run: [sh, -c, "sleep 1000 & sleep 1000"] }
  - { id: never, needs: [sleep], run: [touch, never] }
finally:
  - { id: clean, run: [touch, cleaned] }
"#;

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

fn project() -> Project {
    let project = Project::new();
    project.write("runbooks/slow.yaml", RUNBOOK);
    project.write("environments/here.yaml", ENVIRONMENT);
    project
}

#[test]
fn a_terminated_run_ends_its_children_and_still_runs_its_finally_steps() {
    let project = project();
    let mut runner = project
        .command(&["run", "slow", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&runner);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    lines.for_each(drop);

    assert_eq!(runner.wait().unwrap().code(), Some(143));
    assert!(project.path().join("cleaned").exists());
    assert!(!project.path().join("never").exists());
    assert_eq!(processes_in(project.path()), 0);
    let locks = std::fs::read_dir(project.path().join(".rekindle/locks")).map_or(0, Iterator::count);
    assert_eq!(locks, 0);
}

#[test]
fn a_run_is_cancelled_from_another_terminal() {
    let project = project();
    let mut runner = project
        .command(&["run", "slow", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();
    let reading = std::thread::spawn(move || lines.for_each(drop));
    let waiting = std::thread::spawn(move || runner.wait().unwrap());

    project.run(&["cancel", "latest"]).success();

    assert_eq!(waiting.join().unwrap().code(), Some(143));
    reading.join().unwrap();
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "cancelled");
}

#[test]
fn a_run_whose_runner_is_gone_is_cancelled_in_order() {
    let project = project();
    let mut runner = project
        .command(&["run", "slow", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();

    project.run(&["cancel", "latest"]).success();

    let runs = project.run(&["runs", "list", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "cancelled");
    assert!(project.path().join("cleaned").exists());
    assert!(!project.path().join("never").exists());
}

fn processes_in(folder: &std::path::Path) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok())
        .filter(|cwd| cwd.starts_with(folder))
        .count()
}
