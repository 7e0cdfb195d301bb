//! Copies between real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{Probe, Step as _};
use serde_json::json;

use super::*;
use crate::binlogs::testing::{Lab, ask, tell};
use crate::testing::{on_both, server_of, shop_of};

on_both!(a_table_comes_over_equal_under_another_name_and_never_in_place_of_one);
async fn a_table_comes_over_equal_under_another_name_and_never_in_place_of_one(flavour: Flavour) {
    let (from, to) = tokio::join!(server_of(flavour, "from"), server_of(flavour, "to"));
    let lab = Lab::of(&[&from, &to]);
    tell(&from, &shop_of(flavour)).await;
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
