//! One database or one table out of a full backup, on a cluster that is in use.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::{DumpIndex, Flavour};
use rekindle_emulators::{ACCESS_KEY, FaultProxy, S3Server, SECRET_KEY, Way};

use crate::support::{Answer, Cluster, on_both};

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

/// Six tables of rows that hardly get smaller when they are compressed.
async fn fill_six(cluster: &Cluster) {
    cluster.sql(&["CREATE DATABASE six"]).await;
    for table in 1..=6 {
        let rows = format!(
            "CREATE TABLE six.t{table} (id INT PRIMARY KEY, v VARCHAR(128), KEY (v)) WITH RECURSIVE n (i) AS (SELECT 1 \
             UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT (a.i - 1) * 1000 + b.i AS id, \
             SHA2(CONCAT(a.i, '-', b.i, '-{table}'), 512) AS v FROM n a JOIN n b ON a.i <= 30"
        );
        cluster.sql(&[rows.as_str()]).await;
    }
}

on_both!(of_a_backup_in_a_bucket_hardly_more_than_the_table_is_read);
async fn of_a_backup_in_a_bucket_hardly_more_than_the_table_is_read(flavour: Flavour) {
    let server = S3Server::start("backups").await.unwrap();
    let proxy = FaultProxy::before(server.endpoint()).await.unwrap();
    let cluster = Cluster::up_of(flavour, 0);
    fill_six(&cluster).await;
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: bucket\nextends: box/environments/sandbox.yaml\n\
         stores:\n  primary: {{ url: 's3://backups', endpoint: '{}', path_style: true, region: eu-central-1 }}\n",
        proxy.endpoint()
    );
    cluster.project.write("bucket.yaml", &environment);
    let run = |args: &[&str]| {
        let mut command = cluster.project.command(&[args, &["--yes", "-e", "bucket.yaml"]].concat());
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        Answer::from(command.output().unwrap()).success()
    };
    run(&["run", "backup", "--set", "copy_to=[]"]);
    let backups = server.root().join("backups/backups/bucket");
    let ids = std::fs::read_dir(backups).unwrap().map(|entry| entry.unwrap().path());
    let backup = ids.into_iter().find(|path| path.is_dir()).unwrap();
    let index = std::fs::read(backup.join("full.index.json")).unwrap();
    let index: DumpIndex = serde_json::from_slice(&index).unwrap();
    let of_table = index.members.iter().filter(|member| member.table.as_deref() == Some("t4"));
    let table_bytes: u64 = of_table.map(|member| member.size_bytes).sum();
    cluster.sql(&["DROP TABLE six.t4"]).await;
    let before = proxy.carried(Way::Down);

    run(&["run", "restore-table", "--set", "table=six.t4"]);

    let read_bytes = proxy.carried(Way::Down) - before;
    assert!(
        table_bytes > 2_000_000 && read_bytes >= table_bytes && read_bytes * 10 <= table_bytes * 11,
        "{read_bytes} bytes were read for a table of {table_bytes}, of {} in all",
        index.object.size_bytes
    );
    let restored = "SELECT CONCAT((SELECT COUNT(*) FROM six.t4), ' ', (SELECT COUNT(*) FROM six.t3))";
    assert_eq!(ask(&cluster, 0, restored).await, "30000 30000");
}
