//! Restore drills, assessments, and a replica that is loaded anew.

use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;
use serde_json::Value;

use crate::support::{Answer, Cluster, kill, on_both, server_pid};

/// Writes an environment that has a server for drills besides the cluster's own.
fn with_drill(cluster: &Cluster) -> PathBuf {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    cluster.project.write(
        "box/environments/drill.yaml",
        &format!(
            "apiVersion: rekindle/v1\nkind: Environment\nextends: sandbox\nname: drill\ncluster: sandbox\nobjectives: {{ rto: 1h, rpo: 1d }}\n\
             targets:\n  drill: {{ host: 127.0.0.1, port: {port}, user: root, password: {{ secret: root }} }}\n"
        ),
    )
}

fn run(cluster: &Cluster, environment: &Path, args: &[&str]) -> Answer {
    let mut all = vec!["run"];
    all.extend(args);
    all.extend(["--yes", "-e", environment.to_str().unwrap()]);
    cluster.run(&all)
}

/// Gives the outputs of a step of the newest run.
fn outputs(cluster: &Cluster, step: &str) -> Value {
    let shown = cluster.run(&["runs", "show", "latest", "--json"]).success().json();
    let events = shown["events"].as_array().unwrap();
    let done =
        |record: &&Value| record["event"]["type"] == "step_succeeded" && record["event"]["step"] == step;
    events.iter().find(done).unwrap()["event"]["outputs"].clone()
}

on_both!(a_drill_proves_the_newest_backup_predicts_a_recovery_and_leaves_nothing);
async fn a_drill_proves_the_newest_backup_predicts_a_recovery_and_leaves_nothing(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(20_000).await;
    cluster
        .sql(&["CREATE EVENT shop.eats ON SCHEDULE EVERY 1 SECOND DO DELETE FROM shop.customer LIMIT 1"])
        .await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    let environment = with_drill(&cluster);

    let answer = run(&cluster, &environment, &["restore-drill", "--set", "production=[primary]"]).success();

    let measured = outputs(&cluster, "verify");
    assert_eq!((&measured["tables"], &measured["checksums"]), (&2.into(), &2.into()), "{measured}");
    assert!(measured["restore_ms"].as_u64().unwrap() > 0, "{measured}");
    assert!(measured["predicted_restore_ms"].as_u64().unwrap() > 0, "{measured}");
    assert!(!cluster.project.path().join("sandboxes/drill").exists(), "{}", answer.stderr);
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    assert_eq!(listed[0]["proven"], serde_json::json!(["content", "restore"]), "{listed}");
    // A bad end of the next look counts against it at once.
    cluster.with_environment(&["run", "verify", "--yes", "--set", "level=restore"]).code(2);
}

on_both!(an_assessment_tells_a_sound_cluster_from_one_that_lost_a_table_a_replica_or_everything);
async fn an_assessment_tells_a_sound_cluster_from_one_that_lost_a_table_a_replica_or_everything(
    flavour: Flavour,
) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(100).await;
    let before = cluster.checksums(0).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    let assess = || {
        cluster.with_environment(&["run", "assess", "--yes", "--set", "replicas=[replica-0]"]).success();
        let found = outputs(&cluster, "assess");
        (found["strategy"].as_str().unwrap().to_owned(), found)
    };

    let (sound, found) = assess();
    assert_eq!(sound, "nothing", "{found}");
    assert_eq!(found["achievable_rpo_by"], "replica replica-0", "{found}");

    cluster.sql(&["DROP TABLE shop.counter"]).await;
    let (lost, found) = assess();
    assert_eq!(lost, "data-corruption", "{found}");
    assert!(found["lost"][0].as_str().unwrap().starts_with("table shop.counter is in the backup"), "{found}");
    let next = found["next"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
    let next = next.collect::<Vec<_>>();

    // What it proposes brings the table back, and the replica with it.
    assert!(
        next[1].contains("`rekindle run restore-table -e sandbox --set table=DATABASE.TABLE`"),
        "{next:?}"
    );
    let table = ["run", "restore-table", "--yes", "--set", "table=shop.counter"];
    cluster.with_environment(&table).success();
    assert_eq!(cluster.checksums(0).await, before);
    cluster.sql(&["DROP TABLE shop.counter"]).await;
    let proposed = "`rekindle run disaster-recovery -e sandbox --set overwrite_primary=true \
                    --set 'replicas=[replica-0]' --set reseed_replicas=true`";
    assert!(next[2].contains(proposed), "{next:?}");
    let sets = ["overwrite_primary=true", "replicas=[replica-0]", "reseed_replicas=true"];
    let sets = sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
    cluster.with_environment(&[&["run", "disaster-recovery", "--yes"][..], &sets].concat()).success();
    for server in [0, 1] {
        assert_eq!(cluster.checksums(server).await, before, "server {server}");
    }
    assert_eq!(assess().0, "nothing");

    let replica = cluster.server("replica-0");
    kill(server_pid(&replica));
    let (component, found) = assess();
    assert_eq!(component, "component", "{found}");
    assert!(found["next"][0].as_str().unwrap().contains("reseed-replica"), "{found}");

    cluster.destroy_primary();
    let (everything, found) = assess();
    assert_eq!(everything, "whole-cluster", "{found}");
    assert!(found["next"][1].as_str().unwrap().contains("disaster-recovery"), "{found}");
}

on_both!(a_replica_that_was_loaded_anew_has_what_was_written_since_the_backup_too);
async fn a_replica_that_was_loaded_anew_has_what_was_written_since_the_backup_too(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(1_000).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (2, 2)"]).await;
    let mut replica = cluster.connect(1).await;
    let stop = match flavour {
        Flavour::Mariadb => "STOP SLAVE",
        Flavour::Mysql => "STOP REPLICA",
    };
    for statement in [stop, "SET GLOBAL read_only = 0", "DROP DATABASE shop"] {
        replica.query_drop(statement).await.unwrap();
    }

    let reseed = ["run", "reseed-replica", "--yes", "--set", "replica=replica-0"];
    cluster.with_environment(&reseed).success();

    assert_eq!(cluster.checksums(1).await, cluster.checksums(0).await);
}
