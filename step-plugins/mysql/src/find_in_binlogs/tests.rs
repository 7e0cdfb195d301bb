//! Searches in archives of real servers.

use rekindle_backup::manifest::Flavour;
use serde_json::{Value, json};

use super::*;
use crate::binlogs::testing::{Lab, ask, back, tell};
use crate::testing::{on_both, position_query, server_of};

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
