//! After a failover: the other replicas follow the one that was promoted, and points in time are reached by its logs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;

use crate::support::{Answer, Cluster, on_both};

/// Runs statements on a server: 0 is the primary.
async fn tell(cluster: &Cluster, server: usize, statements: &[&str]) {
    let mut conn = cluster.connect(server).await;
    for statement in statements {
        conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Makes a replica a source, as whoever promotes one does.
async fn promote(cluster: &Cluster, flavour: Flavour, server: usize) {
    let statements: &[&str] = match flavour {
        Flavour::Mariadb => &["STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF"],
        Flavour::Mysql => &[
            "STOP REPLICA",
            "RESET REPLICA ALL",
            "SET GLOBAL super_read_only = OFF",
            "SET GLOBAL read_only = OFF",
        ],
    };
    tell(cluster, server, statements).await;
}

/// Waits until a server has a row of `shop.counter`.
async fn has_row(cluster: &Cluster, server: usize, id: u32) {
    let begun = Instant::now();
    let mut conn = cluster.connect(server).await;
    let query = format!("SELECT id FROM shop.counter WHERE id = {id}");
    while conn.query_first::<u32, _>(&query).await.unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "server {server} does not get row {id}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets `replica-1` follow `replica-0`.
fn reset(cluster: &Cluster) -> Answer {
    let sets = ["--set", "source=replica-0", "--set", "replicas=[replica-1]"];
    cluster.with_environment(&[&["run", "reset-replication", "--yes"][..], &sets].concat())
}

on_both!(a_replica_follows_the_one_that_was_promoted_with_the_data_that_it_has);
async fn a_replica_follows_the_one_that_was_promoted_with_the_data_that_it_has(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 2);
    cluster.fill(500).await;
    tell(&cluster, 0, &["INSERT INTO shop.counter VALUES (7, 7)"]).await;
    for replica in [1, 2] {
        has_row(&cluster, replica, 7).await;
    }
    cluster.destroy_primary();
    promote(&cluster, flavour, 1).await;
    tell(&cluster, 1, &["INSERT INTO shop.counter VALUES (8, 8)"]).await;

    reset(&cluster).success();

    assert_eq!(cluster.checksums(2).await, cluster.checksums(1).await);
    tell(&cluster, 1, &["INSERT INTO shop.counter VALUES (9, 9)"]).await;
    has_row(&cluster, 2, 9).await;
    let mut replica = cluster.connect(2).await;
    let read_only: u8 = replica.query_first("SELECT @@GLOBAL.read_only").await.unwrap().unwrap();
    assert_eq!(read_only, 1);
    // Of a cluster that is as it is to be nothing is changed.
    reset(&cluster).success();
    has_row(&cluster, 2, 9).await;
}

on_both!(a_replica_that_has_more_than_its_new_source_is_refused_by_name_and_keeps_it);
async fn a_replica_that_has_more_than_its_new_source_is_refused_by_name_and_keeps_it(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 2);
    cluster.fill(10).await;
    tell(&cluster, 0, &["INSERT INTO shop.counter VALUES (7, 7)"]).await;
    has_row(&cluster, 1, 7).await;
    let stop = match flavour {
        Flavour::Mariadb => "STOP SLAVE",
        Flavour::Mysql => "STOP REPLICA",
    };
    tell(&cluster, 1, &[stop]).await;
    tell(&cluster, 0, &["INSERT INTO shop.counter VALUES (8, 8)"]).await;
    has_row(&cluster, 2, 8).await;
    cluster.destroy_primary();
    promote(&cluster, flavour, 1).await;

    let refused = reset(&cluster).code(1);
    let of_another = "which `replica-0` (at ";
    assert!(refused.stderr.contains("`replica-1` is at "), "{}", refused.stderr);
    assert!(refused.stderr.contains(of_another), "{}", refused.stderr);

    // MariaDB's numbers say nothing of who wrote those before the last: there the source itself finds it out.
    tell(
        &cluster,
        1,
        &["INSERT INTO shop.counter VALUES (9, 9), (10, 10)", "DELETE FROM shop.counter WHERE id = 10"],
    )
    .await;
    let refused = reset(&cluster).code(1);
    let said = match flavour {
        Flavour::Mariadb => "`replica-0` does not have the transactions that `replica-1` needs next",
        Flavour::Mysql => of_another,
    };
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    has_row(&cluster, 2, 8).await;
}

/// Gives the folders of archived logs, one of each server.
fn folders(cluster: &Cluster) -> Vec<String> {
    let of_cluster: PathBuf = cluster.store("store").join("binlogs/sandbox");
    let names = std::fs::read_dir(of_cluster).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

on_both!(a_backup_from_before_a_failover_reaches_points_after_it_by_the_logs_of_the_promoted);
async fn a_backup_from_before_a_failover_reaches_points_after_it_by_the_logs_of_the_promoted(
    flavour: Flavour,
) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    tell(&cluster, 0, &["INSERT INTO shop.counter VALUES (7, 7)"]).await;
    has_row(&cluster, 1, 7).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();
    let old = folders(&cluster);
    cluster.destroy_primary();
    promote(&cluster, flavour, 1).await;
    tell(&cluster, 1, &["INSERT INTO shop.counter VALUES (8, 8)"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes", "--set", "target=replica-0"]).success();
    let promoted = folders(&cluster).into_iter().find(|folder| !old.contains(folder)).unwrap();
    let recover = ["run", "point-in-time-recovery", "--yes", "--set", "end=true"];

    // The logs of the old primary end before row 8, which nobody is to lose in silence.
    let unclear = cluster.with_environment(&recover).code(2);
    assert!(unclear.stderr.contains(&format!("`{promoted}` went on")), "{}", unclear.stderr);
    let server = format!("server={promoted}");
    cluster.with_environment(&[&recover[..], &["--set", &server]].concat()).success();

    assert_eq!(cluster.checksums(0).await, cluster.checksums(1).await);
    has_row(&cluster, 0, 8).await;
}
