//! Backups of some databases or tables, beside those of everything.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;
use serde_json::{Value, json};

use crate::support::{Answer, Cluster, on_both};

/// A shop of 500 customers, and another database.
async fn cluster(flavour: Flavour) -> Cluster {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(500).await;
    cluster
        .sql(&[
            "CREATE DATABASE crm",
            "CREATE TABLE crm.lead (id INT PRIMARY KEY)",
            "CREATE TABLE crm.note (id INT PRIMARY KEY)",
            "INSERT INTO crm.lead VALUES (1), (2)",
        ])
        .await;
    cluster
}

/// Makes a backup, with these values besides, that lets one of its like stay.
fn backup(cluster: &Cluster, sets: &[&str]) -> Answer {
    let mut args = vec!["run", "backup", "--yes", "--set", "copy_to=[]"];
    for set in sets.iter().chain(&["retention={keep_last: 1, keep_within: null}"]) {
        args.extend(["--set", set]);
    }
    cluster.with_environment(&args)
}

fn list(cluster: &Cluster) -> Vec<Value> {
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    listed.as_array().unwrap().clone()
}

async fn count(cluster: &Cluster, table: &str) -> u64 {
    let mut conn = cluster.connect(0).await;
    conn.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap().unwrap()
}

on_both!(a_backup_of_one_database_brings_that_back_and_stands_in_for_none_of_everything);
async fn a_backup_of_one_database_brings_that_back_and_stands_in_for_none_of_everything(flavour: Flavour) {
    let cluster = cluster(flavour).await;
    backup(&cluster, &[]).success();
    backup(&cluster, &["databases=[crm]"]).success();
    cluster.sql(&["INSERT INTO crm.lead VALUES (3)"]).await;
    backup(&cluster, &["databases=[crm]"]).success();

    let listed = list(&cluster);
    let covers: Vec<&Value> = listed.iter().map(|one| &one["covers"]).collect();
    assert_eq!(covers, [&json!("everything"), &json!({ "part": { "crm": "whole" } })]);
    let [whole, part] = [0, 1].map(|at| listed[at]["id"].as_str().unwrap());
    let shown = cluster.with_environment(&["backups", "list"]).success().stdout;
    assert!(shown.contains("only crm; verified: content"), "{shown}");
    let shown = cluster.with_environment(&["backups", "show", part]).success().stdout;
    assert!(shown.contains("recovers  only crm up to "), "{shown}");
    let shown = cluster.with_environment(&["backups", "show", "latest"]).success().stdout;
    assert!(shown.contains(whole), "{shown}");

    // Whatever needs the whole server takes the older one.
    let overwrite = "overwrite_primary=true";
    let plan = cluster.with_environment(&["plan", "disaster-recovery", "--set", overwrite]).success().stdout;
    assert!(plan.contains(whole) && !plan.contains(part), "{plan}");
    cluster.with_environment(&["run", "assess", "--yes"]).success();
    let run = cluster.run(&["runs", "show", "latest", "--json"]).success().stdout;
    assert!(run.contains(whole) && !run.contains(part), "{run}");

    cluster.sql(&["DROP DATABASE crm", "DROP TABLE shop.customer"]).await;
    let database = ["run", "restore-database", "--yes", "--set", "database=crm"];
    cluster.with_environment(&database).success();
    assert_eq!(count(&cluster, "crm.lead").await, 3, "of the newest that holds it");
    let table = ["run", "restore-table", "--yes", "--set", "table=shop.customer"];
    cluster.with_environment(&table).success();
    assert_eq!(count(&cluster, "shop.customer").await, 500);
}

on_both!(a_backup_of_one_table_is_restored_by_itself_and_both_at_once_are_refused);
async fn a_backup_of_one_table_is_restored_by_itself_and_both_at_once_are_refused(flavour: Flavour) {
    let cluster = cluster(flavour).await;
    let refused = backup(&cluster, &["databases=[crm]", "tables=[shop.customer]"]).code(2);
    assert!(refused.stderr.contains("a dump is of one of them"), "{}", refused.stderr);
    let refused = backup(&cluster, &["tables=[crm.leads]"]).code(2);
    assert!(refused.stderr.contains("its database has crm.lead, crm.note"), "{}", refused.stderr);
    backup(&cluster, &["tables=[crm.lead]"]).success();
    assert_eq!(list(&cluster)[0]["covers"], json!({ "part": { "crm": { "tables": ["lead"] } } }));

    cluster.sql(&["DELETE FROM crm.lead", "INSERT INTO crm.note VALUES (7)"]).await;
    let back = ["run", "restore-table", "--yes", "--set", "table=crm.lead", "--set", "overwrite=true"];
    cluster.with_environment(&back).success();
    assert_eq!((count(&cluster, "crm.lead").await, count(&cluster, "crm.note").await), (2, 1));
    let whole = cluster.with_environment(&["plan", "disaster-recovery"]).code(2);
    assert!(whole.stderr.contains("it holds only crm.lead"), "{}", whole.stderr);
    let database = cluster.with_environment(&["plan", "restore-database", "--set", "database=crm"]).code(2);
    assert!(database.stderr.contains("that holds the database `crm`"), "{}", database.stderr);
}
