//! Archived binary logs go with the backups that needed them, and never before.

use std::time::Duration;

use rekindle_backup::binlog::{Segment, SegmentKey, TimelineKey};
use rekindle_backup::manifest::ObjectRole;
use rekindle_backup::sealed;
use rekindle_backup::verdict::Level;
use rekindle_engine::environment::Objectives;
use rekindle_engine::host::ObjectStore as _;
use rekindle_engine::values::DurationText;
use serde_json::{Value, json};

use super::PruneStep;
use crate::testing::{Shop, key};

fn timeline() -> TimelineKey {
    TimelineKey { cluster: "shop".into(), server: "mariadb-0-1".into(), timeline: "t".into() }
}

/// A shop with a backup at 10, 11 and 12 o'clock, and a log that ends at each half past.
async fn shop() -> Shop {
    let shop = Shop::new();
    for (id, hour) in [("a", 10), ("b", 11), ("c", 12)] {
        shop.backup(id, &format!("2026-11-22T{hour}:00:00Z")).await;
    }
    for (number, hour) in [(1, "09"), (2, "10"), (3, "11"), (4, "12")] {
        let place = SegmentKey { number, from: 4, log: format!("bin.{number:06}") };
        let until = format!("2026-11-22T{hour}:30:00Z");
        let segment: Segment = serde_json::from_value(json!({
            "format": 1, "cluster": "shop", "timeline": "t",
            "server": { "flavour": "mariadb", "version": "10.11", "server_id": 1, "gtid_domain_id": 0 },
            "log": place.log, "number": number, "from": 4, "to": 99, "ends_log": true,
            "log_created_at": until, "last_event": { "position": 90, "sha256": "" }, "transactions": 1,
            "covered_until": until, "object": place.object(99), "size_bytes": 1, "sha256": "", "log_bytes": 1,
            "archived_at": until, "tool": { "name": "mariadb-binlog", "version": "" }
        }))
        .unwrap();
        shop.primary.insert(&timeline().key(&place.entry()).unwrap(), sealed::seal(&segment).unwrap());
        shop.primary.insert(&timeline().key(&segment.object).unwrap(), b"x".to_vec());
    }
    shop
}

