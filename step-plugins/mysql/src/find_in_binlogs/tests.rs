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
}
