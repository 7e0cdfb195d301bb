//! Binary logs: archived, and replayed to a point in time.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;

use crate::support::{Cluster, on_both};

/// Half past two on the night when Berlin's clocks go back, the second time.
const TARGET: &str = "2027-10-31T02:30:00+01:00";

/// A row written at a time of our choosing.
async fn row_at(cluster: &Cluster, id: u32, time: &str) {
    let seconds = time.parse::<jiff::Timestamp>().unwrap().as_second();
    cluster
        .sql(&[
            &format!("SET TIMESTAMP = {seconds}"),
            &format!("INSERT INTO shop.counter VALUES ({id}, {id})"),
        ])
        .await;
}

/// Runs a command line as if in another time zone.
fn in_zone(cluster: &Cluster, zone: &str, args: &[&str]) -> crate::support::Answer {
    let environment = cluster.environment();
    let mut all = args.to_vec();
    all.extend(["-e", environment.to_str().unwrap()]);
    crate::support::Answer::from(cluster.project.command(&all).env("TZ", zone).output().unwrap())
}

on_both!(rows_before_the_target_are_there_and_those_after_it_are_not_whatever_the_zones_are);
async fn rows_before_the_target_are_there_and_those_after_it_are_not_whatever_the_zones_are(
    flavour: Flavour,
) {
    for zone in ["Asia/Seoul", "Europe/Berlin"] {
        let cluster = Cluster::up_of(flavour, 0);
        cluster.sql(&["SET GLOBAL time_zone = '-05:00'"]).await;
        cluster.fill(100).await;
        in_zone(&cluster, zone, &["run", "backup", "--yes"]).success();
        row_at(&cluster, 1001, "2027-10-31T00:30:00Z").await;
        row_at(&cluster, 1002, "2027-10-31T01:29:59Z").await;
        row_at(&cluster, 1003, "2027-10-31T01:30:00Z").await;
        in_zone(&cluster, zone, &["run", "archive-binlogs", "--yes"]).success();

        let time = format!("time={TARGET}");
        let expect = r#"expect=[{"sql":"SELECT id FROM shop.counter WHERE id > 1000 ORDER BY id","expect":[1001,1002]}]"#;
        let recover = ["point-in-time-recovery", "--set", &time, "--set", "overwrite=true", "--set", expect];
        let dry = in_zone(&cluster, zone, &[&["run"][..], &recover, &["--dry-run"]].concat()).success();
        for said in ["base: backup://", "logs: bin.0", "last kept: ", "first lost: ", "2027-10-31T01:29:59Z"]
        {
            assert!(dry.stdout.contains(said), "no `{said}` in:\n{}", dry.stdout);
        }
        in_zone(&cluster, zone, &[&["run"][..], &recover, &["--yes"]].concat()).success();

        let mut conn = cluster.connect(0).await;
        let ids: Vec<u32> =
            conn.query("SELECT id FROM shop.counter WHERE id > 1000 ORDER BY id").await.unwrap();
        assert_eq!(ids, [1001, 1002], "{zone}");
    }
}

/// Where a server stands: the GTID that its next transaction gets, its log, and the position in it.
async fn stands(cluster: &Cluster, flavour: Flavour) -> (String, String, u64) {
    let (gtids, status) = match flavour {
        Flavour::Mariadb => ("SELECT @@gtid_binlog_pos", "SHOW MASTER STATUS"),
        Flavour::Mysql => ("SELECT @@gtid_executed", "SHOW BINARY LOG STATUS"),
    };
    let mut conn = cluster.connect(0).await;
    let gtids: String = conn.query_first(gtids).await.unwrap().unwrap();
    let (before, last) = gtids.rsplit_once('-').unwrap_or_default();
    let next = last.parse::<u64>().map_or(0, |last| last + 1);
    let source = before.rsplit_once(':').map_or(before, |(source, _)| source);
    let between = if flavour == Flavour::Mariadb { '-' } else { ':' };
    let mut row: mysql_async::Row = conn.query_first(status).await.unwrap().unwrap();
    (format!("{source}{between}{next}"), row.take(0).unwrap(), row.take(1).unwrap())
}

/// Gives the ids of `shop.counter` beyond the first.
async fn ids(cluster: &Cluster) -> Vec<u32> {
    cluster.connect(0).await.query("SELECT id FROM shop.counter WHERE id > 1 ORDER BY id").await.unwrap()
}

