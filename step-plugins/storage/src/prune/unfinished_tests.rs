//! What never came to its end: told beforehand, removed, and left alone while it goes on.

use jiff::{SignedDuration, Timestamp};
use rekindle_engine::host::{Key, ObjectStore as _, Unfinished};
use serde_json::{Value, json};

use super::PruneStep;
use crate::testing::Shop;

fn params() -> Value {
    json!({ "store": "primary", "keep": { "keep_last": 1 } })
}

/// A write whose last sign of life was so many hours ago. Where the store can't tell, its key is not known.
fn write(shop: &Shop, name: &str, is_key_known: bool, hours: i64) -> Unfinished {
    let at: Timestamp = shop.now() - SignedDuration::from_hours(hours);
    let key = is_key_known.then(|| Key::new(name).unwrap());
    Unfinished { name: name.to_owned(), key, begun: is_key_known.then_some(at), newest: at }
}

/// The lines that the preview must have had.
fn lines(outputs: &Value) -> Vec<String> {
    let line = |what: &str, fate: &Value| {
        format!("{what} {}: {}", fate["id"].as_str().unwrap(), fate["reason"].as_str().unwrap())
    };
    let fates = |which: &str, what: &'static str| {
        outputs[which].as_array().unwrap().iter().map(move |fate| line(what, fate)).collect::<Vec<_>>()
    };
    let removed = ["removed", "removed_binlogs", "removed_unfinished"].map(|which| fates(which, "remove"));
    [fates("kept", "keep"), removed.concat()].concat()
}

#[tokio::test]
async fn abandoned_uploads_and_strays_are_told_beforehand_and_removed() {
    let shop = Shop::new();
    shop.backup("a", "2026-11-22T10:00:00Z").await;
    shop.dump("failed", "2026-11-20T10:00:00Z");
    let stray = Key::new("binlogs/shop/mariadb-0-1/t/bin.000009.4-99.binlog.gz").unwrap();
    shop.primary.insert(&stray, "of an archiver that died");
    shop.primary.leave(write(&shop, "backups/shop/dead/full.sql.gz", true, 25));
    shop.primary.leave(write(&shop, ".partial/1-1", false, 25));
    shop.primary.leave(write(&shop, "backups/shop/alive/full.sql.gz", true, 23));
    let notes = shop.preflight(&PruneStep, params()).await.notes;
    insta::assert_snapshot!(notes.join("\n"), @r"
    keep a: the newest, last 1
    remove failed: never published: 5 objects of a run that did not finish, last written 2026-01-01T00:00:13Z
    remove binlogs/shop/mariadb-0-1/t/bin.000009.4-99.binlog.gz: an archiver that did not finish has left it, last written 2026-01-01T00:00:14Z
    remove backups/shop/dead/full.sql.gz: a write that did not finish, begun 2026-11-21T14:00:00Z, last sign of life 2026-11-21T14:00:00Z
    remove .partial/1-1: a write that did not finish, last sign of life 2026-11-21T14:00:00Z
    ");
    let outputs = shop.run("backup.prune", params()).await.unwrap();
    assert_eq!(lines(&outputs), notes);
    assert!(shop.primary.object(&stray).is_none() && shop.objects("failed").is_empty());
    let left = shop.store("primary").await.list_unfinished().await.unwrap();
    assert_eq!(left.len(), 1);
    let outputs = shop.run("backup.prune", params()).await.unwrap();
    assert_eq!(outputs["removed_unfinished"], json!([]));
}

#[tokio::test]
async fn what_still_gets_bytes_is_no_leftover_however_old_its_first_object_is() {
    let shop = Shop::new();
    shop.dump("long", "2026-11-20T10:00:00Z");
    for (name, is_key_known, stays) in [
        ("backups/shop/long/full.sql.gz", true, true),
        // It may be of any.
        (".partial/1-1", false, true),
        ("backups/shop/longer/full.sql.gz", true, false),
    ] {
        let under_way = write(&shop, name, is_key_known, 1);
        shop.primary.leave(under_way);
        let notes = shop.preflight(&PruneStep, params()).await.notes;
        assert_eq!(notes.is_empty(), stays, "{name}: {notes:?}");
        let ended = shop.now() + SignedDuration::from_hours(1);
        shop.primary.remove_abandoned(ended).await.unwrap();
    }
    let dead = write(&shop, "backups/shop/long/full.sql.gz", true, 25);
    shop.primary.leave(dead);
    let removed = lines(&shop.run("backup.prune", params()).await.unwrap());
    assert_eq!(removed.len(), 2, "{removed:?}");
}
