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

on_both!(a_table_whose_database_was_dropped_too_gets_one_like_it);
async fn a_table_whose_database_was_dropped_too_gets_one_like_it(flavour: Flavour) {
    let (from, to) = tokio::join!(server_of(flavour, "from"), server_of(flavour, "to"));
    let lab = Lab::of(&[&from, &to]);
    tell(
        &from,
        &[
            "CREATE DATABASE `o``ld` CHARACTER SET latin1 COLLATE latin1_german2_ci",
            "CREATE TABLE `o``ld`.t (id INT PRIMARY KEY, v VARCHAR(9), g INT AS (id * 2) STORED)",
            "INSERT INTO `o``ld`.t (id, v) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500) \
             SELECT n, 'ä' FROM s",
        ],
    )
    .await;
    let params = json!({ "from": "from", "to": "to", "database": "o`ld", "table": "t", "as": "t2" });

    let found = lab.preflight(&CopyTable, params.clone()).await;
    insta::assert_snapshot!(found.notes.last().unwrap(), @"to has no database o`ld: it is created, with the character set that it has at from");
    let outputs = lab.run(&CopyTable, params.clone()).await.unwrap();

    assert_eq!(outputs.rows, 500);
    let made = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'o`ld'";
    assert_eq!(ask(&to, made).await, "latin1_german2_ci");
    let found = CopyTable.probe(&serde_json::from_value(params).unwrap(), &lab.cx().cx).await.unwrap();
    assert_eq!(found, Probe::Complete(outputs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_versioned_table_comes_over_equal() {
    let (from, to) = tokio::join!(server_of(Flavour::Mariadb, "from"), server_of(Flavour::Mariadb, "to"));
    let lab = Lab::of(&[&from, &to]);
    tell(
        &from,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.v (id INT PRIMARY KEY, n INT, g INT AS (n * 2) STORED) WITH SYSTEM VERSIONING",
            "INSERT INTO shop.v (id, n) VALUES (1, 1), (2, 2)",
            "UPDATE shop.v SET n = 3 WHERE id = 1",
        ],
    )
    .await;
    tell(&to, &["CREATE DATABASE shop"]).await;
    let params = json!({ "from": "from", "to": "to", "database": "shop", "table": "v", "as": "w" });

    let outputs = lab.run(&CopyTable, params).await.unwrap();

    assert_eq!(outputs.rows, 2);
    assert_eq!(ask(&to, "SELECT GROUP_CONCAT(n ORDER BY id) FROM shop.w").await, "3,2");
    let times = |table: &str| {
        format!(
            "SELECT GROUP_CONCAT(id, n, row_start, row_end ORDER BY id, row_start) FROM shop.{table} FOR SYSTEM_TIME ALL"
        )
    };
    assert_eq!(ask(&to, &times("w")).await, ask(&from, &times("v")).await);
}

on_both!(a_table_comes_over_with_all_the_digits_of_its_floats);
async fn a_table_comes_over_with_all_the_digits_of_its_floats(flavour: Flavour) {
    let (from, to) = tokio::join!(server_of(flavour, "from"), server_of(flavour, "to"));
    let lab = Lab::of(&[&from, &to]);
    tell(
        &from,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, f FLOAT, b BLOB) ENGINE=InnoDB",
            "INSERT INTO shop.t VALUES (1, 16777216, 'a'), (2, 3.1415927, NULL)",
        ],
    )
    .await;
    tell(&to, &["CREATE DATABASE shop"]).await;
    let params = json!({ "from": "from", "to": "to", "database": "shop", "table": "t", "as": "u" });

    let outputs = lab.run(&CopyTable, params).await.unwrap();

    assert_eq!(outputs.rows, 2);
    assert_eq!(ask(&to, "SELECT f * 1e0 FROM shop.u WHERE id = 1").await, "16777216");
    assert_eq!(
        ask(&to, "CHECKSUM TABLE shop.u").await.replace("shop.u", ""),
        ask(&from, "CHECKSUM TABLE shop.t").await.replace("shop.t", "")
    );
}
