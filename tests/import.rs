//! Dumps that were made without rekindle.

use std::process::{Command, Stdio};

use rekindle_backup::manifest::Flavour;

use crate::support::{CANARY, Cluster, on_both};

/// Runs the client of a flavour as people do, through a pipe.
fn dump(cluster: &Cluster, flavour: Flavour, args: &str, pipe: &str) -> String {
    let (client, port) =
        (if flavour == Flavour::Mariadb { "mariadb-dump" } else { "mysqldump" }, cluster.port(0));
    let line = format!(
        "{client} --no-defaults -h127.0.0.1 -P{port} -uroot --routines --events {args} | {pipe} > foreign"
    );
    let done = Command::new("bash")
        .args(["-o", "pipefail", "-c", &line])
        .current_dir(cluster.project.path())
        .env("MYSQL_PWD", CANARY)
        .stdin(Stdio::null())
        .status();
    assert!(done.unwrap().success(), "{line}");
    "from=foreign".to_owned()
}

on_both!(a_foreign_dump_becomes_a_backup_that_brings_the_server_back);
async fn a_foreign_dump_becomes_a_backup_that_brings_the_server_back(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(2_000).await;
    let before = cluster.checksums(0).await;
    let all = dump(&cluster, flavour, "--single-transaction --all-databases", "gzip");
    let import = ["run", "import-dump", "--yes", "--set", &all, "--set", "taken_at=2026-11-22T15:00:00Z"];
    cluster.with_environment(&import).success();
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    assert_eq!(listed[0]["proven"], serde_json::json!(["content"]), "{listed}");
    cluster.destroy_primary();

    // It says of itself that it is of some databases: nobody takes it for everything unless told to.
    let refused = cluster.with_environment(&["run", "disaster-recovery", "--yes"]).code(2);
    assert!(refused.stderr.contains("it holds only shop"), "{}", refused.stderr);
    let by_id = format!("backup={}", listed[0]["id"].as_str().unwrap());
    cluster.with_environment(&["run", "disaster-recovery", "--yes", "--set", &by_id]).success();

    assert_eq!(cluster.checksums(0).await, before);
}

on_both!(a_foreign_dump_of_one_database_comes_back_under_another_name);
async fn a_foreign_dump_of_one_database_comes_back_under_another_name(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(500).await;
    let one = dump(&cluster, flavour, "--single-transaction shop", "cat");
    let import = ["run", "import-dump", "--yes", "--set", &one, "--set", "taken_at=2026-11-22T15:00:00Z"];
    let refused = cluster.with_environment(&import).code(1);
    assert!(refused.stderr.contains("name it: `database: shop`"), "{}", refused.stderr);

    cluster.with_environment(&[&import[..], &["--set", "database=shop"]].concat()).success();
    let restore = ["run", "restore-database", "--yes", "--set", "database=shop", "--set", "as=other"];
    cluster.with_environment(&restore).success();

    let mut conn = cluster.connect(0).await;
    let count = |database: &str| format!("SELECT COUNT(*) FROM {database}.customer");
    let both: [Option<u64>; 2] = [
        mysql_async::prelude::Queryable::query_first(&mut conn, count("shop")).await.unwrap(),
        mysql_async::prelude::Queryable::query_first(&mut conn, count("other")).await.unwrap(),
    ];
    assert_eq!(both, [Some(500), Some(500)]);
}
