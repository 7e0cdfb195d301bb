//! Which backups lie before a point in the binary logs.

use std::collections::BTreeMap;

use rekindle_backup::binlog::LogPoint;
use rekindle_backup::catalogue::Summary;
use rekindle_backup::covers::Covers;
use rekindle_backup::manifest::{BackupKind, Flavour};
use serde_json::{Value, json};

use super::point::{LogPosition, Point};
use crate::testing::Shop;

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

/// A backup that stands here.
fn of(flavour: Flavour, gtid: Option<&str>, place: Option<(&str, u64)>) -> Summary {
    Summary {
        kind: BackupKind::Logical,
        covers: Covers::Everything,
        flavour,
        version: String::new(),
        recovery_point: "2026-11-22T10:00:00Z".parse().unwrap(),
        log_point: LogPoint {
            server: "mariadb-0-1".to_owned(),
            log: place.map(|(log, _)| log.to_owned()),
            position: place.map(|(_, position)| position),
            gtid: gtid.map(str::to_owned),
        },
        size_bytes: 0,
        databases: 0,
        tables: 0,
        rows: 0,
        base: None,
        labels: BTreeMap::new(),
    }
}

fn before_gtid(gtid: &str, summary: &Summary) -> String {
    let points = Point::read(Some(gtid), None).unwrap();
    points[0].refuses(summary, "mariadb-0-1").unwrap_or_else(|| "fits".to_owned())
}

fn before_position(log: &str, position: u64, server: &str, summary: &Summary) -> String {
    let given = LogPosition { log: log.to_owned(), position, server: server.to_owned() };
    let points = Point::read(None, Some(&given)).unwrap();
    points[0].refuses(summary, "mariadb-0-1").unwrap_or_else(|| "fits".to_owned())
}

#[test]
fn a_backup_lies_before_a_transaction_that_is_not_in_it() {
    let mariadb = of(Flavour::Mariadb, Some("0-1-5,1-1-7"), None);
    assert_eq!(before_gtid("0-1-6", &mariadb), "fits");
    assert_eq!(before_gtid("2-1-1", &mariadb), "fits", "of a domain that began later");
    insta::assert_snapshot!(before_gtid("0-1-5", &mariadb), @"has the transaction 0-1-5 already");
    insta::assert_snapshot!(before_gtid("1-2-6", &mariadb), @"has the transaction 1-2-6 already");
    assert_eq!(before_gtid("0-1-1", &of(Flavour::Mariadb, None, Some(("bin.000001", 4)))), "fits");
    insta::assert_snapshot!(before_gtid("0-1-1", &of(Flavour::Mariadb, None, None)), @"does not know whether it has the transaction 0-1-1");

    let mysql = of(Flavour::Mysql, Some(&format!("{UUID}:1-4:6")), None);
    assert_eq!(before_gtid(&format!("{UUID}:5"), &mysql), "fits");
    insta::assert_snapshot!(before_gtid(&format!("{UUID}:6"), &mysql), @"has the transaction 3e11fa47-71ca-11e1-9e33-c80aa9429562:6 already");
}

#[test]
fn a_backup_that_can_not_tell_is_not_taken_for_one_that_lies_before() {
    let silent = of(Flavour::Mysql, None, None);
    insta::assert_snapshot!(before_gtid(&format!("{UUID}:5"), &silent), @"does not know whether it has the transaction 3e11fa47-71ca-11e1-9e33-c80aa9429562:5");
    insta::assert_snapshot!(before_gtid("0-1-5", &silent), @"is of a server that has no GTIDs like 0-1-5");
    insta::assert_snapshot!(before_position("bin.000012", 400, "", &silent), @"does not know its place in the binary logs");
}

