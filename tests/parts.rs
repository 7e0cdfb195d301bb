//! One database or one table out of a full backup, on a cluster that is in use.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;

use crate::support::{Cluster, on_both};

async fn ask(cluster: &Cluster, server: usize, query: &str) -> String {
    let mut conn = cluster.connect(server).await;
    let answer: Option<Option<String>> = conn.query_first(query).await.unwrap();
    answer.flatten().unwrap_or_default()
}

on_both!(a_database_comes_back_beside_the_one_that_is_there);
async fn a_database_comes_back_beside_the_one_that_is_there(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(500).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    let count =
        "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop_before'";
    let restore = ["run", "restore-database", "--yes", "--set", "database=shop"];

    let refused = cluster.with_environment(&restore).code(2);
    assert!(refused.stderr.contains("holds the database shop"), "{}", refused.stderr);

    let aside = ["run", "restore-database", "--yes", "--set", "database=shop", "--set", "as=shop_before"];
    cluster.with_environment(&aside).success();
    let there = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'";
    assert_eq!(ask(&cluster, 0, count).await, ask(&cluster, 0, there).await);
    assert_eq!(ask(&cluster, 0, "SELECT IF(@@read_only, 'yes', 'no')").await, "no");
}

on_both!(a_dropped_table_comes_back_and_replicas_get_it);
async fn a_dropped_table_comes_back_and_replicas_get_it(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(500).await;
    cluster
        .sql(&["CREATE TABLE shop.kept (id INT PRIMARY KEY)", "INSERT INTO shop.kept VALUES (1), (2)"])
        .await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.kept VALUES (3)", "CREATE TABLE shop.later (id INT)"]).await;

    let aside = ["run", "restore-table", "--yes", "--set", "table=shop.kept", "--set", "as=shop.kept_before"];
    cluster.with_environment(&aside).success();
    let both =
        "SELECT CONCAT((SELECT COUNT(*) FROM shop.kept), ' ', (SELECT COUNT(*) FROM shop.kept_before))";
    assert_eq!(ask(&cluster, 0, both).await, "3 2");

    cluster.sql(&["DROP TABLE shop.kept"]).await;
    cluster.with_environment(&["run", "restore-table", "--yes", "--set", "table=shop.kept"]).success();
    assert_eq!(ask(&cluster, 0, both).await, "2 2");
    assert_eq!(ask(&cluster, 0, "SELECT CAST(COUNT(*) AS CHAR) FROM shop.later").await, "0");
    let (position, wait) = match flavour {
        Flavour::Mariadb => ("SELECT @@gtid_binlog_pos", "MASTER_GTID_WAIT"),
        Flavour::Mysql => ("SELECT @@gtid_executed", "WAIT_FOR_EXECUTED_GTID_SET"),
    };
    let gtid = ask(&cluster, 0, position).await;
    let caught_up = format!("SELECT CAST({wait}('{gtid}', 20) AS CHAR)");
    assert_eq!(ask(&cluster, 1, &caught_up).await, "0");
    assert_eq!(ask(&cluster, 1, both).await, "2 2");
}
