//! `plan` shows everything and changes nothing.

use mysql_async::prelude::Queryable as _;

use crate::support::{Cluster, Project};

#[tokio::test]
async fn planning_a_recovery_shows_what_it_would_do_and_changes_nothing() {
    let cluster = Cluster::up(1);
    cluster.fill(1_000).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.destroy_primary();
    let rows = cluster.checksums(1).await;
    let position = replica_position(&cluster).await;
    let files = documents(&cluster);

    let args = ["plan", "disaster-recovery", "--set", "reseed_replicas=true"];
    let plan = cluster.with_environment(&args).success().stdout;
    for format in ["json", "dot", "mermaid"] {
        let args = [&args[..], &["--format", format]].concat();
        assert!(!cluster.with_environment(&args).success().stdout.is_empty());
    }

    assert_eq!(documents(&cluster), files);
    assert_eq!(cluster.checksums(1).await, rows);
    assert_eq!(replica_position(&cluster).await, position);
    for shown in [
        "destroy",
        "read",
        "write",
        "restore",
        "reseed[0]",
        "inferred from steps.restore.outputs.gtid",
        "(known after restore)",
        "CHANGE MASTER TO",
        "***",
    ] {
        assert!(plan.contains(shown), "`{shown}` is missing in\n{plan}");
    }
    assert!(!plan.contains("k4n"), "{plan}");
}

async fn replica_position(cluster: &Cluster) -> String {
    let mut replica = cluster.connect(1).await;
    replica
        .query_first("SELECT CONCAT(@@gtid_slave_pos, '/', @@gtid_binlog_pos, '/', @@read_only)")
        .await
        .unwrap()
        .unwrap()
}

/// Every file of the project but the server's own.
fn documents(cluster: &Cluster) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Project::snapshot(cluster.project.path());
    let servers = cluster.project.path().join("box/servers");
    files.retain(|(path, _)| !path.starts_with(&servers));
    files
}
