//! Servers that come back from their files and are brought forward by their archived logs, under one fence.

use rekindle_backup::binlog::archive;
use rekindle_engine::step::StepError;
use serde_json::Value;

use super::*;
use crate::archive_binlogs::ArchiveBinlogs;
use crate::binlogs::testing::back;
use crate::replay_binlogs::{ReplayBinlogs, ReplayBinlogsOutputs, Unfinished};

const TABLE: [&str; 4] = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB",
    "CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01' DO DELETE FROM shop.t",
    "INSERT INTO shop.t VALUES (1)",
];
const STATE: &str = "SELECT CONCAT(@@read_only + 0, '|', @@event_scheduler)";

/// A server that logs, with row 1.
async fn source_of(flavour: Flavour) -> (TempServer, Bench) {
    let source = server_of(flavour, "source").await;
    let bench = bench(&[("source", &source)]);
    tell(source.login(), &TABLE).await;
    (source, bench)
}

/// Adds a row, and gives the position that it is at.
async fn row(server: &TempServer, id: u32) -> String {
    tell(server.login(), &[&format!("INSERT INTO shop.t VALUES ({id})")]).await;
    ask(server.login(), position_query(server.flavour())).await
}

async fn ids(server: &TempServer) -> String {
    ask(server.login(), "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t").await
}

/// Gives an option to every start of a server from now on.
fn configure(server: &TempServer, option: &str) {
    let script = server.directory().join("start.sh");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, text.replace(" </dev/null", &format!(" '{option}' </dev/null"))).unwrap();
}

async fn archive_logs(bench: &Bench, target: &str) {
    bench.run(&ArchiveBinlogs, json!({ "target": target, "store": "primary" })).await.unwrap();
}