#[test]
fn a_backup_lies_before_a_position_up_to_its_own_in_the_logs_of_its_server() {
    let backup = of(Flavour::Mariadb, Some("0-1-5"), Some(("bin.000012", 400)));
    for (log, position) in [("bin.000012", 400), ("bin.000012", 401), ("bin.000013", 4)] {
        assert_eq!(before_position(log, position, "", &backup), "fits", "{log} {position}");
    }
    insta::assert_snapshot!(before_position("bin.000012", 399, "", &backup), @"is of bin.000012 at 400, which is too late");
    insta::assert_snapshot!(before_position("bin.000011", 4000, "", &backup), @"is of bin.000012 at 400, which is too late");
    assert_eq!(before_position("bin.000013", 4, "mariadb-0-1", &backup), "fits");
    insta::assert_snapshot!(before_position("bin.000013", 4, "mariadb-0-2", &backup), @"is of `mariadb-0-1`, and knows no position of `mariadb-0-2`");
    insta::assert_snapshot!(before_position("log.000013", 4, "", &backup), @"is of bin.000012, and the logs are called otherwise");
}

/// Finds among two, both at 0-1-5 and bin.000002, 342.
async fn find(more: Value) -> String {
    let shop = Shop::new();
    shop.backup("20261122T100000Z-aaaa", "2026-11-22T10:00:00Z").await;
    shop.backup("20261122T120000Z-bbbb", "2026-11-22T12:00:00Z").await;
    let mut params = json!({ "store": "primary" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match shop.run("backup.find", params).await {
        Ok(outputs) => outputs["id"].as_str().unwrap().to_owned(),
        Err(error) => format!("{}\nhelp: {}", error.message, error.help.unwrap_or_default()),
    }
}

#[tokio::test]
async fn the_latest_before_a_point_is_found_and_why_others_are_not_is_told() {
    let newest = "20261122T120000Z-bbbb";
    for fits in [
        json!({ "before_gtid": "0-1-6" }),
        json!({ "before_gtid": "", "before_position": { "log": "", "position": 0, "server": "" } }),
        json!({ "before_position": { "log": "bin.000002", "position": 342 } }),
    ] {
        assert_eq!(find(fits.clone()).await, newest, "{fits}");
    }
    insta::assert_snapshot!(find(json!({ "before_gtid": "0-1-5" })).await, @r"
    there is no usable backup of cluster `shop` in store `primary`: passed over the backup `20261122T120000Z-bbbb`: it has the transaction 0-1-5 already; passed over the backup `20261122T100000Z-aaaa`: it has the transaction 0-1-5 already
    help: `rekindle backups list` shows what is there
    ");
    insta::assert_snapshot!(find(json!({ "before_position": { "log": "bin.000002", "position": 341 } })).await, @r"
    there is no usable backup of cluster `shop` in store `primary`: passed over the backup `20261122T120000Z-bbbb`: it is of bin.000002 at 342, which is too late; passed over the backup `20261122T100000Z-aaaa`: it is of bin.000002 at 342, which is too late
    help: `rekindle backups list` shows what is there
    ");
    // Of one that is named the archive tells more.
    assert_eq!(find(json!({ "before_gtid": "0-1-5", "backup": newest })).await, newest);
}

#[tokio::test]
async fn a_point_that_is_none_is_refused() {
    insta::assert_snapshot!(find(json!({ "before_gtid": "0-1-5,1-1-1" })).await, @r"
    `before_gtid`: `0-1-5,1-1-1` is no GTID of one transaction
    help: MariaDB's look like `0-1-4711`, MySQL's like `3e11fa47-71ca-11e1-9e33-c80aa9429562:4711`
    ");
    insta::assert_snapshot!(find(json!({ "before_position": { "log": "bin.000002" } })).await, @r"
    `before_position` has only one of `log` and `position`
    help: give both: `{ log: bin.000012, position: 4711 }`
    ");
    insta::assert_snapshot!(find(json!({ "before_position": { "log": "", "position": 7 } })).await, @r"
    `before_position` has only one of `log` and `position`
    help: give both: `{ log: bin.000012, position: 4711 }`
    ");
    insta::assert_snapshot!(find(json!({ "before_position": { "log": "bin", "position": 7 } })).await, @r"
    `before_position`: `bin` is no name of a binary log
    help: they look like `bin.000012`; the server tells its own by SHOW BINARY LOGS
    ");
}
