//! One changed byte anywhere is found by name.

use rekindle_backup::dump::{DumpWriter, WriterOptions};
use rekindle_backup::verdict::Level;
use rekindle_engine::host::{ObjectStore as _, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, Probe};
use rekindle_engine::testing::Operation;
use serde_json::{Value, json};

use super::VerifyStep;
use crate::reading::Digest;
use crate::testing::{Shop, key, uri};

/// Those that reading back can reach.
const LEVELS: [Level; 2] = [Level::Objects, Level::Content];

fn params(level: Level) -> Value {
    json!({ "backup": "backup://primary/shop/b1", "level": level })
}

async fn shop() -> Shop {
    let shop = Shop::new();
    shop.backup("b1", "2026-11-22T14:00:00Z").await;
    shop
}

async fn listed(shop: &Shop) -> rekindle_backup::catalogue::Listed {
    rekindle_backup::catalogue::show(&*shop.primary, &uri("b1")).await.unwrap().listed
}

#[tokio::test]
async fn a_whole_backup_gets_a_good_verdict() {
    for level in LEVELS {
        let shop = shop().await;
        let outputs = shop.run("backup.verify", params(level)).await.unwrap();
        assert_eq!((&outputs["uri"], &outputs["objects"]), (&json!("backup://primary/shop/b1"), &json!(6)));
        let listed = listed(&shop).await;
        assert_eq!(outputs["bytes"], listed.summary.as_ref().unwrap().size_bytes);
        assert_eq!(listed.proven(), [level]);
        let verdict = &listed.verdicts[0];
        assert_eq!((verdict.at, verdict.by_run.as_str()), (shop.now(), "20261122T150000Z-test"));
    }
}

