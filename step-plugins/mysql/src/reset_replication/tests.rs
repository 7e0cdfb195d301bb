use rekindle_backup::manifest::Flavour;
use rekindle_engine::environment::Settings;
use rekindle_engine::host::Secret;
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{self, FakeWorld, TestContext};
use serde_json::{Value, json};

use super::*;
use crate::connection::Login;
use crate::replication::statements::Dialect;
use crate::sandbox::testing::{CANARY_PASSWORD, REPLICATION_USER, TempServer};
use crate::testing::{fill, on_both, planned, position_query, server_of, shop_of, world_of};

async fn pair(flavour: Flavour) -> (TempServer, TempServer) {
    tokio::join!(server_of(flavour, "source"), server_of(flavour, "replica"))
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

/// The position of a backup of a server that is no more.
fn position_500(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mariadb => "0-77-500",
        Flavour::Mysql => "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-500",
    }
}

fn position_600(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mariadb => "0-77-600",
        Flavour::Mysql => "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-600",
    }
}

async fn dialect(server: &TempServer) -> Dialect {
    Dialect::of(&server.login().connect().await.unwrap().version)
}

/// Puts a server where a restore leaves it.
async fn stand_at(server: &TempServer, gtid: &str) {
    let statements = dialect(server).await.stand_at(true, gtid);
    tell(server, &statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

async fn applied(server: &TempServer) -> String {
    ask(server, dialect(server).await.replica_position()).await
}

async fn tell(server: &TempServer, statements: &[&str]) {
    let mut open = server.login().connect().await.unwrap();
    fill(&mut open.session, statements).await;
}

on_both!(a_replica_follows_catches_up_and_the_probe_knows);
async fn a_replica_follows_catches_up_and_the_probe_knows(flavour: Flavour) {
    let (source, replica) = pair(flavour).await;
    tell(&source, &shop_of(flavour)).await;
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
    if flavour == Flavour::Mysql {
        assert!(
            shown.contains("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=PORT"),
            "{shown}"
        );
        return;
    }
    insta::assert_snapshot!(shown, @r"
    STOP SLAVE
    RESET SLAVE ALL
    SET GLOBAL read_only = ON
    CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=PORT, MASTER_USER='replication', MASTER_PASSWORD='***', MASTER_CONNECT_RETRY=10, MASTER_USE_GTID=slave_pos
    START SLAVE
    FLUSH USER_RESOURCES (at source)
    ");
}

on_both!(two_servers_loaded_from_one_backup_follow_from_its_position);
async fn two_servers_loaded_from_one_backup_follow_from_its_position(flavour: Flavour) {
    let (source, replica) = pair(flavour).await;
    // As a restore leaves the source: data outside the binary log, the position of the backup.
    let mut loaded = vec!["SET sql_log_bin = 0"];
    loaded.extend(shop_of(flavour));
    tell(&source, &loaded).await;
    let gtid = position_500(flavour);
    stand_at(&source, gtid).await;
    // Its own binary log has newer transactions of the time before.
    let mut replica_statements = loaded;
    replica_statements.extend([
        "SET sql_log_bin = 1",
        "CREATE DATABASE of_before",
        "DROP DATABASE of_before",
    ]);
    tell(&replica, &replica_statements).await;
    let (_, _, test) = context(source.login(), replica.login());

    let outputs = run(&test, &json!({ "gtid": gtid })).await.unwrap();

    let next = match flavour {
        Flavour::Mariadb => outputs.source_gtid.ends_with("-501"),
        Flavour::Mysql => {
            outputs.source_gtid.contains(gtid)
                && outputs.source_gtid.contains(',')
                && outputs.source_gtid.contains(":1")
        }
    };
    assert!(next, "{outputs:?}");
    tell(&source, &["INSERT INTO shop.empty VALUES (1)"]).await;
    run(&test, &json!({ "gtid": gtid })).await.unwrap();
    assert_eq!(ask(&replica, "SELECT COUNT(*) FROM shop.empty").await, "1");
}

on_both!(a_replica_of_another_history_is_refused_and_left_as_it_is);
async fn a_replica_of_another_history_is_refused_and_left_as_it_is(flavour: Flavour) {
    let (source, replica) = pair(flavour).await;
    let (old, newer) = (position_500(flavour), position_600(flavour));
    stand_at(&source, old).await;
    stand_at(&replica, newer).await;
    let (_, _, test) = context(source.login(), replica.login());

    let error = run(&test, &json!({ "gtid": old })).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Permanent);
    let told = error.message.replace(old, "0-77-500").replace(newer, "0-77-600");
    insta::assert_snapshot!(told, @"`replica` is at 0-77-600, which `source` (at 0-77-500) does not have: their data are of different histories");
    insta::assert_snapshot!(error.help.unwrap(), @"load `replica` from the backup that `source` was loaded from, then run this step again; or, if `replica` has the newer data, make it the source");
    assert_eq!(applied(&replica).await, newer);
    assert_eq!(ask(&replica, "SELECT CAST(@@read_only + 0 AS CHAR)").await, "0");
}

on_both!(what_waiting_cannot_mend_is_told_at_once);
async fn what_waiting_cannot_mend_is_told_at_once(flavour: Flavour) {
    let (source, replica) = pair(flavour).await;
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
    let gtid = ask(&source, position_query(flavour)).await;
    tell(&replica, &[&dialect(&replica).await.stop()]).await;
    stand_at(&replica, &gtid).await;
    tell(
        &replica,
        &[
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

on_both!(a_server_can_not_follow_itself_or_its_own_number);
async fn a_server_can_not_follow_itself_or_its_own_number(flavour: Flavour) {
    let source = server_of(flavour, "source").await;
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

on_both!(a_source_that_demands_tls_is_followed_over_it_and_only_when_it_is_who_it_should_be);
async fn a_source_that_demands_tls_is_followed_over_it_and_only_when_it_is_who_it_should_be(
    flavour: Flavour,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(file("cert.pem"), cert.pem()).unwrap();
    std::fs::write(file("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(file("other.pem"), other.cert.pem()).unwrap();
    let options = ["cert", "key"].map(|what| format!("--ssl-{what}={}", file(&format!("{what}.pem"))));
    let (processes, options) = (crate::testing::processes(), options.each_ref().map(String::as_str));
    let (source, replica) = tokio::join!(
        TempServer::start_of(flavour, "source", &processes, &options),
        server_of(flavour, "replica")
    );
    let source = source.unwrap();
    let password = crate::connection::quote_string(CANARY_PASSWORD);
    let account = format!("CREATE USER 'secure'@'%' IDENTIFIED BY {password} REQUIRE SSL");
    tell(&source, &[&account, "GRANT REPLICATION SLAVE ON *.* TO 'secure'@'%'", "CREATE DATABASE shop"])
        .await;
    let (_world, _settings, test) = context(source.login(), replica.login());
    let over = |tls: Value| {
        let account = json!({ "user": "secure", "password": { "secret": "root" } });
        json!({ "account": account, "tls": tls, "catch_up_timeout": "5s" })
    };

    // MySQL 9 tries TLS by itself.
    if flavour == Flavour::Mariadb {
        run(&test, &over(Value::Null)).await.unwrap_err();
    }
    for (ca, verify) in [("other.pem", true), ("other.pem", false), ("gone.pem", true)] {
        let error = run(&test, &over(json!({ "ca": file(ca), "verify": verify }))).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{ca} {verify}: {error}");
        let said = "`replica` can't follow `source` over TLS: error 2026: ";
        assert!(error.message.starts_with(said), "{ca} {verify}: {error}");
    }
    let outputs = run(&test, &over(json!({ "ca": file("cert.pem") }))).await.unwrap();

    assert_eq!(applied(&replica).await, outputs.source_gtid);
    assert_eq!(
        ask(
            &replica,
            "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shop'"
        )
        .await,
        "1"
    );
}

/// `caching_sha2_password` sends the password over TLS, or encrypted with the source's key. A source that has TLS is spoken
/// to over it, so only one without proves that the key is asked for.
mod a_source_without_tls_is_followed_by_its_key {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let processes = crate::testing::processes();
        let (source, replica) = tokio::join!(
            TempServer::start_of(Flavour::Mysql, "source", &processes, &["--tls-version="]),
            server_of(Flavour::Mysql, "replica")
        );
        let source = source.unwrap();
        let plugin = format!("SELECT plugin FROM mysql.user WHERE user = '{REPLICATION_USER}'");
        assert_eq!(ask(&source, &plugin).await, "caching_sha2_password");
        let (_world, _settings, test) = context(source.login(), replica.login());
        // Nobody's password is known to it any more.
        tell(&source, &["CREATE DATABASE shop", "FLUSH PRIVILEGES"]).await;

        // The server of 9.7 insists on TLS by itself.
        let error = run(&test, &json!({ "catch_up_timeout": "5s" })).await.unwrap_err();
        assert!(error.message.contains("SSL is required"), "{error}");
        let outputs = run(&test, &json!({ "tls": { "enabled": false } })).await.unwrap();

        assert_eq!(applied(&replica).await, outputs.source_gtid);
        assert_eq!(ask(&source, "SELECT @@GLOBAL.tls_version").await, "");
    }
}
