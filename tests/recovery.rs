//! The main job: back up, lose the primary, bring it back, also when the runner dies on the way.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;
use serde_json::Value;

use crate::support::{Cluster, on_both};

const RECOVER: [&str; 5] = ["run", "disaster-recovery", "--yes", "--set", "reseed_replicas=true"];

on_both!(a_destroyed_primary_comes_back_equal_and_its_replicas_follow);
async fn a_destroyed_primary_comes_back_equal_and_its_replicas_follow(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 2);
    cluster.fill(5_000).await;
    let before = cluster.checksums(0).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.with_environment(&["run", "verify", "--yes"]).success();
    cluster.destroy_primary();

    cluster.with_environment(&RECOVER).success();

    for server in 0..3 {
        assert_eq!(cluster.checksums(server).await, before, "server {server}");
    }
    for replica in [1, 2] {
        follows(&cluster, replica).await;
    }
}

on_both!(a_runner_killed_at_any_of_several_events_is_resumed_to_the_same_end);
async fn a_runner_killed_at_any_of_several_events_is_resumed_to_the_same_end(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(20_000).await;
    let before = cluster.checksums(0).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();

    for kill_after in [1, 2, 3, 5, 6, 8, 9, 11, 13, 15] {
        cluster.destroy_primary();
        let run = start_and_kill(&cluster, kill_after);
        cluster.run(&["resume", &run]).success();

        assert_eq!(cluster.checksums(0).await, before, "killed after event {kill_after}");
        assert_eq!(cluster.checksums(1).await, before, "killed after event {kill_after}");
        assert_eq!(succeeded_twice(&cluster, &run), Vec::<String>::new(), "killed after event {kill_after}");
    }
    follows(&cluster, 1).await;
}

on_both!(a_server_with_data_is_left_alone_unless_they_are_given_up);
async fn a_server_with_data_is_left_alone_unless_they_are_given_up(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    let before = cluster.checksums(1).await;

    let answer = cluster.with_environment(&["run", "disaster-recovery", "--yes"]).code(2);

    assert!(answer.stderr.contains("holds 1 database (shop) with 2 tables"), "{}", answer.stderr);
    assert!(answer.stderr.contains("nothing was changed"), "{}", answer.stderr);
    assert_eq!(cluster.checksums(1).await, before);
}

#[tokio::test]
async fn two_recoveries_of_one_cluster_exclude_each_other() {
    let cluster = Cluster::up(0);
    cluster.fill(100_000).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.destroy_primary();
    let environment = cluster.environment();
    let args =
        ["run", "disaster-recovery", "--yes", "--log-format", "json", "-e", environment.to_str().unwrap()];
    let mut first =
        cluster.project.command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();

    let second = cluster.with_environment(&["run", "disaster-recovery", "--yes"]).code(2);

    assert!(second.stderr.contains("is locked"), "{}", second.stderr);
    assert!(lines.last().unwrap().unwrap().contains("run_finished"));
    assert!(first.wait().unwrap().success());
}

/// Starts a recovery and kills its runner with -9 once it has written so many events. Gives the run's id.
fn start_and_kill(cluster: &Cluster, events: usize) -> String {
    let environment = cluster.environment();
    let mut args = RECOVER.to_vec();
    args.extend(["--log-format", "json", "-e", environment.to_str().unwrap()]);
    let mut runner = cluster.project.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut run = String::new();
    let mut seen = 0;
    for line in BufReader::new(runner.stdout.take().unwrap()).lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let Some(record) = message.get("record") else { continue };
        if let Some(id) = record.pointer("/event/run").and_then(Value::as_str) {
            id.clone_into(&mut run);
        }
        seen += 1;
        if seen == events {
            runner.kill().unwrap();
            break;
        }
    }
    runner.wait().unwrap();
    assert_eq!(seen, events, "the run ended before event {events}");
    run
}

/// Lists the steps that have more than one success in the journal of a run.
fn succeeded_twice(cluster: &Cluster, run: &str) -> Vec<String> {
    let journal = cluster.run(&["runs", "show", run, "--json"]).success().json()["events"].clone();
    let mut succeeded: Vec<String> = journal
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["event"]["type"] == "step_succeeded")
        .map(|record| record["event"]["step"].as_str().unwrap().to_owned())
        .collect();
    succeeded.sort();
    succeeded
        .chunk_by(|one, other| one == other)
        .filter(|same| same.len() > 1)
        .map(|same| same[0].clone())
        .collect()
}

/// Writes a row to the primary and waits until a replica has it.
async fn follows(cluster: &Cluster, replica: usize) {
    let id = 4711 + replica;
    cluster.sql(&[&format!("INSERT INTO shop.counter VALUES ({id}, {id})")]).await;
    let mut replica = cluster.connect(replica).await;
    let begun = Instant::now();
    loop {
        let row: Option<u32> =
            replica.query_first(format!("SELECT n FROM shop.counter WHERE id = {id}")).await.unwrap();
        if row.is_some() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the replica does not follow");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
