//! Searches in archives of real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::Step as _;
use serde_json::{Value, json};

use super::*;
use crate::binlogs::testing::{Lab, ask, back, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, position_query, processes, server_of};

on_both!(a_drop_and_a_delete_are_found_with_their_gtids);
async fn a_drop_and_a_delete_are_found_with_their_gtids(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let lab = Lab::of(&[&server]);
    tell(
        &server,
        &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)", "CREATE TABLE shop.u (id INT)"],
    )
    .await;
    tell(&server, &["INSERT INTO shop.t VALUES (1), (2)", "DELETE FROM shop.t WHERE id = 2"]).await;
    let deleted = back(&ask(&server, position_query(flavour)).await, 0);
    tell(&server, &["FLUSH BINARY LOGS", "INSERT INTO shop.u VALUES (1)", "DROP TABLE shop.t"]).await;
    let dropped = back(&ask(&server, position_query(flavour)).await, 0);
    tell(&server, &["DROP TABLE shop.u"]).await;
    lab.archive().await;
    let find = async |more: Value| {
        let mut params = json!({ "store": "primary", "database": "shop" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lab.run(&FindInBinlogs, params).await
    };

    let found = find(json!({ "table": "t", "deeds": ["drop"] })).await.unwrap();
    assert_eq!((found.gtid, found.log.as_str(), found.what.as_str()), (dropped, "bin.000002", "DROP shop.t"));
    let found = find(json!({ "table": "t", "deeds": ["delete"] })).await.unwrap();
    let statement = match flavour {
        Flavour::Mariadb => "DELETE FROM shop.t WHERE id = 2",
        // It logs rows, and the statement only with `binlog_rows_query_log_events`.
        Flavour::Mysql => "",
    };
    assert_eq!((found.gtid, found.statement.as_str()), (deleted, statement));
    let found = find(json!({ "deeds": ["drop", "delete"], "which": "earliest" })).await.unwrap();
    assert_eq!((found.what.as_str(), found.count), ("DELETE shop.t", 3));
    let error = find(json!({ "table": "t", "deeds": ["truncate"] })).await.unwrap_err();
    insta::assert_snapshot!(error, @"the archived logs of `shop` have no truncate of shop.t in that time");
    find(json!({ "deeds": ["drop"], "to": "2020-01-01T00:00:00Z" })).await.unwrap_err();
    // Nothing comes after a table is dropped: which of these is meant is plain.
    let found = find(json!({ "table": "t", "deeds": ["drop", "delete"] })).await.unwrap();
    assert_eq!((found.what.as_str(), found.count), ("DROP shop.t", 2));
}

on_both!(of_several_that_fit_none_is_chosen_in_silence);
async fn of_several_that_fit_none_is_chosen_in_silence(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let lab = Lab::of(&[&server]);
    tell(&server, &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await;
    tell(&server, &["INSERT INTO shop.t VALUES (1), (2), (3), (4)", "DELETE FROM shop.t WHERE id < 4"]).await;
    let meant = back(&ask(&server, position_query(flavour)).await, 0);
    tell(&server, &["DELETE FROM shop.t WHERE id = 4"]).await;
    let usual = back(&ask(&server, position_query(flavour)).await, 0);
    lab.archive().await;
    let find = async |more: Value| {
        let mut params =
            json!({ "store": "primary", "database": "shop", "table": "t", "deeds": ["drop", "delete"] });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lab.run(&FindInBinlogs, params).await
    };

    let error = find(json!({})).await.unwrap_err();

    let begins = "2 transactions fit, and nothing says which one is meant; the newest first: ";
    let (newest, older) = error
        .message
        .strip_prefix(begins)
        .unwrap()
        .split_once(", ")
        .map(|(first, rest)| {
            // The first has a comma in it too.
            let (more, older) = rest.split_once("), ").unwrap();
            (format!("{first}, {more})"), older.to_owned())
        })
        .unwrap();
    assert!(newest.starts_with(&format!("{usual} (DELETE shop.t at ")), "{newest}");
    assert!(
        older.starts_with(&format!("{meant} (DELETE shop.t at ")) && older.ends_with(" bytes)"),
        "{older}"
    );
    insta::assert_snapshot!(error.help.unwrap(), @"choose one by its `gtid`, or by `which: latest` or `which: earliest`; or let fewer fit by `from`, `to` and `deeds`. One that changed many rows takes more bytes than the others");
    let found = find(json!({ "gtid": meant })).await.unwrap();
    assert_eq!((found.gtid.as_str(), found.count), (meant.as_str(), 1));
    assert_eq!(find(json!({ "which": "latest" })).await.unwrap().gtid, usual);
    // A table that was dropped twice is made again in between: neither is plain.
    tell(&server, &["DROP TABLE shop.t", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await;
    lab.archive().await;
    assert_eq!(find(json!({})).await.unwrap().what, "DROP shop.t");
    tell(&server, &["DROP TABLE shop.t"]).await;
    lab.archive().await;
    let error = find(json!({})).await.unwrap_err();
    assert!(error.message.starts_with("4 transactions fit"), "{error}");
}

on_both!(a_truncate_is_found);
async fn a_truncate_is_found(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let lab = Lab::of(&[&server]);
    let tables = ["CREATE TABLE shop.t (id INT PRIMARY KEY)", "CREATE TABLE shop.u (id INT PRIMARY KEY)"];
    tell(&server, &["CREATE DATABASE shop", tables[0], tables[1]]).await;
    tell(&server, &["INSERT INTO shop.t VALUES (1)", "TRUNCATE shop.u", "TRUNCATE TABLE shop.t"]).await;
    let in_full = back(&ask(&server, position_query(flavour)).await, 0);
    tell(&server, &["USE shop", "INSERT INTO t VALUES (2)", "TRUNCATE t"]).await;
    let in_short = back(&ask(&server, position_query(flavour)).await, 0);
    lab.archive().await;
    let find = async |which: &str| {
        let params = json!({
            "store": "primary", "database": "shop", "table": "t", "deeds": ["truncate"], "which": which
        });
        lab.run(&FindInBinlogs, params).await.unwrap()
    };

    let (earliest, latest) = (find("earliest").await, find("latest").await);

    assert_eq!((earliest.gtid.as_str(), earliest.what.as_str()), (in_full.as_str(), "TRUNCATE shop.t"));
    assert_eq!((latest.gtid.as_str(), latest.what.as_str()), (in_short.as_str(), "TRUNCATE shop.t"));
    assert_eq!((latest.statement.as_str(), latest.count), ("TRUNCATE t", 2));
}

/// Starts a server that compresses what it logs.
async fn compressing(flavour: Flavour) -> TempServer {
    let option = match flavour {
        Flavour::Mariadb => "--log-bin-compress=ON",
        Flavour::Mysql => "--binlog-transaction-compression=ON",
    };
    TempServer::start_of(flavour, "primary", &processes(), &[option]).await.unwrap()
}

on_both!(compressed_logs_are_replayed_and_looked_into_as_far_as_they_can_be);
async fn compressed_logs_are_replayed_and_looked_into_as_far_as_they_can_be(flavour: Flavour) {
    let (server, fresh) = tokio::join!(compressing(flavour), server_of(flavour, "fresh"));
    let lab = Lab::of(&[&server, &fresh]);
    let tables =
        ["CREATE TABLE shop.t (id INT PRIMARY KEY, v TEXT)", "CREATE TABLE shop.u (id INT PRIMARY KEY)"];
    tell(&server, &["CREATE DATABASE shop", tables[0], tables[1]]).await;
    lab.back_up("b1").await;
    let insert = "INSERT INTO shop.t VALUES (1, REPEAT('a', 3000)), (2, REPEAT('b', 3000))";
    tell(&server, &[insert, "DELETE FROM shop.t WHERE id = 2"]).await;
    let deleted = back(&ask(&server, position_query(flavour)).await, 0);
    // Of a statement MariaDB compresses the text.
    let truncate = format!("TRUNCATE TABLE shop.u /* {} */", "x".repeat(600));
    tell(&server, &["INSERT INTO shop.t VALUES (3, REPEAT('c', 3000))", &truncate]).await;
    let (kind, count) = match flavour {
        Flavour::Mariadb => ("_compressed", 3),
        Flavour::Mysql => ("Transaction_payload", 3),
    };
    let events = ask(&server, "SHOW BINLOG EVENTS").await;
    assert!(events.matches(kind).count() >= count, "{events}");
    lab.archive().await;
    let find = async |table: &str, deed: &str| {
        let test = lab.cx();
        let params = json!({ "store": "primary", "database": "shop", "table": table, "deeds": [deed] });
        let found = FindInBinlogs.run(&serde_json::from_value(params).unwrap(), &test.cx).await;
        (found, test.reporter.warnings())
    };

    let (found, warnings) = find("t", "delete").await;
    match flavour {
        Flavour::Mariadb => {
            assert_eq!((found.unwrap().gtid, warnings), (deleted.clone(), Vec::new()));
        }
        // Whole transactions are compressed, and are not opened.
        Flavour::Mysql => {
            insta::assert_snapshot!(found.unwrap_err(), @"the archived logs of `shop` have no delete of shop.t in that time");
            insta::assert_snapshot!(warnings.join("\n"), @"3 transactions are compressed (binlog_transaction_compression) and could not be looked into");
        }
    }
    assert_eq!(find("u", "truncate").await.0.unwrap().what, "TRUNCATE shop.u");

    let rows = "SELECT GROUP_CONCAT(id, LEFT(v, 1), LENGTH(v) ORDER BY id) FROM shop.t";
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "before_gtid": deleted } })).await.unwrap();
    assert_eq!(ask(&fresh, rows).await, "1a3000,2b3000");
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(ask(&fresh, rows).await, "1a3000,3c3000");
}
