//! What is published, and what is not.

use rekindle_backup::catalogue;
use rekindle_engine::host::{ObjectStore as _, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, Probe};
use rekindle_engine::testing::Operation;
use serde_json::{Value, json};

use super::PublishStep;
use crate::testing::{Shop, key, uri};

const AT: &str = "2026-11-22T14:30:00Z";

fn params() -> Value {
    json!({ "store": "primary", "id": "b1", "objects": ["full", "schema"], "labels": { "reason": "test" } })
}

async fn error(shop: &Shop) -> String {
    let error = shop.run("backup.publish", params()).await.unwrap_err();
    format!("{}\nhelp: {}", error.message, error.help.unwrap_or_default())
}

#[tokio::test]
async fn a_published_backup_is_listed_with_what_its_dump_holds() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    let outputs = shop.run("backup.publish", params()).await.unwrap();
    let size: u64 = shop
        .objects("b1")
        .iter()
        .filter(|name| *name != "manifest.json")
        .map(|name| shop.primary.object(&key("b1", name)).unwrap().len() as u64)
        .sum();
    assert_eq!(
        outputs,
        json!({
            "uri": "backup://primary/shop/b1", "id": "b1", "size_bytes": size,
            "recovery_point": AT, "tables": 2, "rows": 207,
        })
    );
    let manifest = catalogue::load_manifest(&*shop.primary, &uri("b1")).await.unwrap();
    let names: Vec<_> = manifest.objects.iter().map(|object| object.name.as_str()).collect();
    let all = [
        "full.sql.gz",
        "full.index.json",
        "schema.sql.gz",
        "schema.index.json",
        "server.json",
        "RESTORE.txt",
    ];
    assert_eq!(names, all);
    assert_eq!(manifest.consistent_point.gtid.as_deref(), Some("0-1-5"));
    assert_eq!(manifest.labels["reason"], "test");
    assert_eq!(manifest.finished_at, shop.now());
}

#[tokio::test]
async fn the_runs_id_names_the_backup_unless_another_is_given() {
    let shop = Shop::new();
    let test = shop.context();
    shop.dump(test.cx.run().as_str(), AT);
    let params = json!({ "store": "primary", "objects": ["full"] });
    let outputs = shop.run_in(&test, "backup.publish", params).await.unwrap();
    assert_eq!(outputs["id"], test.cx.run().as_str());
}

#[tokio::test]
async fn the_manifest_is_the_last_object_written() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    shop.run("backup.publish", params()).await.unwrap();
    let written: Vec<_> = shop
        .primary
        .calls()
        .into_iter()
        .filter(|(call, _)| *call == Operation::Put)
        .map(|(_, key)| key)
        .collect();
    assert_eq!(
        written,
        ["backups/shop/b1/RESTORE.txt", "backups/shop/b1/manifest.json", "backups/shop/index.json"]
    );
}

