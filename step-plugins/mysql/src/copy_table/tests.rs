//! Copies between real servers.

use rekindle_engine::step::{Probe, Step as _};
use serde_json::json;

use super::*;
use crate::binlogs::testing::{Lab, ask, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::processes;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_over_equal_under_another_name_and_never_in_place_of_one() {
    let processes = processes();
    let (from, to) = tokio::join!(TempServer::start("from", &processes), TempServer::start("to", &processes));
    let (from, to) = (from.unwrap(), to.unwrap());
    let lab = Lab::of(&[&from, &to]);
    tell(&from, crate::testing::SHOP).await;
    tell(&to, &["CREATE DATABASE shop", "CREATE TABLE shop.taken (id INT)"]).await;
    let params = |name: &str| json!({ "from": "from", "to": "to", "database": "shop", "table": "odd`na.me", "as": name });

    let outputs = lab.run(&CopyTable, params("or`ders")).await.unwrap();

    assert_eq!((outputs.table.as_str(), outputs.rows), ("shop.or`ders", 3));
    assert_eq!(
        ask(&to, "SELECT GROUP_CONCAT(id, customer ORDER BY id) FROM shop.`or``ders`").await,
        "11,21,32"
    );
    assert_eq!(ask(&to, "SHOW TABLES IN shop LIKE 'rekindle%'").await, "");
    let read = |name: &str| serde_json::from_value(params(name)).unwrap();
    assert_eq!(CopyTable.probe(&read("or`ders"), &lab.cx().cx).await.unwrap(), Probe::Complete(outputs));
    let error = lab.run(&CopyTable, params("taken")).await.unwrap_err();
    insta::assert_snapshot!(error, @"`to` has a table shop.taken already, and it is not this one");
    let found = lab.preflight(&CopyTable, params("taken")).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::copy_table::name_taken: `to` has a table shop.taken already, and it is not this one (/as)
      help: choose another name by `as`; nothing was changed
    ");
}
