//! Runs whose journal is in a store: begun in one place, gone on with in another that has nothing but the environment.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_emulators::{ACCESS_KEY, S3Server, SECRET_KEY};
use serde_json::Value;

use crate::support::{Answer, Cluster, Project};

const RECOVER: [&str; 5] = ["run", "disaster-recovery", "--yes", "--set", "reseed_replicas=true"];

fn with_credentials(mut command: Command) -> Answer {
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    Answer::from(command.output().unwrap())
}

fn in_s3(cluster: &Cluster, endpoint: &str) -> String {
    format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: prod\nextends: {}\njournal: {{ store: primary }}\n\
         stores:\n  primary: {{ url: 's3://backups/mysql', endpoint: '{endpoint}', path_style: true, region: eu-central-1 }}\n",
        cluster.environment().display()
    )
}

/// Starts a command and kills it with -9 once it has written so many events.
fn kill_after(events: usize, mut command: Command) {
    let mut runner = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let record = |line: String| serde_json::from_str::<Value>(&line).unwrap().get("record").cloned();
    let seen = lines.filter_map(|line| record(line.unwrap())).take(events).count();
    runner.kill().unwrap();
    runner.wait().unwrap();
    assert_eq!(seen, events, "the run ended before");
}

fn folders_of_runs(project: &Path) -> usize {
    std::fs::read_dir(project.join(".rekindle/runs")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_goes_on_in_another_place_when_the_first_one_is_gone_with_its_disk() {
    let server = S3Server::start("backups").await.unwrap();
    let cluster = Cluster::up(1);
    let environment = in_s3(&cluster, server.endpoint());
    let file = cluster.project.write("prod.yaml", &environment);
    let file = file.to_str().unwrap();
    cluster.fill(20_000).await;
    let before = cluster.checksums(0).await;
    let begin = |args: &[&str]| cluster.project.command(&[args, &["-e", file]].concat());
    with_credentials(begin(&["run", "backup", "--yes"])).success();

    for events in [2, 7, 12] {
        cluster.destroy_primary();
        let mut runner = begin(&[&RECOVER[..], &["--log-format", "json"]].concat());
        runner.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        kill_after(events, runner);
        // The machine burns down: what it knew of its runs with it.
        std::fs::remove_dir_all(cluster.project.path().join(".rekindle")).unwrap();
        let elsewhere = Project::new();
        elsewhere.write("environments/prod.yaml", &environment);

        let unknown = with_credentials(elsewhere.command(&["resume", "latest"])).code(2);
        assert!(unknown.stderr.contains("there is no run"), "{}", unknown.stderr);
        with_credentials(elsewhere.command(&["resume", "latest", "-e", "prod"])).success();

        assert_eq!(cluster.checksums(0).await, before, "killed after event {events}");
        assert_eq!(cluster.checksums(1).await, before, "killed after event {events}");
        let shown = with_credentials(elsewhere.command(&["runs", "show", "latest"])).success();
        assert!(shown.stdout.contains(": succeeded"), "{}", shown.stdout);
    }
    assert!(
        server.faults().seen().iter().any(|seen| seen.starts_with("PUT") && seen.contains("runs/locks/"))
    );
}

const RUNBOOK: &str = "
apiVersion: rekindle/v1
kind: Runbook
name: move
version: 1.0.0
steps:
  - { id: move, run: [sh, -c, 'touch moved; test -e quick || sleep 1000'], on_crash: rerun }
  - { id: end, needs: [move], run: [touch, ended] }
";

/// A machine that reaches a shared folder.
fn machine(shared: &Path) -> Project {
    Project::with_journal_in(&format!("url: 'file://{}'", shared.display()))
}

/// Begins a run on a machine, and kills its runner while a step is under way.
fn begin_and_kill(project: &Project) {
    project.write("runbooks/move.yaml", RUNBOOK);
    let command = project.command(&["run", "move", "-e", "here", "--log-format", "json"]);
    kill_after(2, command);
}

#[test]
fn a_shared_folder_keeps_runs_for_several_machines() {
    let shared = tempfile::tempdir().unwrap();
    let (one, other) = (machine(shared.path()), machine(shared.path()));
    begin_and_kill(&one);
    assert_eq!(folders_of_runs(other.path()), 0);

    let listed = other.run(&["runs", "list", "-e", "here", "--json"]).success().json();
    assert_eq!((listed[0]["status"].as_str(), listed.as_array().unwrap().len()), (Some("interrupted"), 1));
    other.write("quick", "");
    other.run(&["resume", "latest"]).success();
    assert!(other.path().join("ended").exists());

    // The first one learns of it, also without being told where to look.
    let shown = one.run(&["runs", "show", "latest"]).success();
    assert!(shown.stdout.contains(": succeeded"), "{}", shown.stdout);
    let again = one.run(&["resume", "latest"]).code(2);
    assert!(again.stderr.contains("has finished already"), "{}", again.stderr);
}

#[test]
fn a_run_can_be_looked_at_without_its_store_but_not_gone_on_with() {
    let shared = tempfile::tempdir().unwrap();
    let one = machine(&shared.path().join("mounted"));
    begin_and_kill(&one);
    std::fs::rename(shared.path().join("mounted"), shared.path().join("away")).unwrap();
    std::fs::write(shared.path().join("mounted"), "a file, not a folder").unwrap();

    let shown = one.run(&["runs", "show", "latest"]).success();
    assert!(shown.stdout.contains("interrupted"), "{}", shown.stdout);
    assert!(shown.stderr.contains("this is what this machine knows"), "{}", shown.stderr);
    let refused = one.run(&["resume", "latest"]).code(2);
    assert!(refused.stderr.contains("bring it within reach"), "{}", refused.stderr);
}

#[test]
fn a_run_whose_journal_can_not_be_stored_is_not_begun() {
    let shared = tempfile::tempdir().unwrap();
    let one = machine(&shared.path().join("store"));
    one.write("runbooks/move.yaml", RUNBOOK);
    std::fs::write(shared.path().join("store"), "a file, not a folder").unwrap();
    let refused = one.run(&["run", "move", "-e", "here"]).code(2);
    assert!(refused.stderr.contains("bring it within reach"), "{}", refused.stderr);
    assert!(!one.path().join("moved").exists());
    assert_eq!(folders_of_runs(one.path()), 0);
}