#[tokio::test]
async fn the_instructions_say_how_to_restore_when_nothing_else_is_left() {
    let shop = Shop::new();
    shop.backup("b1", AT).await;
    let text = shop.primary.object(&key("b1", "RESTORE.txt")).unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let text = text.lines().map(|line| if line.len() > 64 && !line.contains(' ') { "" } else { line });
    // Checksums depend on the test's data only; they are cut to keep this readable.
    let text: Vec<String> = text
        .map(|line| match line.split_once("  ") {
            Some((sum, name)) if sum.len() == 64 => format!("<sha256>  {name}"),
            _ => line.to_owned(),
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    Backup b1 of the cluster shop, taken from MariaDB 10.11.14-MariaDB-log.
    Its data are those of 2026-11-22T14:30:00Z (UTC).

    The dumps are ordinary gzip of SQL text. When nothing else is left, this restores them:

        zcat full.sql.gz | mariadb      # everything
        zcat schema.sql.gz | mariadb      # the schema alone, without rows

    Before that, compare the bytes with what was written: `sha256sum -c` reads these lines.

    <sha256>  full.sql.gz
    <sha256>  full.index.json
    <sha256>  schema.sql.gz
    <sha256>  schema.index.json
    <sha256>  server.json

    Use an empty MariaDB server of the same or a later version, and a client of its own version: some statements are written for it.
    Accounts: server.json lists the accounts that the server had. Compare them with
    `SELECT user, host FROM mysql.user` afterwards, and create those that are missing.
    Binary log: the data are of position 342 in bin.000002; replay from there.
    GTID: a replica that is loaded from this backup goes on from 0-1-5:
        SET GLOBAL gtid_slave_pos = '0-1-5';
    ");
}

#[tokio::test]
async fn an_object_that_reads_back_otherwise_is_not_published() {
    for name in ["full.sql.gz", "schema.sql.gz"] {
        let shop = Shop::new();
        shop.dump("b1", AT);
        assert!(shop.primary.flip_byte(&key("b1", name), 17));
        let error = error(&shop).await;
        assert!(error.starts_with("backup://primary/shop/b1 is not published: "), "{error}");
        assert!(error.contains(&format!("`{name}` is damaged: its sha256 is ")), "{error}");
        assert!(!shop.objects("b1").contains(&"manifest.json".to_owned()));
    }
}

#[tokio::test]
async fn a_short_or_missing_object_is_named() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    shop.put("b1", "full.sql.gz", b"short");
    shop.primary.delete(&key("b1", "schema.sql.gz")).await.unwrap();
    let error = error(&shop).await;
    assert!(error.contains("`full.sql.gz` has 5 bytes, but 8496 were written"), "{error}");
    assert!(error.contains("`schema.sql.gz` is missing"), "{error}");
}

#[tokio::test]
async fn a_dump_that_did_not_finish_is_named() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    shop.primary.delete(&key("b1", "schema.index.json")).await.unwrap();
    insta::assert_snapshot!(error(&shop).await, @r"
    the dump `schema` is not finished: there is no `schema.index.json` in backup://primary/shop/b1
    help: let a `mysql.dump` or `mysql.backup-physical` with `name: schema` and the same store run before this step
    ");
}

#[tokio::test]
async fn missing_facts_are_named() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    shop.primary.delete(&key("b1", "server.json")).await.unwrap();
    insta::assert_snapshot!(error(&shop).await, @r"
    there is no `server.json` in backup://primary/shop/b1
    help: let a `mysql.inspect` with the same store run before this step
    ");
}

#[tokio::test]
async fn bad_parameters_are_refused_before_anything_is_read() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    for (params, wanted) in [
        (json!({ "store": "primary", "id": "b1", "objects": [] }), "`objects` names no dump"),
        (json!({ "store": "primary", "id": "b1", "objects": ["full", "full"] }), "names `full` twice"),
        (json!({ "store": "primary", "id": "../b1", "objects": ["full"] }), "can't name a backup"),
        (json!({ "store": "primary", "id": "b1", "objects": ["../../x"] }), "empty, `.` or `..` part"),
        (json!({ "store": "nowhere", "id": "b1", "objects": ["full"] }), "no store `nowhere`"),
    ] {
        let error = shop.run("backup.publish", params).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(error.message.contains(wanted), "{error}");
    }
    assert!(!shop.objects("b1").contains(&"manifest.json".to_owned()));
}

#[tokio::test]
async fn the_probe_tells_absent_complete_and_other_contents() {
    let shop = Shop::new();
    let (kind, test) = (shop.kind("backup.publish"), shop.context());
    shop.dump("b1", AT);
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Absent);
    let outputs = shop.run("backup.publish", params()).await.unwrap();
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Complete(outputs));
    shop.dump("b1", "2026-11-22T14:59:00Z");
    let found = "backup://primary/shop/b1 is published, but with other contents".to_owned();
    assert_eq!(kind.probe(&params(), &test.cx).await.unwrap(), Probe::Partial { found });
}

#[tokio::test]
async fn publishing_again_changes_nothing_and_gives_the_same_outputs() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    let first = shop.run("backup.publish", params()).await.unwrap();
    let manifest = shop.primary.object(&key("b1", "manifest.json")).unwrap();
    shop.world.clock.advance(std::time::Duration::from_mins(1));
    assert_eq!(shop.run("backup.publish", params()).await.unwrap(), first);
    assert_eq!(shop.primary.object(&key("b1", "manifest.json")).unwrap(), manifest);
}

#[tokio::test]
async fn another_backup_of_the_same_id_stays_as_it_is() {
    let shop = Shop::new();
    shop.backup("b1", AT).await;
    let before: Vec<_> =
        ["manifest.json", "RESTORE.txt"].map(|name| shop.primary.object(&key("b1", name))).into();
    shop.dump("b1", "2026-11-22T14:59:00Z");
    assert!(error(&shop).await.contains("is published, but with other contents"));
    let after: Vec<_> =
        ["manifest.json", "RESTORE.txt"].map(|name| shop.primary.object(&key("b1", name))).into();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_step_that_should_stop_publishes_nothing() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    let test = shop.context();
    test.cancel.cancel();
    let error = shop.run_in(&test, "backup.publish", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(!shop.objects("b1").contains(&"manifest.json".to_owned()));
}

#[tokio::test]
async fn a_cut_connection_may_be_tried_again() {
    let shop = Shop::new();
    shop.dump("b1", AT);
    shop.primary.cut_get(5, 100);
    let error = shop.run("backup.publish", params()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    shop.run("backup.publish", params()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_can_not_be_written_is_a_problem_beforehand() {
    let shop = Shop::new();
    shop.primary.fail(Operation::CheckWritable, 1, StoreErrorKind::Denied);
    let found = shop.preflight(&PublishStep, params()).await;
    assert_eq!(found.problems[0].code, "rekindle::store::not_writable");
    assert_eq!(found.problems[0].pointer, Some("/store"));
    insta::assert_snapshot!(found.problems[0].message, @"the store `primary` can't be written: failed to write memory:primary: a fault of the test");
    assert!(shop.preflight(&PublishStep, params()).await.problems.is_empty());
}
