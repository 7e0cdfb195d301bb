//! Everything but rows: definitions, accounts, tables that are made from others, temporary ones, savepoints.

use super::*;
use crate::assert::Assert;
use crate::restore::publish_tests::zoo::{assert_same_dumps, zoo_of};

/// What `fresh` holds is what `primary` does: inventories, checksums, and the dumps' texts.
pub(super) async fn assert_same(lab: &Lab) {
    let outputs = lab.run(&Assert, json!({ "target": "primary", "against": "fresh" })).await.unwrap();
    assert!(outputs.checksums > 0 && outputs.rows > 0, "{outputs:?}");
    lab.back_up_of("primary", "x1").await;
    lab.back_up_of("fresh", "x2").await;
    assert_same_dumps(&without_counters(&text(lab, "x1")), &without_counters(&text(lab, "x2")));
}

/// `INSERT … SELECT` takes more numbers of a counter than it uses, and rows in a log only those that they have.
fn without_counters(text: &str) -> String {
    let mut parts = text.split(" AUTO_INCREMENT=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

fn text(lab: &Lab, id: &str) -> String {
    use std::io::Read as _;
    let uri: rekindle_backup::layout::BackupUri = crate::binlogs::testing::uri(id).parse().unwrap();
    let object = lab.store.object(&uri.key("full.sql.gz").unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut text).unwrap();
    text
}

const MORE: &[&str] = &[
    "SET SESSION sql_mode = DEFAULT",
    "USE shop",
    "CREATE USER u1@'%' IDENTIFIED BY 'se''cret'",
    "GRANT SELECT ON shop.* TO u1@'%'",
    "ALTER USER u1@'%' IDENTIFIED BY 'x;y/*!*/;z'",
    "CREATE USER away@localhost",
    "RENAME USER away@localhost TO gone@localhost",
    "DROP USER gone@localhost",
    "CREATE TEMPORARY TABLE tmp (a INT)",
    "INSERT INTO tmp VALUES (11), (12)",
    "INSERT INTO t (id, v) SELECT a, 'of a temporary one' FROM tmp",
    "DROP TEMPORARY TABLE tmp",
    "CREATE TABLE emptied (id INT)",
    "INSERT INTO emptied VALUES (1)",
    "TRUNCATE emptied",
    "INSERT INTO emptied VALUES (2)",
    "CREATE TABLE other LIKE emptied",
    "RENAME TABLE emptied TO renamed, other TO emptied",
    "BEGIN",
    "INSERT INTO t (id, v) VALUES (20, 'a')",
    "SAVEPOINT a",
    "INSERT INTO t (id, v) VALUES (21, 'b')",
    "ROLLBACK TO a",
    "INSERT INTO t (id, v) VALUES (22, 'c')",
    "SAVEPOINT `b c`",
    "COMMIT",
    "CREATE TABLE strange (v TEXT COMMENT 'DELIMITER /*!*/; \\n x') COMMENT '/*!*/;'",
    "INSERT INTO strange VALUES ('/*!*/;\\nDELIMITER ;\\n')",
    "CREATE DATABASE d2",
    "DROP DATABASE d2",
];

/// MariaDB's is one transaction of a definition and rows, and is refused.
const CTAS: &str =
    "CREATE TABLE shop.made_of (id INT PRIMARY KEY AUTO_INCREMENT, v INT) AS SELECT id AS v FROM shop.t";

on_both!(definitions_accounts_and_temporary_tables_are_replayed);
async fn definitions_accounts_and_temporary_tables_are_replayed(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    tell(&primary, &[&zoo_of(flavour)[..], MORE].concat()).await;
    if flavour == Flavour::Mysql {
        tell(&primary, &[CTAS, &row(30)]).await;
    }
    lab.archive().await;
    lab.restore("b1").await;

    lab.replay(json!({ "until": { "end": true } })).await.unwrap();

    assert_eq!(position(&fresh).await, position(&primary).await);
    assert_same(&lab).await;
}

on_both!(a_function_that_says_nothing_of_itself_is_replayed_onto_a_server_that_distrusts);
async fn a_function_that_says_nothing_of_itself_is_replayed_onto_a_server_that_distrusts(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    let function = "CREATE FUNCTION shop.f(k INT) RETURNS INT RETURN k * 2";
    tell(&primary, &["SET GLOBAL log_bin_trust_function_creators = ON", function]).await;
    lab.archive().await;
    lab.restore("b1").await;

    lab.replay(json!({ "until": { "end": true } })).await.unwrap();

    assert_eq!(ask(&fresh, "SELECT shop.f(2)").await, "4");
    assert_eq!(ask(&fresh, "SELECT @@GLOBAL.log_bin_trust_function_creators").await, "0");
}