/// Two backups with rows before, between and behind them, all archived. Gives the newer one's place.
async fn two_backups(cluster: &Cluster, flavour: Flavour) -> (String, String, u64) {
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (10, 0)"]).await;
    let between = stands(cluster, flavour).await;
    cluster.sql(&["INSERT INTO shop.counter VALUES (20, 0)"]).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (30, 0)"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();
    between
}

/// Gives the ids of all backups, the oldest first.
fn backups(cluster: &Cluster) -> Vec<String> {
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    let all = listed.as_array().unwrap().iter();
    let mut all: Vec<String> = all.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

on_both!(the_last_backup_before_a_transaction_or_a_position_is_the_base);
async fn the_last_backup_before_a_transaction_or_a_position_is_the_base(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    let (next, log, position) = two_backups(&cluster, flavour).await;
    let [older, newer] = <[String; 2]>::try_from(backups(&cluster)).unwrap();
    let base = |more: &[&str]| {
        let set = more.iter().flat_map(|one| ["--set", *one]);
        let args = ["run", "point-in-time-recovery", "--set", "overwrite=true", "--dry-run"];
        let dry = cluster.with_environment(&args.into_iter().chain(set).collect::<Vec<_>>()).success();
        let of = [&older, &newer]
            .into_iter()
            .filter(|id| dry.stdout.contains(&format!("base: backup://primary/sandbox/{id}")));
        of.cloned().collect::<Vec<_>>()
    };
    assert_eq!(base(&[&format!("gtid={next}")]), [older.as_str()]);
    assert_eq!(base(&[&format!("log={log}"), &format!("position={position}")]), [older.as_str()]);
    assert_eq!(base(&["end=true"]), [newer.as_str()]);

    let before = format!("before_gtid={next}");
    let recover = ["run", "point-in-time-recovery", "--yes", "--set", "overwrite=true", "--set", &before];
    let told = cluster.with_environment(&recover).success();

    assert_eq!(ids(&cluster).await, [10], "{}", told.stderr);
    let said = format!("passed over the backup `{newer}`: it has the transaction {next} already");
    assert!(told.stderr.contains(&said), "{}", told.stderr);
}

mod a_server_without_gtids_comes_back_to_a_position_and_its_dropped_table_too {
    use super::{Cluster, Flavour, ids, two_backups, undo};

    #[tokio::test]
    async fn mysql() {
        let cluster = Cluster::up_of(Flavour::Mysql, 0);
        for mode in ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"] {
            cluster.sql(&[&format!("SET GLOBAL gtid_mode = {mode}")]).await;
        }
        let (_, log, position) = two_backups(&cluster, Flavour::Mysql).await;
        cluster.sql(&["SET TIMESTAMP = UNIX_TIMESTAMP() + 60", "DROP TABLE shop.counter"]).await;
        cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();

        undo(&cluster, &["--set", "table=counter", "--set", "as=counter"]).success();

        assert_eq!(ids(&cluster).await, [10, 20, 30]);
        let (log, position) = (format!("log={log}"), format!("position={position}"));
        let recover = ["run", "point-in-time-recovery", "--yes", "--set", "overwrite=true", "--set", &log];
        cluster.with_environment(&[&recover[..], &["--set", &position]].concat()).success();
        assert_eq!(ids(&cluster).await, [10]);
    }
}

#[tokio::test]
async fn a_point_that_can_not_be_reached_stops_the_run_before_anything_is_restored() {
    let cluster = Cluster::up(0);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();
    let before = cluster.checksums(0).await;
    let args = [
        "run",
        "point-in-time-recovery",
        "--yes",
        "--set",
        "time=2030-01-01T00:00:00Z",
        "--set",
        "overwrite=true",
    ];

    let answer = cluster.with_environment(&args).code(2);

    assert!(answer.stderr.contains("2030-01-01T00:00:00Z is not in the archive"), "{}", answer.stderr);
    assert_eq!(cluster.checksums(0).await, before);
}

on_both!(a_lost_server_comes_back_with_everything_that_was_archived_as_the_assessment_said);
async fn a_lost_server_comes_back_with_everything_that_was_archived_as_the_assessment_said(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (7, 7)"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();
    let archived = cluster.checksums(0).await;
    cluster.sql(&["INSERT INTO shop.counter VALUES (8, 8)"]).await;
    cluster.destroy_primary();

    let told = cluster.with_environment(&["run", "assess", "--yes"]).success();
    let advice = "rekindle run point-in-time-recovery -e sandbox --set end=true";
    assert!(told.stderr.contains(advice), "{}", told.stderr);
    cluster.with_environment(&["run", "point-in-time-recovery", "--yes", "--set", "end=true"]).success();

    assert_eq!(cluster.checksums(0).await, archived);
    cluster.with_environment(&["run", "reseed-replica", "--yes", "--set", "replica=replica-0"]).success();
    assert_eq!(cluster.checksums(1).await, archived);
}

