//! What is beside a run: children that outlive their runner, and other runs of the group that it waits for.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::Project;

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

fn project(runbook: &str) -> Project {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    let head = "apiVersion: rekindle/v1\nkind: Runbook\nname: work\nversion: 1.0.0\n";
    project.write("runbooks/work.yaml", &format!("{head}{runbook}"));
    project
}

fn begin(project: &Project) -> Child {
    let mut command = project.command(&["run", "work", "-e", "here", "--yes"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As SIGKILL from anybody.
fn stop(runner: &mut Child) {
    runner.kill().unwrap();
    runner.wait().unwrap();
}

/// The processes that this one has started, from any of its threads.
fn children_of(pid: u32) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let all: String = lists.collect();
    all.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

fn is_reaper(pid: Pid) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
    line.windows(8).any(|part| part == b"__reaper")
}

#[test]
fn a_run_does_not_go_on_beside_a_child_of_its_last_runner() {
    let project = project(
        "steps:\n  - { id: slow, run: [sh, -c, \"echo on > started; exec sleep 300\"], on_crash: rerun }\n",
    );
    let mut runner = begin(&project);
    until("started", || project.path().join("started").exists());
    let noted = |run: std::fs::DirEntry| std::fs::read_to_string(run.path().join("children"));
    let runs = || std::fs::read_dir(project.path().join(".rekindle/runs")).unwrap().flatten();
    until("written down", || runs().filter_map(|run| noted(run).ok()).any(|text| text.starts_with('+')));
    let reaper = children_of(runner.id()).into_iter().find(|pid| is_reaper(*pid)).unwrap();
    let child = children_of(runner.id()).into_iter().find(|pid| *pid != reaper).unwrap();
    // The reaper first: it would end the child.
    kill_process(reaper, Signal::KILL).unwrap();
    stop(&mut runner);

    let refused = project.run(&["resume", "latest"]).code(2);
    let group = child.as_raw_pid();
    assert!(refused.stderr.contains(&format!("still runs (process group {group})")), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("kill -- -{group}")), "{}", refused.stderr);

    kill_process_group(child, Signal::KILL).unwrap();
    std::fs::remove_file(project.path().join("started")).unwrap();
    let again = project.command(&["resume", "latest"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut again = again.unwrap();
    until("started again", || project.path().join("started").exists());
    kill_process(Pid::from_child(&again), Signal::TERM).unwrap();
    assert_eq!(again.wait().unwrap().code(), Some(143));
}

const GROUPED: &str = "concurrency: { group: g, on_conflict: wait }\n\
                       steps:\n  - { id: slow, run: [sh, -c, \"echo on >> started; until test -e go; do sleep 0.05; done\"] }\n";

#[test]
fn a_run_that_waits_for_its_group_is_shown_and_can_be_cancelled() {
    let project = project(GROUPED);
    let mut first = begin(&project);
    until("started", || project.path().join("started").exists());
    let mut second = begin(&project);
    let starting = || project.run(&["runs", "list"]).stdout.contains("starting");
    until("waiting", starting);
    let list = project.run(&["runs", "list", "--json"]).success().json();
    let waiting = list.as_array().unwrap().iter().find(|run| run["status"] == "starting").unwrap();
    let waiting = waiting["run"].as_str().unwrap();

    let cancelled = project.run(&["cancel", waiting]).success();
    assert!(cancelled.stdout.contains("has stopped"), "{}", cancelled.stdout);
    assert_eq!(second.wait().unwrap().code(), Some(143));
    let list = project.run(&["runs", "list"]).success();
    assert_eq!(list.stdout.lines().count(), 1, "{}", list.stdout);

    project.write("go", "");
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let started = std::fs::read_to_string(project.path().join("started")).unwrap();
    assert_eq!(started.lines().count(), 1);
}

#[test]
fn what_is_left_of_a_run_that_was_killed_while_it_waited_goes_away_with_cancel() {
    let project = project(GROUPED);
    let mut first = begin(&project);
    until("started", || project.path().join("started").exists());
    let mut second = begin(&project);
    until("waiting", || project.run(&["runs", "list"]).stdout.contains("starting"));
    stop(&mut second);
    let list = project.run(&["runs", "list", "--json"]).success().json();
    let left = list.as_array().unwrap().iter().find(|run| run["status"] == "not started").unwrap();
    let left = left["run"].as_str().unwrap();
    let gone = project.run(&["cancel", left]).success();
    assert!(gone.stdout.contains("had not started; it is gone"), "{}", gone.stdout);
    project.write("go", "");
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_refused_resume_is_no_other_run_of_the_group() {
    let project = project(GROUPED);
    let mut first = begin(&project);
    until("started", || project.path().join("started").exists());
    stop(&mut first);
    project.run(&["resume", "latest", "--resolve", "nope=done"]).code(2);
    project.write("go", "");
    let resumed =
        project.run(&["resume", "latest", "--resolve", "slow=rerun", "--because", "harmless"]).success();
    assert!(!resumed.stderr.contains("went on since"), "{}", resumed.stderr);
    let shown = project.run(&["runs", "show", "latest"]).success();
    assert!(shown.stdout.contains("decided as rerun by"), "{}", shown.stdout);
    assert!(shown.stdout.contains(": harmless"), "{}", shown.stdout);
}
