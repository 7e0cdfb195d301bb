//! Files instead of SQL: a server that lost its disk, and a runner that dies while it has stopped one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
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

/// Copies the primary's files: on MariaDB while it runs, as `hot` says; on MySQL, where that takes xtrabackup, cold.
fn back_up(cluster: &Cluster, environment: &Path, flavour: Flavour, hot: &[&str]) {
    let how = match flavour {
        Flavour::Mariadb => hot,
        Flavour::Mysql => &["--set", "mode=cold"],
    };
    cluster.run(&run(environment, &[&["backup-physical"][..], how].concat())).success();
}

const INCREMENT: [&str; 2] = ["--set", "base=latest"];

on_both!(a_server_that_lost_its_disk_comes_back_from_its_newest_files_and_its_replica_from_the_same);
async fn a_server_that_lost_its_disk_comes_back_from_its_newest_files_and_its_replica_from_the_same(
    flavour: Flavour,
) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(5_000).await;
    let environment = environment(&cluster, &["primary", "replica-0"]);
    back_up(&cluster, &environment, flavour, &[]);
    cluster.sql(&["INSERT INTO shop.customer VALUES (9999, 'later', 'x')"]).await;
    back_up(&cluster, &environment, flavour, &INCREMENT);
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

/// A row written at a time of our choosing.
async fn row_at(cluster: &Cluster, id: u32, time: &str) {
    let seconds = time.parse::<jiff::Timestamp>().unwrap().as_second();
    let insert = format!("INSERT INTO shop.counter VALUES ({id}, {id})");
    cluster.sql(&[&format!("SET TIMESTAMP = {seconds}"), &insert]).await;
}

async fn ids(cluster: &Cluster) -> Vec<u32> {
    let query = "SELECT id FROM shop.counter WHERE id > 1000 ORDER BY id";
    cluster.connect(0).await.query(query).await.unwrap()
}

/// A primary with a physical backup, and rows around the target in its archived logs and in one that is not.
async fn with_logs(flavour: Flavour) -> (Cluster, PathBuf) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    let environment = environment(&cluster, &["primary"]);
    if flavour == Flavour::Mariadb {
        back_up(&cluster, &environment, flavour, &[]);
    }
    row_at(&cluster, 1001, "2026-01-01T00:00:00Z").await;
    back_up(&cluster, &environment, flavour, &INCREMENT);
    row_at(&cluster, 1002, "2027-10-31T01:29:59Z").await;
    row_at(&cluster, 1003, "2027-10-31T01:30:00Z").await;
    cluster.run(&run(&environment, &["archive-binlogs"])).success();
    row_at(&cluster, 1004, "2027-10-31T01:30:01Z").await;
    (cluster, environment)
}

const FROM_FILES: [&str; 3] = ["point-in-time-recovery", "--set", "base=physical"];
/// Half past two on the night when Berlin's clocks go back, the second time.
const TARGET: [&str; 2] = ["--set", "time=2027-10-31T02:30:00+01:00"];
const OVERWRITE: [&str; 2] = ["--set", "overwrite=true"];

on_both!(a_server_goes_back_to_a_point_in_time_by_its_files_and_its_logs);
async fn a_server_goes_back_to_a_point_in_time_by_its_files_and_its_logs(flavour: Flavour) {
    let (cluster, environment) = with_logs(flavour).await;
    let recover = run(&environment, &[&FROM_FILES[..], &TARGET, &OVERWRITE].concat());

    let dry = cluster.run(&[&recover[..], &["--dry-run"]].concat()).success();
    for said in ["base: backup://", "logs: bin.0", "last kept: ", "first lost: ", "archive its binary logs"] {
        assert!(dry.stdout.contains(said), "no `{said}` in:\n{}", dry.stdout);
    }
    let archived = segments(&cluster);
    cluster.run(&recover).success();

    assert_eq!(ids(&cluster).await, [1001, 1002]);
    let state: String =
        cluster.connect(0).await.query_first("SELECT CAST(@@read_only + 0 AS CHAR)").await.unwrap().unwrap();
    assert_eq!(state, "0");
    // What only the replaced server had is in the archive.
    let now = segments(&cluster);
    assert!(now > archived, "{archived} segments, then {now}");
}