/// Undoes what was done to a table of `shop`, in a throw-away server beside the cluster.
fn undo(cluster: &Cluster, more: &[&str]) -> crate::support::Answer {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: undo\ncluster: sandbox\nextends: sandbox\ntargets:\n  scratch: {{ host: \
         127.0.0.1, port: {port}, user: root, password: {{ secret: root }} }}\n"
    );
    let environment = cluster.project.write("box/environments/undo.yaml", &text);
    let args = ["run", "undo-drop", "--yes", "-e", environment.to_str().unwrap(), "--set", "sandbox=scratch"];
    let of_shop = ["--set", "database=shop", "--set", "undo_dir=scratch"];
    cluster.run(&[&args[..], &of_shop, more].concat())
}

on_both!(a_dropped_table_comes_back_under_a_new_name_while_production_goes_on);
async fn a_dropped_table_comes_back_under_a_new_name_while_production_goes_on(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (7, 7)"]).await;
    let before = cluster.checksums(0).await;
    // In a later second than the backup's: of that one nobody could tell whether it has the table.
    let later = "SET TIMESTAMP = UNIX_TIMESTAMP() + 60";
    cluster.sql(&[later, "DROP TABLE shop.counter", "CREATE TABLE shop.later (id INT PRIMARY KEY)"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();

    undo(&cluster, &["--set", "table=counter", "--set", "deeds=[drop]"]).success();

    let after = cluster.checksums(0).await;
    let checksum = |all: &[(String, u64, u64)], name: &str| {
        all.iter().find(|(table, ..)| table == name).map(|(_, checksum, rows)| (*checksum, *rows))
    };
    assert_eq!(checksum(&after, "counter_recovered"), checksum(&before, "counter"));
    assert_eq!(checksum(&after, "counter"), None);
    assert!(checksum(&after, "later").is_some());
    assert!(!cluster.project.path().join("scratch").exists(), "the throw-away server is gone");
}

on_both!(deleted_rows_come_back_with_what_was_written_since_and_the_table_stays_as_it_is);
async fn deleted_rows_come_back_with_what_was_written_since_and_the_table_stays_as_it_is(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (7, 7), (8, 8)"]).await;
    cluster.sql(&["SET TIMESTAMP = UNIX_TIMESTAMP() + 60", "DELETE FROM shop.counter WHERE id < 8"]).await;
    cluster.sql(&["SET TIMESTAMP = UNIX_TIMESTAMP() + 120", "INSERT INTO shop.counter VALUES (9, 9)"]).await;
    cluster.sql(&["SET TIMESTAMP = UNIX_TIMESTAMP() + 120", "DELETE FROM shop.counter WHERE id = 8"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();

    let unclear = undo(&cluster, &["--set", "table=counter"]).code(2);
    let said = "2 transactions fit, and nothing says which one is meant";
    assert!(unclear.stderr.contains(said), "{}", unclear.stderr);
    undo(&cluster, &["--set", "table=counter", "--set", "which=earliest", "--set", "past=true"]).success();

    let mut conn = cluster.connect(0).await;
    let mut ids = async |table: &str| -> Vec<u32> {
        let query = format!("SELECT id FROM shop.{table} ORDER BY id");
        conn.query(query).await.unwrap()
    };
    assert_eq!(ids("counter").await, [9]);
    assert_eq!(
        ids("counter_recovered").await,
        [1, 7, 9],
        "without the first DELETE, and with everything after it"
    );
    assert!(!cluster.project.path().join("scratch").exists(), "the throw-away server is gone");
}

on_both!(a_table_of_a_dropped_database_comes_back_in_a_database_like_it);
async fn a_table_of_a_dropped_database_comes_back_in_a_database_like_it(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    cluster.with_environment(&["run", "backup", "--yes"]).success();
    let before = cluster.checksums(0).await;
    cluster.sql(&["SET TIMESTAMP = UNIX_TIMESTAMP() + 60", "DROP DATABASE shop"]).await;
    cluster.with_environment(&["run", "archive-binlogs", "--yes"]).success();

    undo(&cluster, &["--set", "table=customer", "--set", "as=customer"]).success();

    let customer = before.into_iter().filter(|(table, ..)| table == "customer").collect::<Vec<_>>();
    assert_eq!(cluster.checksums(0).await, customer);
}