fn removed(outputs: &Value) -> Vec<&str> {
    outputs["removed_binlogs"].as_array().unwrap().iter().map(|fate| fate["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn logs_go_when_no_backup_that_stays_needs_them_and_the_preview_said_so() {
    let shop = shop().await;
    let params = json!({ "store": "primary", "keep": { "keep_last": 2 } });
    let notes = shop.preflight(&PruneStep, params.clone()).await.notes;
    let outputs = shop.run("backup.prune", params).await.unwrap();
    assert_eq!(removed(&outputs), ["mariadb-0-1/t/bin.000001:4", "mariadb-0-1/t/bin.000002:4"]);
    insta::assert_snapshot!(notes[3..].join("\n"), @r"
    remove mariadb-0-1/t/bin.000001:4: no backup that stays needs it: it ends before 2026-11-22T11:00:00Z, the point of the oldest of them
    remove mariadb-0-1/t/bin.000002:4: no backup that stays needs it: it ends before 2026-11-22T11:00:00Z, the point of the oldest of them
    ");
    for (number, is_there) in [(1, false), (2, false), (3, true), (4, true)] {
        let place = SegmentKey { number, from: 4, log: format!("bin.{number:06}") };
        for name in [place.entry(), place.object(99)] {
            assert_eq!(shop.primary.object(&timeline().key(&name).unwrap()).is_some(), is_there, "{name}");
        }
    }
}

#[tokio::test]
async fn a_promised_window_keeps_the_logs_from_the_backup_before_it() {
    // It is 15:00.
    let keep = json!({ "keep_last": 9 });
    let with = |within: &str| json!({ "store": "primary", "keep": keep, "keep_binlogs_within": within });
    let all = json!({ "store": "primary", "keep": keep });
    assert_eq!(
        removed(&shop().await.run("backup.prune", all).await.unwrap()),
        ["mariadb-0-1/t/bin.000001:4"]
    );
    let outputs = shop().await.run("backup.prune", with("3h30m")).await.unwrap();
    assert_eq!(removed(&outputs), ["mariadb-0-1/t/bin.000001:4", "mariadb-0-1/t/bin.000002:4"]);
    let outputs = shop().await.run("backup.prune", with("30d")).await.unwrap();
    assert_eq!(removed(&outputs), ["mariadb-0-1/t/bin.000001:4"]);
}

#[tokio::test]
async fn rules_that_keep_less_than_the_promised_window_do_not_shorten_it() {
    let shop = shop().await;
    // It is 15:00: the window begins at 10:30, between the backups a and b.
    let params = json!({ "store": "primary", "keep": { "keep_last": 1 }, "keep_binlogs_within": "4h30m" });
    let notes = shop.preflight(&PruneStep, params.clone()).await.notes;
    insta::assert_snapshot!(notes[..3].join("\n"), @r"
    keep c: the newest, last 1
    keep b: the next start of the 4h30m of binary logs
    keep a: the start of the 4h30m of binary logs
    ");
    let outputs = shop.run("backup.prune", params).await.unwrap();
    assert_eq!(removed(&outputs), ["mariadb-0-1/t/bin.000001:4"]);
    assert_eq!((&outputs["removed"], shop.objects("a").len()), (&json!([]), 7));
}

#[tokio::test]
async fn logs_are_kept_from_the_last_good_backup_before_the_window() {
    let shop = shop().await;
    shop.verdict("b", Level::Content, false).await;
    let params = json!({ "store": "primary", "keep": { "keep_last": 9 }, "keep_binlogs_within": "3h30m" });
    let outputs = shop.run("backup.prune", params).await.unwrap();
    assert_eq!(removed(&outputs), ["mariadb-0-1/t/bin.000001:4"], "what was logged since a");
}

#[tokio::test]
async fn no_log_is_kept_for_a_backup_of_a_part() {
    let shop = shop().await;
    for id in ["a", "b"] {
        shop.primary.delete(&key(id, "manifest.json")).await.unwrap();
    }
    shop.partial("old", "2026-11-22T08:00:00Z", ObjectRole::Databases, &["crm"]).await;
    let params = json!({ "store": "primary", "keep": { "keep_last": 9 } });
    let outputs = shop.run("backup.prune", params).await.unwrap();
    assert!(outputs["kept"].to_string().contains("old"), "{outputs}");
    assert_eq!(removed(&outputs).len(), 3, "all that ended before c");
}

#[tokio::test]
async fn the_recovery_window_of_the_environment_holds_for_the_rules() {
    let mut shop = shop().await;
    let window = Some(DurationText(Duration::from_mins(270)));
    shop.settings.objectives = Some(Objectives { rto: None, rpo: None, recovery_window: window });
    let params = json!({ "store": "primary", "keep": { "keep_last": 1 } });
    let outputs = shop.run("backup.prune", params).await.unwrap();
    assert_eq!(
        outputs["kept"][2],
        json!({ "id": "a", "reason": "the start of the recovery window of 4h30m" })
    );
}

#[tokio::test]
async fn an_archive_with_a_damaged_entry_is_left_alone_and_backups_are_thinned_out_all_the_same() {
    let shop = shop().await;
    let entry = SegmentKey { number: 1, from: 4, log: "bin.000001".to_owned() }.entry();
    shop.primary.flip_byte(&timeline().key(&entry).unwrap(), 200);
    let test = shop.context();
    let params = json!({ "store": "primary", "keep": { "keep_last": 1 } });
    let outputs = shop.run_in(&test, "backup.prune", params).await.unwrap();
    assert_eq!((removed(&outputs).len(), shop.objects("a").len()), (0, 0));
    assert!(test.reporter.warnings()[0].starts_with("no binary logs are removed: `binlogs/shop/"));
}
