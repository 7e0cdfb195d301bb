//! The whole way of a backup between real servers: inspect, dump, publish, restore.

mod bench;
mod circles;
mod damage;
mod foreign;
mod parallel;
mod parts;
pub(crate) mod zoo;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::Secret;
use rekindle_engine::step::{ErrorClass, Probe, Step as _};
use rekindle_engine::testing::context;
use serde_json::json;

use self::bench::{Bench, ask, bench, state, tell};
use super::Restore;
use super::marker::Stage;
use crate::connection::Login;
use crate::flavour::flavour_name;
use crate::replication::statements::Dialect;
use crate::reset_replication::ResetReplication;
use crate::sandbox::testing::{REPLICATION_USER, TempServer};
use crate::testing::{known_to, on_both, planned, position_query, processes, server_of, shop_of};

/// What [`SHOP`] does not have.
const MORE: &[&str] = &[
    "CREATE TABLE shop.a (id INT PRIMARY KEY, b INT, at DATETIME(6), g INT AS (id * 2) STORED)",
    "CREATE TABLE shop.b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES shop.a (id))",
    "INSERT INTO shop.a (id, b, at) VALUES (1, 1, '2026-11-22 15:00:00.123456')",
    "INSERT INTO shop.b VALUES (1, 1)",
    "ALTER TABLE shop.a ADD FOREIGN KEY (b) REFERENCES shop.b (id)",
    "CREATE TRIGGER shop.later AFTER INSERT ON shop.customers FOR EACH ROW BEGIN SET @new = NEW.id; SET @x = ';'; END",
    "CREATE VIEW shop.many AS SELECT name FROM shop.names",
    "DO NEXTVAL(shop.numbers)",
    "CREATE ROLE readers",
    "GRANT SELECT ON shop.* TO readers",
    "CREATE USER 'ann''s'@'10.%' IDENTIFIED BY 'x'",
    "GRANT readers TO 'ann''s'@'10.%'",
];

async fn shop(flavour: Flavour) -> (TempServer, TempServer) {
    let processes = processes();
    let (source, fresh) = tokio::join!(
        server_of(flavour, "source"),
        TempServer::start_of(flavour, "fresh", &processes, &["--event-scheduler=ON"])
    );
    tell(source.login(), &shop_of(flavour)).await;
    tell(source.login(), &known_to(flavour, MORE)).await;
    (source, fresh.unwrap())
}

/// Asserts that the two hold the same objects, rows and checksums.
async fn assert_equal(bench: &Bench) {
    let params = json!({ "target": "source", "against": "fresh" });
    let assert = crate::assert::Assert;
    let outputs = assert.run(&serde_json::from_value(params).unwrap(), &bench.cx().cx).await.unwrap();
    assert!(outputs.checksums > 0 && outputs.rows > 0, "{outputs:?}");
}

