//! Searches in archives of real servers.

use serde_json::{Value, json};

use super::*;
use crate::binlogs::testing::{Lab, ask, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::processes;

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_and_a_delete_are_found_with_their_gtids() {
    let server = TempServer::start("primary", &processes()).await.unwrap();
    let lab = Lab::of(&[&server]);
    tell(
        &server,
        &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)", "CREATE TABLE shop.u (id INT)"],
    )
    .await;
    tell(&server, &["INSERT INTO shop.t VALUES (1), (2)", "DELETE FROM shop.t WHERE id = 2"]).await;
    let deleted = ask(&server, "SELECT @@gtid_binlog_pos").await;
    tell(&server, &["FLUSH BINARY LOGS", "INSERT INTO shop.u VALUES (1)", "DROP TABLE shop.t"]).await;
    let dropped = ask(&server, "SELECT @@gtid_binlog_pos").await;
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
    assert_eq!((found.gtid, found.statement.as_str()), (deleted, "DELETE FROM shop.t WHERE id = 2"));
    let found = find(json!({ "deeds": ["drop", "delete"], "which": "earliest" })).await.unwrap();
    assert_eq!((found.what.as_str(), found.count), ("DELETE shop.t", 3));
    let error = find(json!({ "table": "t", "deeds": ["truncate"] })).await.unwrap_err();
    insta::assert_snapshot!(error, @"the archived logs of `shop` have no truncate of shop.t in that time");
    find(json!({ "deeds": ["drop"], "to": "2020-01-01T00:00:00Z" })).await.unwrap_err();
}