#[tokio::test]
async fn one_flipped_byte_in_any_object_is_found_by_name_and_leaves_a_bad_verdict() {
    for level in LEVELS {
        for name in shop().await.objects("b1") {
            let shop = shop().await;
            let size = shop.primary.object(&key("b1", &name)).unwrap().len();
            for at in [0, size / 2, size - 1] {
                assert!(shop.primary.flip_byte(&key("b1", &name), at));
                let error = shop.run("backup.verify", params(level)).await.unwrap_err();
                assert_eq!(error.class, ErrorClass::Permanent);
                assert!(error.message.starts_with("backup://primary/shop/b1 is not whole: "), "{error}");
                assert!(error.message.contains(&format!("`{name}` is damaged")), "{name} at {at}: {error}");
                let listed = listed(&shop).await;
                assert!(listed.has_failed(), "{name} at {at}");
                assert!(listed.verdicts.iter().any(|verdict| !verdict.ok && verdict.level == level));
                // Flipped back, it is whole again, and a new verdict says so.
                shop.primary.flip_byte(&key("b1", &name), at);
                shop.world.clock.advance(std::time::Duration::from_secs(1));
                shop.run("backup.verify", params(level)).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_verdict_is_found_by_name_and_written_anew() {
    let shop = shop().await;
    shop.run("backup.verify", params(Level::Content)).await.unwrap();
    assert!(shop.primary.flip_byte(&key("b1", "verified/content.json"), 120));
    let error = shop.run("backup.verify", params(Level::Content)).await.unwrap_err();
    assert!(error.message.contains("`verified/content.json` is damaged"), "{error}");
    shop.world.clock.advance(std::time::Duration::from_secs(1));
    shop.run("backup.verify", params(Level::Content)).await.unwrap();
}

#[tokio::test]
async fn missing_and_shortened_objects_are_all_named_at_once() {
    for level in LEVELS {
        let shop = shop().await;
        shop.primary.delete(&key("b1", "full.sql.gz")).await.unwrap();
        shop.primary.delete(&key("b1", "RESTORE.txt")).await.unwrap();
        shop.put("b1", "server.json", b"{}");
        let error = shop.run("backup.verify", params(level)).await.unwrap_err();
        for wanted in
            ["`full.sql.gz` is missing", "`RESTORE.txt` is missing", "`server.json` has 2 bytes, but "]
        {
            assert!(error.message.contains(wanted), "{error}");
        }
    }
}

/// Replaces the full dump by another one and publishes it as if nothing were wrong with it.
async fn published_with(change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Shop {
    let shop = Shop::new();
    shop.dump("b1", "2026-11-22T14:00:00Z");
    let mut object = shop.primary.object(&key("b1", "full.sql.gz")).unwrap().to_vec();
    let index = shop.primary.object(&key("b1", "full.index.json")).unwrap();
    let mut index: Value = serde_json::from_slice(&index).unwrap();
    change(&mut index, &mut object);
    let digest = Digest::of(&object);
    index["object"]["sha256"] = digest.sha256.into();
    index["object"]["size_bytes"] = digest.size_bytes.into();
    shop.put("b1", "full.sql.gz", &object);
    shop.put("b1", "full.index.json", &serde_json::to_vec(&index).unwrap());
    let params = json!({ "store": "primary", "id": "b1", "objects": ["full", "schema"] });
    shop.run("backup.publish", params).await.unwrap();
    shop
}

#[tokio::test]
async fn checksums_that_fit_do_not_save_a_dump_that_is_none() {
    let cut = published_with(|_, object| object.truncate(object.len() / 2)).await;
    let text = published_with(|_, object| *object = b"not gzip at all".to_vec()).await;
    let rows = published_with(|index, _| {
        index["inventory"]["databases"]["shop"]["tables"]["items"]["rows"] = 8.into();
    });
    let mut errors = String::new();
    for shop in [cut, text, rows.await] {
        shop.run("backup.verify", params(Level::Objects)).await.unwrap();
        let error = shop.run("backup.verify", params(Level::Content)).await.unwrap_err();
        errors.push_str(&error.message);
        errors.push('\n');
        assert!(listed(&shop).await.has_failed());
    }
    insta::assert_snapshot!(errors, @r"
    backup://primary/shop/b1 is not whole: `full.sql.gz`: the object ends inside gzip member 2, which begins at byte 158 (in table shop.orders)
    backup://primary/shop/b1 is not whole: `full.sql.gz`: at byte 0 stands no gzip member but something else
    backup://primary/shop/b1 is not whole: `full.sql.gz`: the dump does not hold what its index says: the rows of table shop.items: expected 8, found 7
    ");
}

#[tokio::test]
async fn a_dump_of_something_else_is_found() {
    let shop = published_with(|index, object| {
        let options = WriterOptions { threads: 1, ..WriterOptions::default() };
        let mut writer = DumpWriter::new(Vec::new(), options).unwrap();
        writer.write(b"SELECT 1;\n-- Dump completed on x\n").unwrap();
        *object = writer.finish().unwrap().0;
        index["members"] = json!([]);
    });
    let error = shop.await.run("backup.verify", params(Level::Content)).await.unwrap_err();
    assert!(error.message.contains("`full.sql.gz`: "), "{error}");
}

#[tokio::test]
async fn nothing_is_recorded_unless_asked_for() {
    let shop = shop().await;
    let params = json!({ "backup": "backup://primary/shop/b1", "record": false });
    shop.run("backup.verify", params.clone()).await.unwrap();
    shop.primary.flip_byte(&key("b1", "full.sql.gz"), 5);
    shop.run("backup.verify", params).await.unwrap_err();
    assert!(listed(&shop).await.verdicts.is_empty());
}

#[tokio::test]
async fn the_trouble_of_the_store_is_no_verdict_on_the_backup() {
    for level in LEVELS {
        let shop = shop().await;
        shop.primary.cut_get(3, 10);
        let error = shop.run("backup.verify", params(level)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{error}");
        assert!(listed(&shop).await.verdicts.is_empty());
    }
}

#[tokio::test]
async fn a_step_that_should_stop_gives_no_verdict() {
    for level in LEVELS {
        let shop = shop().await;
        let test = shop.context();
        test.cancel.cancel();
        let error = shop.run_in(&test, "backup.verify", params(level)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Cancelled);
        assert!(listed(&shop).await.verdicts.is_empty());
    }
}

#[tokio::test]
async fn progress_ends_at_the_total() {
    for level in LEVELS {
        let (shop, test) = {
            let shop = shop().await;
            let test = shop.context();
            (shop, test)
        };
        let outputs = shop.run_in(&test, "backup.verify", params(level)).await.unwrap();
        let last = test.reporter.progress_shown().pop().unwrap();
        assert_eq!(Some(last.bytes), last.total_bytes);
        assert_eq!(outputs["bytes"], last.bytes);
    }
}

#[tokio::test]
async fn verifying_again_after_a_crash_is_always_safe() {
    let (shop, kind) = (shop().await, Shop::new().kind("backup.verify"));
    assert_eq!(kind.probe(&params(Level::Content), &shop.context().cx).await.unwrap(), Probe::Absent);
}

#[tokio::test]
async fn a_backup_that_is_not_there_is_a_problem_beforehand_and_a_damaged_one_is_not() {
    let shop = shop().await;
    let none = json!({ "backup": "backup://primary/shop/b2" });
    let found = shop.preflight(&VerifyStep, none.clone()).await;
    assert_eq!(found.problems[0].code, "rekindle::backup::not_usable");
    assert_eq!(found.problems[0].message, "there is no backup backup://primary/shop/b2");
    shop.run("backup.verify", none).await.unwrap_err();

    shop.primary.flip_byte(&key("b1", "manifest.json"), 200);
    assert!(shop.preflight(&VerifyStep, params(Level::Content)).await.problems.is_empty());
    shop.primary.fail(Operation::CheckWritable, 1, StoreErrorKind::Denied);
    let found = shop.preflight(&VerifyStep, params(Level::Content)).await;
    assert_eq!(found.problems[0].code, "rekindle::store::not_writable");
}

#[tokio::test]
async fn reading_back_never_proves_that_a_backup_restores() {
    let shop = shop().await;
    let error = shop.run("backup.verify", params(Level::Restore)).await.unwrap_err();
    insta::assert_snapshot!(error, @"`level: restore` needs a server to restore into");
    assert_eq!(listed(&shop).await.verdicts, []);
}