on_both!(everything_comes_back_and_a_backup_of_the_restored_server_does_too);
async fn everything_comes_back_and_a_backup_of_the_restored_server_does_too(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    // Its own password differs from the backup's.
    let password = match flavour {
        Flavour::Mariadb => "SET PASSWORD = PASSWORD('of its own')",
        Flavour::Mysql => "SET PASSWORD = 'of its own'",
    };
    tell(fresh.login(), &[password]).await;
    let own = Login { password: Some(Secret::new("of its own")), ..fresh.login().clone() };
    let bench = bench(source.login(), &own);
    bench.publish("source", "b1").await;
    let params = Bench::params(json!({}));
    assert_eq!(Restore.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Absent);

    let outputs = Restore.run(&params, &bench.cx().cx).await.unwrap();

    assert_equal(&bench).await;
    assert_eq!((outputs.tables, outputs.rows), (5, 7));
    assert_eq!(outputs.gtid, ask(source.login(), position_query(flavour)).await);
    let grants = match flavour {
        Flavour::Mariadb => {
            "SELECT GROUP_CONCAT(User, '@', Host, ' ', Role) FROM mysql.roles_mapping WHERE User LIKE 'ann%'"
        }
        Flavour::Mysql => {
            "SELECT GROUP_CONCAT(TO_USER, '@', TO_HOST, ' ', FROM_USER) FROM mysql.role_edges WHERE TO_USER LIKE 'ann%'"
        }
    };
    assert_eq!(ask(&own, grants).await, "ann's@10.% readers");
    if flavour == Flavour::Mariadb {
        let sequence = "SELECT CAST(next_not_cached_value AS CHAR) FROM shop.numbers";
        assert_eq!(ask(&own, sequence).await, ask(source.login(), sequence).await);
    }
    let timing = "SELECT GROUP_CONCAT(ACTION_TIMING, ' ', TRIGGER_NAME ORDER BY TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'";
    assert_eq!(ask(&own, timing).await, "BEFORE keep,AFTER later");
    assert_eq!(state(&own).await, "read_only OFF, events ON, 1 binary logs");
    // It stands at the backup's position, and the next write is the one after it.
    assert_eq!(ask(&own, position_query(flavour)).await, outputs.gtid);
    tell(&own, &["INSERT INTO shop.empty VALUES (1)"]).await;
    let moved = ask(&own, position_query(flavour)).await;
    match flavour {
        Flavour::Mariadb => {
            let number = |gtid: &str| gtid.rsplit('-').next().unwrap().parse::<u64>().unwrap();
            assert_eq!(number(&moved), number(&outputs.gtid) + 1);
        }
        // The first of its own beside those of the backup.
        Flavour::Mysql => {
            let more = ask(&own, &format!("SELECT GTID_SUBTRACT('{moved}', '{}')", outputs.gtid)).await;
            assert_eq!(more, format!("{}:1", ask(&own, "SELECT @@server_uuid").await));
        }
    }
    assert_eq!(Restore.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Complete(outputs));

    // The marker is in no dump of it, and none of its own binary log.
    bench.publish("fresh", "b2").await;
    assert!(!bench.text("b2").contains("rekindle_restore"));
    assert!(bench.text("b2").contains("odd``na.me"));
    let back =
        Bench::params(json!({ "backup": "backup://primary/shop/b2", "target": "source", "overwrite": true }));
    Restore.run(&back, &bench.cx().cx).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(ask(source.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM shop.empty").await, "1");
}

on_both!(a_server_with_data_is_left_alone_unless_they_may_be_replaced);
async fn a_server_with_data_is_left_alone_unless_they_may_be_replaced(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    tell(fresh.login(), &["CREATE DATABASE other"]).await;
    if flavour == Flavour::Mariadb {
        tell(fresh.login(), &["SET GLOBAL gtid_domain_id = 7"]).await;
    }
    tell(fresh.login(), &["CREATE TABLE other.t AS SELECT 1 AS i", "SET GLOBAL read_only = 1"]).await;
    let (before, at) = (state(fresh.login()).await, ask(fresh.login(), position_query(flavour)).await);

    let error = Restore.run(&Bench::params(json!({})), &bench.cx().cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(error, @"`fresh` holds 1 database (other) with 1 table");
    let cx = || context(&bench.world).settings(bench.settings.clone()).preflight([]);
    let look = |more| Bench::json(&more);
    let found = Restore.preflight(&planned(&look(json!({}))), &cx()).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::restore::not_empty: `fresh` holds 1 database (other) with 1 table (/target)
      help: nothing was changed. If that may be lost, set `overwrite: true` (for disaster-recovery `--set overwrite_primary=true`, and `--set reseed_replicas=true` for its replicas)
    ");

    // Not even then, when it is of the other family.
    let manifest = bench.manifest("b1");
    let mut other = manifest.clone();
    let other_flavour = match flavour {
        Flavour::Mariadb => Flavour::Mysql,
        Flavour::Mysql => Flavour::Mariadb,
    };
    other.server.flavour = other_flavour;
    bench.put_manifest("b1", &other);
    let replace = json!({ "overwrite": true });
    let error = Restore.run(&Bench::params(replace.clone()), &bench.cx().cx).await.unwrap_err();
    assert!(
        error.message.contains(&format!("and the backup is of {}", flavour_name(other_flavour))),
        "{error}"
    );
    let found = Restore.preflight(&planned(&look(replace.clone())), &cx()).await;
    let (version, number) = (&manifest.server.version, manifest.server.version.split('-').next().unwrap());
    let text = found.problems[0].to_string().replace(version, "VERSION").replace(number, "NUMBER");
    let text = text.replace(flavour_name(other_flavour), "OTHER").replace(flavour_name(flavour), "OWN");
    insta::assert_snapshot!(text, @"
    rekindle::restore::not_possible: `fresh` is OWN NUMBER, and the backup is of OTHER VERSION (/target)
      help: restore to a server of the same flavour: dumps of one are not sound for the other
    ");
    bench.put_manifest("b1", &manifest);

    assert_eq!(state(fresh.login()).await, before);
    assert_eq!(ask(fresh.login(), position_query(flavour)).await, at);
    assert_eq!(bench.stage("fresh").await, None);
    assert_eq!(ask(fresh.login(), "SELECT CAST(i AS CHAR) FROM other.t").await, "1");

    // Read-only it was, and stays.
    let outputs = Restore.run(&Bench::params(replace), &bench.cx().cx).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(state(fresh.login()).await, "read_only ON, events ON, 1 binary logs");
    assert_eq!(ask(fresh.login(), position_query(flavour)).await, outputs.gtid);
    assert_eq!(bench.stage("fresh").await, Some(Stage::Complete));
}

on_both!(a_replica_that_replicates_is_replaced_and_can_follow_again);
async fn a_replica_that_replicates_is_replaced_and_can_follow_again(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    let follow = |gtid: Option<String>| {
        let params = json!({
            "replica": "fresh", "source": "source", "catch_up_timeout": "20s", "gtid": gtid,
            "account": { "user": REPLICATION_USER, "password": { "secret": "root" } },
        });
        let test = bench.cx();
        async move { ResetReplication.run(&serde_json::from_value(params).unwrap(), &test.cx).await }
    };
    follow(None).await.unwrap();
    bench.publish("source", "b1").await;
    tell(source.login(), &["INSERT INTO shop.empty VALUES (1)"]).await;

    let outputs = Restore.run(&Bench::params(json!({ "overwrite": true })), &bench.cx().cx).await.unwrap();

    // As the backup has it: nothing came from the source since.
    assert_eq!(ask(fresh.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM shop.empty").await, "0");
    let mut open = fresh.login().connect().await.unwrap();
    let status = Dialect::of(&open.version).show_status();
    let sources: Vec<mysql_async::Row> = open.session.rows("tell its sources", &status).await.unwrap();
    assert_eq!(sources.len(), 0);
    follow(Some(outputs.gtid)).await.unwrap();
    assert_equal(&bench).await;
}
