use rekindle_engine::environment::Settings;
use rekindle_engine::host::Secret;
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{self, FakeWorld, TestContext};
use serde_json::{Value, json};

use super::*;
use crate::connection::Login;
use crate::sandbox::testing::{CANARY_PASSWORD, REPLICATION_USER, TempServer};
use crate::testing::{SHOP, fill, planned, processes, world_of};

async fn pair() -> (TempServer, TempServer) {
    let processes = processes();
    let (source, replica) =
        tokio::join!(TempServer::start("source", &processes), TempServer::start("replica", &processes));
    (source.unwrap(), replica.unwrap())
}

fn context(source: &Login, replica: &Login) -> (FakeWorld, Settings, TestContext) {
    let (mut world, settings) = world_of(&[("source", source), ("replica", replica)]);
    world.world.clock = std::sync::Arc::new(rekindle_host::SystemClock);
    let test = testing::context(&world).settings(settings.clone()).build();
    (world, settings, test)
}

fn params(more: &Value) -> Value {
    let mut params = json!({
        "replica": "replica", "source": "source", "catch_up_timeout": "20s",
        "account": { "user": REPLICATION_USER, "password": { "secret": "root" } },
    });
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    params
}

async fn run(test: &TestContext, more: &Value) -> Result<ResetReplicationOutputs, StepError> {
    ResetReplication.run(&serde_json::from_value(params(more)).unwrap(), &test.cx).await
}

async fn ask(server: &TempServer, query: &str) -> String {
    let mut open = server.login().connect().await.unwrap();
    open.session.row("ask for a test", query).await.unwrap()
}

async fn tell(server: &TempServer, statements: &[&str]) {
    let mut open = server.login().connect().await.unwrap();
    fill(&mut open.session, statements).await;
}