on_both!(a_point_that_can_not_be_reached_leaves_the_server_running_on_its_files);
async fn a_point_that_can_not_be_reached_leaves_the_server_running_on_its_files(flavour: Flavour) {
    let (cluster, environment) = with_logs(flavour).await;
    let process = server_pid(&cluster.server("primary"));
    let folder = cluster.server("primary");
    let before = ids(&cluster).await;
    let late = ["--set", "time=2030-01-01T00:00:00Z"];

    let answer = cluster.run(&run(&environment, &[&FROM_FILES[..], &late, &OVERWRITE].concat())).code(2);

    assert!(answer.stderr.contains("2030-01-01T00:00:00Z is not in the archive"), "{}", answer.stderr);
    assert_eq!((server_pid(&folder), ids(&cluster).await), (process, before));
    let beside: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().starts_with("data.")), "{beside:?}");
}

on_both!(a_runner_killed_between_the_files_and_their_logs_is_resumed_behind_the_fence);
async fn a_runner_killed_between_the_files_and_their_logs_is_resumed_behind_the_fence(flavour: Flavour) {
    let (cluster, environment) = with_logs(flavour).await;
    lose_the_disk(&cluster, "primary");
    let args = run(&environment, &[&FROM_FILES[..], &TARGET].concat());
    let mut runner =
        cluster.project.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The replay waits for this lock; it is had while the restored server is still looked at.
    let mut held = held_back(&cluster).await;
    let restored = || {
        let shown = cluster.run(&["runs", "show", "latest", "--json"]);
        shown.code == Some(0)
            && shown.json()["events"].as_array().unwrap().iter().any(|record| {
                record["event"]["type"] == "step_succeeded" && record["event"]["step"] == "restore-files"
            })
    };
    until("the files are in place", restored);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let state: String = held.query_first("SELECT CAST(@@read_only + 0 AS CHAR)").await.unwrap().unwrap();
    assert_eq!((state.as_str(), ids(&cluster).await), ("1", vec![1001]));
    held.disconnect().await.unwrap();

    cluster.run(&["resume", "latest"]).success();

    assert_eq!(ids(&cluster).await, [1001, 1002]);
    let open: String =
        cluster.connect(0).await.query_first("SELECT CAST(@@read_only + 0 AS CHAR)").await.unwrap().unwrap();
    assert_eq!(open, "0");
}

on_both!(a_drill_brings_a_physical_backup_up_beside_the_server_and_stores_what_came_of_it);
async fn a_drill_brings_a_physical_backup_up_beside_the_server_and_stores_what_came_of_it(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(1_000).await;
    let environment = environment(&cluster, &["primary"]);
    if flavour == Flavour::Mariadb {
        back_up(&cluster, &environment, flavour, &[]);
    }
    cluster.sql(&["INSERT INTO shop.customer VALUES (9999, 'later', 'x')"]).await;
    back_up(&cluster, &environment, flavour, &INCREMENT);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nextends: sandbox\nname: drill\ncluster: sandbox\ntargets:\n  \
         drill: {{ host: 127.0.0.1, port: {port}, user: root, password: {{ secret: root }} }}\n"
    );
    let drill = cluster.project.write("box/environments/drill.yaml", &text);
    let sets = ["restore-drill", "--set", "kind=physical", "--set", "production=[primary]"];

    cluster.run(&run(&drill, &sets)).success();

    let shown = cluster.run(&["runs", "show", "latest", "--json"]).success().json();
    let events = shown["events"].as_array().unwrap();
    let verified = events
        .iter()
        .find(|record| record["event"]["type"] == "step_succeeded" && record["event"]["step"] == "verify");
    let measured = &verified.unwrap()["event"]["outputs"];
    assert_eq!(measured["tables"], 2, "{measured}");
    assert!(measured["restore_ms"].as_u64().unwrap() > 0, "{measured}");
    assert!(measured["predicted_restore_ms"].as_u64().unwrap() > 0, "{measured}");
    assert!(!cluster.project.path().join("sandboxes/drill").exists());
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    let newest = listed.as_array().unwrap().last().unwrap();
    assert!(newest["proven"].as_array().unwrap().contains(&"restore".into()), "{listed}");
}

/// Connects as soon as the restored server answers, and keeps a replay from beginning.
async fn held_back(cluster: &Cluster) -> mysql_async::Conn {
    let begun = Instant::now();
    loop {
        if let Ok(mut conn) = cluster.try_connect(0).await {
            let got: Option<i64> = conn.query_first("SELECT GET_LOCK('rekindle.replay', 0)").await.unwrap();
            assert_eq!(got, Some(1));
            return conn;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "the restored server does not answer");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Counts what is archived of binary logs, files of any kind.
fn segments(cluster: &Cluster) -> usize {
    let (mut count, mut folders) = (0, vec![cluster.store("store").join("binlogs")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    count
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