/// Puts the backup `b1` in the place of what a server has, for a replay.
async fn put_back(bench: &Bench, target: &str, more: Value) -> Result<Outputs, StepError> {
    let mut params = json!({
        "backup": "backup://primary/shop/b1", "target": target, "overwrite": true, "archive_to": "primary",
        "stay_fenced": true
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.run(&RestorePhysical, params).await
}

async fn replay(bench: &Bench, target: &str, until: Value) -> Result<ReplayBinlogsOutputs, StepError> {
    let params = json!({ "target": target, "backup": "backup://primary/shop/b1", "until": until });
    bench.run(&ReplayBinlogs, params).await
}

on_both!(a_server_is_put_back_and_brought_forward_under_one_fence_and_loses_nothing_that_it_logged);
async fn a_server_is_put_back_and_brought_forward_under_one_fence_and_loses_nothing_that_it_logged(
    flavour: Flavour,
) {
    let (source, bench) = source_of(flavour).await;
    configure(&source, "--event-scheduler=ON");
    bench.publish("b1", json!({ "mode": "cold" })).await;
    row(&source, 2).await;
    archive_logs(&bench, "source").await;
    let third = row(&source, 3).await;
    row(&source, 4).await;
    let identity = match flavour {
        Flavour::Mariadb => "SELECT CAST(@@server_id AS CHAR)",
        Flavour::Mysql => "SELECT @@server_uuid",
    };
    let was = ask(source.login(), identity).await;

    let outputs = put_back(&bench, "source", json!({})).await.unwrap();

    assert_eq!((ids(&source).await.as_str(), ask(source.login(), STATE).await.as_str()), ("1", "1|OFF"));
    assert_eq!(ask(source.login(), position_query(flavour)).await, outputs.gtid);
    assert_eq!(ask(source.login(), identity).await, was);
    assert!(fs::exists(std::path::Path::new(&outputs.moved_aside).join("ibdata1")).unwrap());
    let mut open = source.login().connect().await.unwrap();
    let left = Unfinished::on(&mut open).await.unwrap().unwrap().name;
    assert_eq!(left, "a restore of backup://primary/shop/b1, fenced for a replay of binary logs");

    let done = replay(&bench, "source", json!({ "gtid": back(&third, 0) })).await.unwrap();
    assert_eq!((ids(&source).await.as_str(), ask(source.login(), STATE).await.as_str()), ("1,2,3", "0|ON"));
    assert_eq!((done.transactions, done.first_lost.is_some()), (2, true));
    replay(&bench, "source", json!({ "end": true })).await.unwrap();
    assert_eq!(ids(&source).await, "1,2,3,4");
}

on_both!(a_recovery_after_one_from_files_leaves_out_what_was_undone_and_has_what_came_since);
async fn a_recovery_after_one_from_files_leaves_out_what_was_undone_and_has_what_came_since(
    flavour: Flavour,
) {
    let (source, fresh) = tokio::join!(server_of(flavour, "source"), server_of(flavour, "fresh"));
    let bench = bench(&[("source", &source), ("fresh", &fresh)]);
    tell(source.login(), &TABLE).await;
    bench.publish("b1", json!({ "mode": "cold" })).await;
    let second = row(&source, 2).await;
    row(&source, 666).await;
    archive_logs(&bench, "source").await;
    put_back(&bench, "source", json!({})).await.unwrap();
    replay(&bench, "source", json!({ "gtid": back(&second, 0) })).await.unwrap();
    row(&source, 3).await;
    archive_logs(&bench, "source").await;

    put_back(&bench, "fresh", json!({ "archive_to": null })).await.unwrap();
    replay(&bench, "fresh", json!({ "end": true })).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3");
    // No increment is made to a copy of the files of before: the same GTIDs lie at other places in InnoDB's log.
    if flavour == Flavour::Mariadb {
        bench.publish("b2", json!({})).await;
        let error = bench.copy("b3", &json!({ "base": "backup://primary/shop/b1" })).await.unwrap_err();
        assert!(error.message.contains("it is a cold one"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_come_back_as_one_server_that_is_brought_forward_to_a_time() {
    let (source, fresh) =
        tokio::join!(server_of(Flavour::Mariadb, "source"), server_of(Flavour::Mariadb, "fresh"));
    let bench = bench(&[("source", &source), ("fresh", &fresh)]);
    tell(source.login(), &TABLE).await;
    bench.publish("b0", json!({})).await;
    row(&source, 2).await;
    bench.publish("b1", json!({ "base": "latest" })).await;
    for (id, time) in [(3, "2027-10-31T01:29:59Z"), (4, "2027-10-31T01:30:00Z")] {
        let seconds = time.parse::<jiff::Timestamp>().unwrap().as_second();
        let insert = format!("INSERT INTO shop.t VALUES ({id})");
        tell(source.login(), &[&format!("SET TIMESTAMP = {seconds}"), &insert]).await;
    }
    archive_logs(&bench, "source").await;

    let restored = put_back(&bench, "fresh", json!({})).await.unwrap();
    replay(&bench, "fresh", json!({ "time": "2027-10-31T02:30:00+01:00" })).await.unwrap();

    assert_eq!((restored.backups.len(), ids(&fresh).await.as_str()), (2, "1,2,3"));
    let error =
        bench.run(&RestorePhysical, json!({ "backup": "backup://primary/shop/b0", "target": "fresh" }));
    assert!(error.await.unwrap_err().message.contains("is not empty"));
    // Its files are another directory's now, although its server has the same GTIDs.
    let mut again = bench;
    let local = again.target("fresh").clone();
    *again.target("source") = local;
    let error = again.copy("b2", &json!({ "base": "backup://primary/shop/b1" })).await.unwrap_err();
    assert!(error.message.contains("it is of another data directory"), "{error}");
}

mod a_server_that_came_back_as_another_one_has_its_logs_named {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let (source, fresh) =
            tokio::join!(server_of(Flavour::Mysql, "source"), server_of(Flavour::Mysql, "fresh"));
        let bench = bench(&[("source", &source), ("fresh", &fresh)]);
        tell(source.login(), &TABLE).await;
        bench.publish("b1", json!({ "mode": "cold" })).await;
        row(&source, 2).await;
        archive_logs(&bench, "source").await;
        put_back(&bench, "fresh", json!({ "archive_to": null })).await.unwrap();
        replay(&bench, "fresh", json!({ "end": true })).await.unwrap();
        row(&fresh, 3).await;
        archive_logs(&bench, "fresh").await;

        // What was written last is in which of the two?
        put_back(&bench, "source", json!({ "archive_to": null })).await.unwrap();
        let error = replay(&bench, "source", json!({ "end": true })).await.unwrap_err();

        let timelines = archive::load(bench.store.as_ref(), "shop").await.unwrap();
        let at_fresh = ask(fresh.login(), "SELECT @@server_uuid").await;
        let newer =
            timelines.iter().find(|one| one.key.server.ends_with(&at_fresh)).unwrap().key.server.clone();
        assert!(error.message.starts_with(&format!("`{newer}` was restored from the backup")), "{error}");
        let named = json!({
            "target": "source", "backup": "backup://primary/shop/b1", "server": newer, "until": { "end": true }
        });
        bench.run(&ReplayBinlogs, named).await.unwrap();
        assert_eq!(ids(&source).await, "1,2,3");
    }
}

on_both!(files_of_a_replica_are_brought_forward_by_the_logs_of_its_source);
async fn files_of_a_replica_are_brought_forward_by_the_logs_of_its_source(flavour: Flavour) {
    let (origin, replica) = tokio::join!(server_of(flavour, "origin"), server_of(flavour, "source"));
    let bench = bench(&[("origin", &origin), ("source", &replica)]);
    tell(origin.login(), &TABLE).await;
    let follow = json!({
        "replica": "source", "source": "origin", "gtid": "",
        "account": { "user": REPLICATION_USER, "password": { "secret": "root" } }
    });
    bench.run(&ResetReplication, follow).await.unwrap();
    bench.publish("b1", json!({ "mode": "cold" })).await;
    row(&origin, 2).await;
    archive_logs(&bench, "origin").await;

    if flavour == Flavour::Mysql {
        // It knows its source by a table, and follows it from its start on; MariaDB's files are taken away before.
        origin.kill().await.unwrap();
    }
    put_back(&bench, "source", json!({ "archive_to": null })).await.unwrap();

    assert_eq!(ids(&replica).await, "1");
    replay(&bench, "source", json!({ "end": true })).await.unwrap();
    assert_eq!(ids(&replica).await, "1,2");
}

on_both!(a_server_whose_logs_can_not_be_archived_is_neither_stopped_nor_moved_nor_left_read_only);
async fn a_server_whose_logs_can_not_be_archived_is_neither_stopped_nor_moved_nor_left_read_only(
    flavour: Flavour,
) {
    let (source, bench) = source_of(flavour).await;
    bench.publish("b1", json!({ "mode": "cold" })).await;
    tell(source.login(), &["INSERT INTO shop.t VALUES (2)", "SET GLOBAL event_scheduler = ON"]).await;
    let process = crate::server_files::server_process(&bench.data_dir("source"));

    let error = put_back(&bench, "source", json!({ "archive_to": "none" })).await.unwrap_err();

    let help = error.help.clone().unwrap();
    insta::assert_snapshot!(format!("{error}; {help}"), @"the binary logs of `source` were not archived: the environment has no store `none`; nothing was stopped or moved; leave `archive_to` out (`--set archive=false`) to have them only in the folder that the files are moved to");
    assert_eq!(crate::server_files::server_process(&bench.data_dir("source")), process);
    assert_eq!((ids(&source).await.as_str(), ask(source.login(), STATE).await.as_str()), ("1,2", "0|ON"));
    let data = bench.data_dir("source");
    assert_eq!(Marker::read(&data).unwrap().unwrap().replaced, None);
    // The files are prepared: the same run goes on with them.
    put_back(&bench, "source", json!({})).await.unwrap();
    replay(&bench, "source", json!({ "end": true })).await.unwrap();
    assert_eq!(ids(&source).await, "1,2");
}

on_both!(a_server_that_is_written_to_before_its_fence_is_not_brought_forward);
async fn a_server_that_is_written_to_before_its_fence_is_not_brought_forward(flavour: Flavour) {
    let (source, bench) = source_of(flavour).await;
    bench.publish("b1", json!({ "mode": "cold" })).await;
    let early = source.directory().join("early.sql");
    fs::write(&early, "INSERT INTO shop.t VALUES (99);\n").unwrap();
    configure(&source, &format!("--init-file={}", early.display()));

    let error = put_back(&bench, "source", json!({})).await.unwrap_err();

    let told = error.message.replace(char::is_numeric, "N");
    insta::assert_snapshot!(told, @"`source` is not what the backup says, so no binary log can be replayed onto it: bin.NNNNNN has what was written between its start and its fence");
    assert_eq!(ask(source.login(), STATE).await, "1|OFF");
}

mod a_server_that_is_to_refuse_all_writes_is_brought_forward_and_refuses_them_again {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let (source, bench) = source_of(Flavour::Mysql).await;
        bench.publish("b1", json!({ "mode": "cold" })).await;
        row(&source, 2).await;
        configure(&source, "--super-read-only=ON");

        put_back(&bench, "source", json!({})).await.unwrap();
        assert_eq!(ask(source.login(), "SELECT CAST(@@super_read_only AS CHAR)").await, "1");
        replay(&bench, "source", json!({ "end": true })).await.unwrap();

        assert_eq!(ids(&source).await, "1,2");
        assert_eq!(ask(source.login(), "SELECT CAST(@@super_read_only AS CHAR)").await, "1");
    }
}

on_both!(logs_that_outlive_a_server_are_archived_before_they_are_emptied);
async fn logs_that_outlive_a_server_are_archived_before_they_are_emptied(flavour: Flavour) {
    let (source, bench) = source_of(flavour).await;
    let logs = source.directory().join("logs");
    fs::create_dir(&logs).unwrap();
    configure(&source, &format!("--log-bin={}/elsewhere", logs.display()));
    // The server is started anew by it, with its logs elsewhere.
    bench.publish("b0", json!({ "mode": "cold" })).await;
    bench.publish("b1", json!({ "mode": "cold" })).await;
    row(&source, 2).await;
    source.kill().await.unwrap();
    if flavour == Flavour::Mariadb {
        let data = bench.data_dir("source");
        fs::remove_dir_all(&data).unwrap();
        fs::create_dir(&data).unwrap();
    }

    put_back(&bench, "source", json!({})).await.unwrap();
    assert_eq!(archive::load(bench.store.as_ref(), "shop").await.unwrap().len(), 1);
    replay(&bench, "source", json!({ "end": true })).await.unwrap();

    assert_eq!(ids(&source).await, "1,2");
}