#[tokio::test]
async fn a_replica_follows_catches_up_and_the_probe_knows() {
    let (source, replica) = pair().await;
    tell(&source, SHOP).await;
    let (world, settings, test) = context(source.login(), replica.login());
    let known: ResetReplicationParams = serde_json::from_value(params(&json!({}))).unwrap();
    assert_eq!(ResetReplication.probe(&known, &test.cx).await.unwrap(), Probe::Absent);

    let outputs = run(&test, &json!({})).await.unwrap();

    assert_eq!(outputs.source_gtid, outputs.replica_gtid);
    assert_eq!(ask(&replica, "SELECT COUNT(*) FROM shop.`odd``na.me`").await, "3");
    assert_eq!(ask(&replica, "SELECT CAST(@@read_only + 0 AS CHAR)").await, "1");
    let Probe::Complete(found) = ResetReplication.probe(&known, &test.cx).await.unwrap() else {
        panic!("it follows")
    };
    assert_eq!(found.source_gtid, outputs.source_gtid);
    // Again, from where it is: nothing is applied twice.
    run(&test, &json!({})).await.unwrap();

    let cx = testing::context(&world).settings(settings).preflight([]);
    let found = ResetReplication.preflight(&planned(&params(&json!({}))), &cx).await;
    assert_eq!(found.problems, []);
    let shown = found.commands.join("\n").replace(&source.login().port.to_string(), "PORT");
    insta::assert_snapshot!(shown, @r"
    STOP SLAVE
    RESET SLAVE ALL
    SET GLOBAL read_only = ON
    CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=PORT, MASTER_USER='replication', MASTER_PASSWORD='***', MASTER_CONNECT_RETRY=10, MASTER_USE_GTID=slave_pos
    START SLAVE
    FLUSH USER_RESOURCES (at source)
    ");
}

#[tokio::test]
async fn two_servers_loaded_from_one_backup_follow_from_its_position() {
    let (source, replica) = pair().await;
    // As a restore leaves the source: data outside the binary log, the position of the backup.
    let mut loaded = vec!["SET sql_log_bin = 0"];
    loaded.extend(SHOP);
    let mut source_statements = loaded.clone();
    source_statements.extend([
        "RESET MASTER",
        "SET GLOBAL gtid_binlog_state = '0-77-500'",
        "SET GLOBAL gtid_slave_pos = '0-77-500'",
    ]);
    tell(&source, &source_statements).await;
    // Its own binary log has newer transactions of the time before.
    let mut replica_statements = loaded;
    replica_statements.extend([
        "SET sql_log_bin = 1",
        "CREATE DATABASE of_before",
        "DROP DATABASE of_before",
    ]);
    tell(&replica, &replica_statements).await;
    let (_, _, test) = context(source.login(), replica.login());

    let outputs = run(&test, &json!({ "gtid": "0-77-500" })).await.unwrap();

    assert!(outputs.source_gtid.ends_with("-501"), "{outputs:?}");
    tell(&source, &["INSERT INTO shop.empty VALUES (1)"]).await;
    run(&test, &json!({ "gtid": "0-77-500" })).await.unwrap();
    assert_eq!(ask(&replica, "SELECT COUNT(*) FROM shop.empty").await, "1");
}

#[tokio::test]
async fn a_replica_of_another_history_is_refused_and_left_as_it_is() {
    let (source, replica) = pair().await;
    tell(&source, &["SET GLOBAL gtid_binlog_state = '0-77-500'", "SET GLOBAL gtid_slave_pos = '0-77-500'"])
        .await;
    tell(&replica, &["SET GLOBAL gtid_slave_pos = '0-77-600'"]).await;
    let (_, _, test) = context(source.login(), replica.login());

    let error = run(&test, &json!({ "gtid": "0-77-500" })).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(error.message, @"`replica` is at 0-77-600, which `source` (at 0-77-500) does not have: their data are of different histories");
    insta::assert_snapshot!(error.help.unwrap(), @"load `replica` from the backup that `source` was loaded from, then run this step again; or, if `replica` has the newer data, make it the source");
    assert_eq!(ask(&replica, "SELECT @@gtid_slave_pos").await, "0-77-600");
    assert_eq!(ask(&replica, "SELECT CAST(@@read_only + 0 AS CHAR)").await, "0");
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_told_at_once() {
    let (source, replica) = pair().await;
    let (world, _, test) = context(source.login(), replica.login());

    // A wrong password of the replication account.
    world.secrets.set("root", "wrong");
    let error = run(&test, &json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.starts_with("`source` refuses the account `replication`"), "{error}");
    assert!(!error.message.contains("wrong"), "{error}");
    world.secrets.set("root", CANARY_PASSWORD);

    // Purged logs: the source once had what the replica needs.
    tell(
        &source,
        &[
            "CREATE DATABASE a",
            "FLUSH BINARY LOGS",
            "CREATE DATABASE b",
            "FLUSH BINARY LOGS",
            "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 HOUR",
        ],
    )
    .await;
    let error = run(&test, &json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("does not have the transactions that `replica` needs next"), "{error}");

    // Data that differ: the replica can't apply.
    tell(&source, &["CREATE TABLE b.t (id INT PRIMARY KEY)"]).await;
    let gtid = ask(&source, "SELECT @@gtid_binlog_pos").await;
    let position = format!("SET GLOBAL gtid_slave_pos = '{gtid}'");
    tell(
        &replica,
        &[
            "STOP SLAVE",
            &position,
            "SET sql_log_bin = 0",
            "CREATE DATABASE b",
            "CREATE TABLE b.t (id INT PRIMARY KEY)",
            "INSERT INTO b.t VALUES (1)",
        ],
    )
    .await;
    tell(&source, &["INSERT INTO b.t VALUES (1)"]).await;
    let error = run(&test, &json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.starts_with("`replica` can't apply what `source` wrote: error 1062"), "{error}");
}

#[tokio::test]
async fn a_server_can_not_follow_itself_or_its_own_number() {
    let source = TempServer::start("source", &processes()).await.unwrap();
    let (world, settings, test) = context(source.login(), source.login());
    let error = run(&test, &json!({})).await.unwrap_err();
    assert!(error.message.contains("have the same server id"), "{error}");
    let cx = testing::context(&world).settings(settings.clone()).preflight([]);
    let found = ResetReplication.preflight(&planned(&params(&json!({}))), &cx).await;
    let own = ask(&source, "SELECT @@server_id").await;
    let told = found.problems[0].to_string().replace(&own, "NUMBER");
    insta::assert_snapshot!(told, @"
    rekindle::replication::impossible: `source` and `replica` have the same server id NUMBER (/replica)
      help: give every server its own `server_id`; or the two targets are one and the same server
    ");

    let error = ResetReplication.plan(&planned(&params(&json!({ "replica": "source" })))).unwrap_err();
    insta::assert_snapshot!(error.message, @"`source` can't follow itself");

    // The source is made by an earlier step; the replica's password is wrong.
    let wrong = Login { password: Some(Secret::new("wrong")), ..source.login().clone() };
    let (world, settings, _) = context(source.login(), &wrong);
    let cx = testing::context(&world).settings(settings).preflight(["source"]);
    let found = ResetReplication.preflight(&planned(&params(&json!({}))), &cx).await;
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].pointer, Some("/replica"));
}
