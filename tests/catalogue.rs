//! The catalogue of backups in a folder: what is said of them, and what pruning then does.

use serde_json::Value;

use crate::support::{Answer, Cluster, Project};

/// Chooses a backup, then waits for a person.
const WAITS: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: waits
version: 1.0.0
values:
  backup: { type: string, default: latest, description: Which. }
concurrency: { group: recover, on_conflict: fail }
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary, backup: "{{ values.backup }}" } }
  - { id: ask, uses: approval, with: { message: "Restore {{ steps.find.outputs.id }}?" } }
"#;

/// Makes backups that no rule removes; gives their ids, the oldest first.
fn backups(cluster: &Cluster, count: usize) -> Vec<String> {
    for _ in 0..count {
        let keep = "retention={keep_last: 99}";
        cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]", "--set", keep]).success();
    }
    let ids: Vec<_> = list(cluster).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), count);
    ids
}

fn list(cluster: &Cluster) -> Vec<Value> {
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    listed.as_array().unwrap().clone()
}

fn mark(cluster: &Cluster, args: &[&str]) -> Answer {
    let mut all = vec!["backups", "mark"];
    all.extend(args);
    cluster.with_environment(&all)
}

#[tokio::test]
async fn a_marked_backup_is_shown_and_outlives_pruning_until_it_is_given_free() {
    let cluster = Cluster::up(0);
    cluster.fill(100).await;
    let ids = backups(&cluster, 2);
    let manifest = cluster.store("store").join("backups/sandbox").join(&ids[0]).join("manifest.json");
    let written = std::fs::read(&manifest).unwrap();

    let reason = "it's \"the\" one: 100 %, {yes}";
    mark(&cluster, &[&ids[0], "--keep", "--reason", reason, "--label", "ticket=OPS-7"]).success();
    assert_eq!(std::fs::read(&manifest).unwrap(), written);
    assert_eq!(list(&cluster)[0]["kept"], reason);
    let shown = cluster.with_environment(&["backups", "show", &ids[0]]).success();
    assert!(shown.stdout.contains(&format!("kept: {reason}; [ticket=OPS-7]")), "{}", shown.stdout);

    let before = Project::snapshot(&cluster.store("store"));
    mark(&cluster, &[&ids[0], "--keep"]).code(2);
    mark(&cluster, &[&ids[0], "--label", "ticket"]).code(2);
    mark(&cluster, &[&ids[0]]).code(2);
    mark(&cluster, &["nope", "--no-keep"]).code(2);
    mark(&cluster, &[&ids[0], "--keep", "--reason", reason]).success();
    assert_eq!(
        Project::snapshot(&cluster.store("store")),
        before,
        "the same again, or nonsense, writes nothing"
    );

    let one = "retention={keep_last: 1, keep_within: null}";
    let backup = ["run", "backup", "--yes", "--set", "copy_to=[]", "--set", one];
    cluster.with_environment(&backup).success();
    let left = list(&cluster);
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["id"], ids[0].as_str());

    mark(&cluster, &[&ids[0], "--no-keep", "--label", "ticket="]).success();
    assert_eq!(list(&cluster)[0]["labels"], serde_json::json!({}));
    cluster.with_environment(&backup).success();
    assert!(list(&cluster).iter().all(|one| one["id"] != ids[0].as_str()));
}

#[tokio::test]
async fn pruning_touches_nothing_without_yes_and_then_does_what_it_showed() {
    let cluster = Cluster::up(0);
    cluster.fill(100).await;
    let ids = backups(&cluster, 3);
    mark(&cluster, &[&ids[0], "--keep", "--reason", "the auditors want it"]).success();
    let prune = ["backups", "prune", "--set", "retention={keep_last: 1, keep_within: null}"];
    let before = Project::snapshot(&cluster.store("store"));

    let shown = cluster.with_environment(&prune).success().stdout;
    assert_eq!(Project::snapshot(&cluster.store("store")), before);
    let wanted = [
        format!("keep {}: the newest, the last verified, last 1", ids[2]),
        format!("remove {}: no rule keeps it", ids[1]),
        format!("keep {}: marked: the auditors want it", ids[0]),
        "1 to remove: nothing was touched; --yes removes them".to_owned(),
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), wanted);

    let mut yes = prune.to_vec();
    yes.push("--yes");
    cluster.with_environment(&yes).success();
    let left: Vec<_> = list(&cluster).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, [ids[0].clone(), ids[2].clone()]);
    assert!(cluster.with_environment(&prune).success().stdout.ends_with("nothing to remove\n"));
    cluster.with_environment(&["backups", "prune", "--store", "nowhere"]).code(2);
}

#[tokio::test]
async fn a_backup_that_a_waiting_recovery_has_chosen_outlives_pruning_until_it_is_given_up() {
    let cluster = Cluster::up(0);
    cluster.fill(100).await;
    let ids = backups(&cluster, 2);
    cluster.project.write("runbooks/waits.yaml", WAITS);
    let chosen = format!("backup={}", ids[0]);
    cluster.with_environment(&["run", "waits", "--yes", "--set", &chosen]).code(3);
    let prune = ["backups", "prune", "--yes", "--set", "retention={keep_last: 1, keep_within: null}"];

    let shown = cluster.with_environment(&[&prune[..2], &prune[3..]].concat()).success().stdout;
    assert!(shown.contains(&format!("keep {}: in use by run ", ids[0])), "{shown}");
    cluster.with_environment(&prune).success();
    assert_eq!(list(&cluster).len(), 2);

    let waits = cluster.project.run(&["runs", "list"]).success().stdout;
    let run = waits
        .lines()
        .find(|line| line.contains("waits 1.0.0"))
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    cluster.project.run(&["cancel", &run]).success();
    cluster.with_environment(&prune).success();
    assert_eq!(list(&cluster).len(), 1);
}
