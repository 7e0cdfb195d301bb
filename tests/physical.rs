//! Files instead of SQL: a server that lost its disk, and a runner that dies while it has stopped one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rekindle_backup::manifest::Flavour;
use serde_json::json;

use crate::support::{Cluster, kill, on_both, server_pid};

/// Says where the servers' files are, how they are stopped, and how they are started with the options they have now.
fn environment(cluster: &Cluster, servers: &[&str]) -> PathBuf {
    let mut targets = serde_json::Map::new();
    for name in servers {
        let folder = cluster.server(name);
        let words = std::fs::read(format!("/proc/{}/cmdline", server_pid(&folder))).unwrap();
        let words = String::from_utf8(words).unwrap();
        let words = words.split('\0').filter(|word| !word.is_empty() && !word.starts_with("--init-file"));
        let line: Vec<String> = words.map(|word| format!("'{word}'")).collect();
        let pid = folder.join("pid");
        let pid = pid.display();
        let start = format!(
            "[ -e {pid} ] && kill -0 $(cat {pid}) 2>/dev/null && exit 0; rm -f {pid}\n\
             setsid {} </dev/null >>{}/server.log 2>&1 &\n\
             for i in $(seq 200); do [ -e {pid} ] && exit 0; sleep 0.1; done; exit 1\n",
            line.join(" "),
            folder.display()
        );
        // Where there is a file `hold`, the command does not come back: as a server that takes its time.
        let stop = format!(
            "[ -e {pid} ] || exit 0; kill $(cat {pid}); while [ -e {pid} ]; do sleep 0.1; done\n\
             touch {0}/stopped; while [ -e {0}/hold ]; do sleep 0.1; done\n",
            folder.display()
        );
        let script = |file: &str, text: String| {
            std::fs::write(folder.join(file), text).unwrap();
            json!(["sh", folder.join(file)])
        };
        let local = json!({
            "data_dir": folder.join("data"), "stop": script("stop.sh", stop), "start": script("start.sh", start)
        });
        targets.insert((*name).to_owned(), json!({ "local": local }));
    }
    let path = cluster.project.path().join("box/environments/physical.yaml");
    let document = json!({
        "apiVersion": "rekindle/v1", "kind": "Environment", "name": "physical", "cluster": "sandbox",
        "extends": "sandbox", "targets": targets
    });
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

fn run<'a>(environment: &'a Path, args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["run"];
    all.extend(args);
    all.extend(["--yes", "-e", environment.to_str().unwrap()]);
    all
}

fn lose_the_disk(cluster: &Cluster, name: &str) {
    let folder = cluster.server(name);
    kill(server_pid(&folder));
    std::fs::remove_file(folder.join("pid")).unwrap();
    std::fs::remove_dir_all(folder.join("data")).unwrap();
    std::fs::create_dir(folder.join("data")).unwrap();
}

#[tokio::test]
async fn a_server_that_lost_its_disk_comes_back_from_an_increment_and_its_replica_from_the_same_files() {
    let cluster = Cluster::up(1);
    cluster.fill(5_000).await;
    let environment = environment(&cluster, &["primary", "replica-0"]);
    cluster.run(&run(&environment, &["backup-physical"])).success();
    cluster.sql(&["INSERT INTO shop.customer VALUES (9999, 'later', 'x')"]).await;
    cluster.run(&run(&environment, &["backup-physical", "--set", "base=latest"])).success();
    let before = cluster.checksums(0).await;
    lose_the_disk(&cluster, "primary");

    let sets = ["restore-physical", "--set", "replicas=[replica-0]", "--set", "overwrite_replicas=true"];
    cluster.run(&run(&environment, &sets)).success();

    assert_eq!(cluster.checksums(0).await, before);
    assert_eq!(cluster.checksums(1).await, before);
}

on_both!(a_runner_killed_while_it_has_stopped_a_server_leaves_it_running_and_is_resumed);
async fn a_runner_killed_while_it_has_stopped_a_server_leaves_it_running_and_is_resumed(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(1_000).await;
    let before = cluster.checksums(0).await;
    let environment = environment(&cluster, &["primary"]);
    let folder = cluster.server("primary");
    std::fs::write(folder.join("hold"), "").unwrap();
    let args = run(&environment, &["backup-physical", "--set", "mode=cold"]);
    let mut runner =
        cluster.project.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the server is stopped", || folder.join("stopped").exists());
    assert!(!folder.join("pid").exists());

    runner.kill().unwrap();
    runner.wait().unwrap();

    until("the server is started again", || folder.join("pid").exists());
    assert_eq!(cluster.checksums(0).await, before);
    std::fs::remove_file(folder.join("hold")).unwrap();
    let runs = cluster.run(&["runs", "list", "--json"]).success().json();
    let id = runs[0]["run"].as_str().or(runs[0]["id"].as_str()).unwrap().to_owned();
    cluster.run(&["resume", &id]).success();
    lose_the_disk(&cluster, "primary");
    cluster.run(&run(&environment, &["restore-physical"])).success();
    assert_eq!(cluster.checksums(0).await, before);
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
