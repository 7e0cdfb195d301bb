//! Backups that are not what they should be, and what they leave.

use rekindle_backup::manifest::Flavour;
use rekindle_backup::verdict::Level;
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use serde_json::json;

use super::super::Restore;
use super::super::marker::Stage;
use super::bench::{Bench, ask, bench, key, state};
use super::{assert_equal, shop};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, position_query};

const TRAILER: &str = "-- Dump completed";

/// Runs a restore that fails, and gives why. The server must be fenced, with nothing in its binary log.
async fn failure(bench: &Bench, fresh: &TempServer, at: &str) -> StepError {
    failure_with(bench, fresh, at, json!({})).await
}

async fn failure_with(bench: &Bench, fresh: &TempServer, at: &str, more: serde_json::Value) -> StepError {
    let params = Bench::params(more);
    let error = Restore.run(&params, &bench.cx().cx).await.unwrap_err();
    assert_eq!(bench.stage("fresh").await, Some(Stage::Loading), "{error}");
    assert_eq!(state(fresh.login()).await.split(", events OFF").next(), Some("read_only ON"), "{error}");
    assert_eq!(ask(fresh.login(), position_query(fresh.flavour())).await, at, "{error}");
    assert_eq!(Restore.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Absent);
    error
}

on_both!(a_restore_that_fails_leaves_the_server_fenced_and_the_next_one_mends_it);
async fn a_restore_that_fails_leaves_the_server_fenced_and_the_next_one_mends_it(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    let at = ask(fresh.login(), position_query(flavour)).await;
    let (whole, object, manifest) =
        (bench.text("b1"), bench.store.object(&key("b1", "full.sql.gz")).unwrap(), bench.manifest("b1"));

    // A byte in the middle, and one in the last checksum: all statements were good then.
    for flipped in [object.len() / 2, object.len() - 6] {
        assert!(bench.store.flip_byte(&key("b1", "full.sql.gz"), flipped));
        let error = failure(&bench, &fresh, &at).await;
        assert_eq!(error.class, ErrorClass::Permanent, "{error}");
        assert!(error.message.starts_with("`full.sql.gz`"), "{error}");
        bench.store.insert(&key("b1", "full.sql.gz"), object.clone());
    }

    // Readable, refused by the server, and not what was backed up.
    bench.put_text(&whole.replace("CREATE TABLE `customers`", "CREATE TABL2 `customers`"));
    bench.put_manifest("b1", &manifest);
    let error = failure(&bench, &fresh, &at).await;
    assert!(error.message.starts_with("`full.sql.gz` is damaged: gzip member 0 (bytes 0 to "), "{error}");
    let error = failure_with(&bench, &fresh, &at, json!({ "parallelism": 1 })).await;
    assert!(error.message.starts_with("`full.sql.gz` is damaged: it has "), "{error}");
    assert!(error.message.contains("refused to run"), "{error}");

    bench.put_text(whole.split(TRAILER).next().unwrap());
    let error = failure(&bench, &fresh, &at).await;
    insta::assert_snapshot!(error, @"`full.sql.gz` is damaged: its trailer `-- Dump completed` is missing");

    // As backed up, and still refused.
    bench.put_text(&whole.replace("INSERT INTO `customers` VALUES", "INSERT INTO `customers` VALUES (3),"));
    let error = failure(&bench, &fresh, &at).await;
    assert_eq!(error.class, ErrorClass::Permanent);
    let line = whole[..whole.find("INSERT INTO `customers`").unwrap()].lines().count() + 1;
    assert!(error.message.contains(&format!("(line {line}, byte ")), "{error}");
    assert!(error.message.contains("at table shop.customers: error 1136"), "{error}");

    // Loaded without a word, and fewer rows than the manifest has.
    bench.put_text(&whole.replacen(
        TRAILER,
        "DELETE FROM `shop`.`b` LIMIT 0; DELETE FROM `shop`.`odd``na.me` WHERE id = 3;\n-- Dump completed",
        1,
    ));
    let error = failure(&bench, &fresh, &at).await;
    assert!(error.message.contains("odd`na.me: expected 3, found 2"), "{error}");

    // What the dump leaves in its session does not get into the marker.
    let modes = format!("SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES';\n{TRAILER}");
    bench.put_text(&whole.replacen(TRAILER, &modes, 1));
    let outputs = Restore.run(&Bench::params(json!({})), &bench.cx().cx).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(state(fresh.login()).await, "read_only OFF, events ON, 1 binary logs");
    let found = Restore.probe(&Bench::params(json!({})), &bench.cx().cx).await.unwrap();
    assert_eq!(found, Probe::Complete(outputs));
}

on_both!(what_does_not_load_in_a_drill_is_no_longer_verified);
async fn what_does_not_load_in_a_drill_is_no_longer_verified(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    let verdicts = async || {
        let uri = "backup://primary/shop/b1".parse().unwrap();
        rekindle_backup::catalogue::show(bench.store.as_ref(), &uri).await.unwrap().listed.verdicts
    };
    let whole = bench.text("b1");
    bench.put_text(&whole.replace("INSERT INTO `customers` VALUES", "INSERT INTO `customers` VALUES (3),"));

    Restore.run(&Bench::params(json!({})), &bench.cx().cx).await.unwrap_err();
    assert_eq!(verdicts().await, []);
    let error = Restore.run(&Bench::params(json!({ "drill": true })), &bench.cx().cx).await.unwrap_err();

    let kept = verdicts().await;
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].ok && kept[0].level == Level::Restore, "{kept:?}");
    assert_eq!(kept[0].problems, [format!("it does not load: {}", error.message)]);
}
