//! An archiver of binary logs that goes on while the server writes, whatever happens to either of them.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mysql_async::Row;
use mysql_async::prelude::Queryable as _;
use rekindle_backup::binlog::{Segment, chain};
use rekindle_backup::manifest::Flavour;
use rekindle_backup::sealed;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Cluster, Project, kill, on_both, server_pid};

/// What the last follower said.
const SAID: &str = "follower.log";

/// A run that follows the primary; killed when dropped.
struct Follower(Child);

impl Follower {
    fn begin(cluster: &Cluster, args: &[&str]) -> Self {
        let said = File::create(cluster.project.path().join(SAID)).unwrap();
        Self(cluster.project.command(args).stdout(Stdio::null()).stderr(said).spawn().unwrap())
    }

    /// As SIGKILL from anybody.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Lets it end in order, and gives its exit code.
    fn cancel(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn row(cluster: &Cluster, id: u32) {
    cluster.sql(&[&format!("INSERT INTO shop.counter VALUES ({id}, {id})")]).await;
}

async fn count_logs(cluster: &Cluster) -> usize {
    let logs: Vec<Row> = cluster.connect(0).await.query("SHOW BINARY LOGS").await.unwrap();
    logs.len()
}

/// Tells where the primary's binary logs end.
async fn end_of_logs(cluster: &Cluster, flavour: Flavour) -> (String, u64) {
    let status = match flavour {
        Flavour::Mariadb => "SHOW MASTER STATUS",
        Flavour::Mysql => "SHOW BINARY LOG STATUS",
    };
    let mut row: Row = cluster.connect(0).await.query_first(status).await.unwrap().unwrap();
    (row.take(0).unwrap(), row.take(1).unwrap())
}

/// Reads what is archived, in the order of the logs.
fn segments(cluster: &Cluster) -> Vec<Segment> {
    let is_entry =
        |path: &Path| path.extension().is_some_and(|form| form == "json") && !path.ends_with("covered.json");
    let mut segments: Vec<Segment> = Project::snapshot(&cluster.store("store").join("binlogs"))
        .into_iter()
        .filter(|(path, _)| is_entry(path))
        .map(|(_, bytes)| sealed::open(&bytes).unwrap())
        .collect();
    segments.sort_by_key(|segment| (segment.number, segment.from));
    segments
}

/// Waits until everything that the primary has logged is archived.
async fn archived(cluster: &Cluster, flavour: Flavour) {
    let begun = Instant::now();
    loop {
        let end = end_of_logs(cluster, flavour).await;
        let reached = segments(cluster).pop().map(|last| (last.log, last.to));
        if reached.as_ref() == Some(&end) {
            return;
        }
        if begun.elapsed() > Duration::from_mins(1) {
            let said = std::fs::read_to_string(cluster.project.path().join(SAID)).unwrap();
            panic!("the log ends at {end:?}, and the archive at {reached:?}:\n{said}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Proves that nothing is missing in the archive, and nothing in it twice.
fn is_whole(cluster: &Cluster) {
    let segments = segments(cluster);
    assert_eq!(chain::gaps(&segments), []);
    for pair in segments.windows(2) {
        let [one, next] = pair else { continue };
        assert_eq!(one.timeline, next.timeline);
        assert!(one.log != next.log || one.to == next.from, "{one:?} and {next:?}");
    }
}

on_both!(an_archiver_that_follows_goes_on_over_a_rotation_a_restart_and_its_own_death);
async fn an_archiver_that_follows_goes_on_over_a_rotation_a_restart_and_its_own_death(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    let environment = cluster.environment();
    let logs = count_logs(&cluster).await;
    let follow = ["run", "archive-binlogs", "--yes", "--set", "follow=true", "--set", "follow_for=10m"];
    let keep = "variables={binlog_expire_logs_seconds: 604800, max_binlog_size: 104857600}";
    let of_cluster = ["--set", "every=500ms", "--set", keep, "-e", environment.to_str().unwrap()];

    let follower = Follower::begin(&cluster, &[&follow[..], &of_cluster].concat());
    for id in [11, 12, 13] {
        row(&cluster, id).await;
        archived(&cluster, flavour).await;
    }
    assert_eq!(count_logs(&cluster).await, logs, "no new log was begun");
    let kept = "SELECT @@GLOBAL.binlog_expire_logs_seconds, @@GLOBAL.max_binlog_size";
    let kept: (u64, u64) = cluster.connect(0).await.query_first(kept).await.unwrap().unwrap();
    assert_eq!(kept, (604_800, 104_857_600));
    cluster.sql(&["INSERT INTO shop.counter VALUES (21, 21)", "FLUSH BINARY LOGS"]).await;
    row(&cluster, 22).await;
    archived(&cluster, flavour).await;
    kill(server_pid(&cluster.server("primary")));
    cluster.up_again();
    row(&cluster, 31).await;
    archived(&cluster, flavour).await;

    follower.kill();
    cluster.sql(&["INSERT INTO shop.counter VALUES (41, 41)", "FLUSH BINARY LOGS"]).await;
    row(&cluster, 42).await;
    let resumed = Follower::begin(&cluster, &["resume", "latest", "--yes"]);
    archived(&cluster, flavour).await;
    row(&cluster, 51).await;
    archived(&cluster, flavour).await;
    let ended = resumed.cancel();
    let said = std::fs::read_to_string(cluster.project.path().join(SAID)).unwrap();
    assert_eq!(ended, Some(143), "{said}");

    is_whole(&cluster);
    let before = cluster.checksums(0).await;
    cluster.destroy_primary();
    cluster.with_environment(&["run", "point-in-time-recovery", "--yes", "--set", "end=true"]).success();
    assert_eq!(cluster.checksums(0).await, before);
}
