//! What a mark says, how often it is written, and what is refused.

use rekindle_backup::catalogue;
use rekindle_engine::host::StoreErrorKind;
use rekindle_engine::step::{Planned, Step as _};
use serde_json::{Value, json};

use super::MarkStep;
use crate::testing::{Shop, key, uri};

fn with(more: Value) -> Value {
    let mut params = json!({ "backup": uri("a") });
    let Value::Object(more) = more else { panic!("{more} is no map") };
    params.as_object_mut().unwrap().extend(more);
    params
}

fn keep() -> Value {
    with(json!({ "keep": true, "reason": "before the migration", "labels": { "ticket": "OPS-7" } }))
}

async fn shop() -> Shop {
    let shop = Shop::new();
    shop.backup("a", "2026-11-22T10:00:00Z").await;
    shop.backup("b", "2026-11-22T12:00:00Z").await;
    shop
}

async fn kept(shop: &Shop) -> Option<String> {
    catalogue::show(&*shop.primary, &uri("a")).await.unwrap().listed.kept()
}

#[tokio::test]
async fn a_mark_lies_beside_the_manifest_and_is_written_once() {
    let shop = shop().await;
    let manifest = shop.primary.object(&key("a", "manifest.json"));
    let outputs = shop.run("backup.mark", keep()).await.unwrap();
    assert_eq!(
        outputs,
        json!({
            "uri": "backup://primary/shop/a", "keep": true, "reason": "before the migration",
            "labels": { "ticket": "OPS-7" }, "changed": true,
        })
    );
    assert_eq!(kept(&shop).await.as_deref(), Some("before the migration"));
    assert_eq!(shop.primary.object(&key("a", "manifest.json")), manifest);

    let mark = shop.primary.object(&key("a", "keep.json"));
    assert_eq!(shop.run("backup.mark", keep()).await.unwrap()["changed"], false);
    assert_eq!(shop.primary.object(&key("a", "keep.json")), mark, "who said it first stays on record");
}

#[tokio::test]
async fn giving_it_free_keeps_its_labels_and_the_record() {
    let shop = shop().await;
    shop.run("backup.mark", keep()).await.unwrap();
    let labels = json!({ "labels": { "grade": "gold", "ticket": "" } });
    let outputs = shop.run("backup.mark", with(labels)).await.unwrap();
    assert_eq!((&outputs["keep"], &outputs["labels"]), (&json!(true), &json!({ "grade": "gold" })));
    let free = with(json!({ "keep": false, "reason": "migrated" }));
    let outputs = shop.run("backup.mark", free).await.unwrap();
    assert_eq!(outputs["reason"], "migrated");
    assert_eq!(outputs["labels"], json!({ "grade": "gold" }));
    assert_eq!(kept(&shop).await, None);
    assert!(shop.objects("a").contains(&"keep.json".to_owned()));
}

#[tokio::test]
async fn the_probe_knows_a_mark_that_says_what_is_asked_for() {
    let shop = shop().await;
    let probe = async |params: Value| {
        let typed = serde_json::from_value(params).unwrap();
        format!("{:?}", MarkStep.probe(&typed, &shop.context().cx).await.unwrap())
    };
    assert_eq!(probe(keep()).await, "Absent");
    shop.run("backup.mark", keep()).await.unwrap();
    assert!(probe(keep()).await.starts_with("Complete"));
    assert_eq!(probe(with(json!({ "keep": true, "reason": "another" }))).await, "Absent");
    assert_eq!(probe(with(json!({ "keep": false }))).await, "Absent");
}

#[tokio::test]
async fn what_can_not_be_read_stays_kept_until_somebody_says_otherwise() {
    let shop = shop().await;
    shop.put("a", "keep.json", b"");
    let test = shop.context();
    let labels = with(json!({ "labels": { "grade": "gold" } }));
    assert_eq!(shop.run_in(&test, "backup.mark", labels).await.unwrap()["keep"], true);
    assert!(test.reporter.warnings()[0].contains("written anew"));
    shop.run("backup.mark", with(json!({ "keep": false }))).await.unwrap();
    assert_eq!(kept(&shop).await, None);
}

#[tokio::test]
async fn a_backup_with_a_damaged_manifest_can_be_kept_and_one_that_is_not_there_can_not() {
    let shop = shop().await;
    shop.primary.flip_byte(&key("a", "manifest.json"), 400);
    shop.run("backup.mark", keep()).await.unwrap();
    let none = json!({ "backup": uri("z"), "keep": true, "reason": "x" });
    let error = shop.run("backup.mark", none.clone()).await.unwrap_err();
    assert_eq!(error.message, "there is no backup backup://primary/shop/z");
    assert!(shop.objects("z").is_empty());
    insta::assert_snapshot!(shop.preflight(&MarkStep, none).await.problems[0], @r"
    rekindle::backup::not_usable: there is no backup backup://primary/shop/z (/backup)
      help: `rekindle backups list` shows what is there
    ");
}

#[tokio::test]
async fn a_backup_whose_manifest_is_archived_can_be_kept_and_given_free_without_bringing_it_back() {
    let shop = shop().await;
    shop.primary.tell_stamps_in_lists();
    shop.run("backup.mark", with(json!({ "labels": { "grade": "gold" } }))).await.unwrap();
    shop.backup("c", "2026-11-22T13:00:00Z").await;
    shop.primary.refuse(&key("a", "manifest.json"), StoreErrorKind::Archived);
    assert!(shop.preflight(&MarkStep, keep()).await.problems.is_empty());
    let outputs = shop.run("backup.mark", keep()).await.unwrap();
    assert_eq!(outputs["labels"], json!({ "grade": "gold", "ticket": "OPS-7" }));
    let prune = json!({ "store": "primary", "keep": { "keep_last": 1 } });
    let kept = shop.run("backup.prune", prune.clone()).await.unwrap()["kept"].clone();
    assert_eq!(kept[1], json!({ "id": "a", "reason": "marked: before the migration" }));

    shop.run("backup.mark", with(json!({ "keep": false }))).await.unwrap();
    let removed = shop.run("backup.prune", prune).await.unwrap()["removed"].clone();
    assert_eq!(removed, json!([{ "id": "a", "reason": "no rule keeps it" }]));
}

#[tokio::test]
async fn a_mark_that_is_archived_is_replaced_only_where_it_is_known_what_it_says() {
    let label = || with(json!({ "labels": { "grade": "gold" } }));
    for is_known in [false, true] {
        let shop = shop().await;
        shop.primary.tell_stamps_in_lists();
        shop.run("backup.mark", keep()).await.unwrap();
        if is_known {
            // Which brings the index up to date.
            shop.backup("c", "2026-11-22T13:00:00Z").await;
        }
        for name in ["manifest.json", "keep.json"] {
            shop.primary.refuse(&key("a", name), StoreErrorKind::Archived);
        }
        let before = shop.primary.object(&key("a", "keep.json"));
        let problems = shop.preflight(&MarkStep, label()).await.problems;
        let done = shop.run("backup.mark", label()).await;
        if is_known {
            assert!(problems.is_empty());
            let outputs = done.unwrap();
            assert_eq!(
                (&outputs["keep"], &outputs["reason"]),
                (&json!(true), &json!("before the migration"))
            );
            assert_eq!(outputs["labels"], json!({ "grade": "gold", "ticket": "OPS-7" }));
        } else {
            insta::assert_snapshot!(problems[0], @r"
            rekindle::backup::not_usable: failed to read `backups/shop/a/keep.json` in memory:primary: refused by the test (/backup)
              help: bring it back with the provider's own tool, which takes hours, then resume the run
            ");
            assert_eq!(done.unwrap_err().message, problems[0].message);
            assert_eq!(shop.primary.object(&key("a", "keep.json")), before);
        }
    }
}

#[test]
fn the_plan_says_what_will_be_said() {
    let plan = |params: Value| {
        let typed = serde_json::from_value(params.clone()).unwrap();
        match MarkStep.plan(&Planned::known(typed, params)) {
            Ok(intent) => intent.summary,
            Err(error) => error.message,
        }
    };
    let long = "x".repeat(501);
    let all = [
        keep(),
        with(json!({ "keep": false })),
        with(json!({ "labels": { "a": "b" } })),
        with(json!({})),
        with(json!({ "keep": true, "reason": " " })),
        with(json!({ "reason": "so" })),
        with(json!({ "keep": true, "reason": long })),
        with(json!({ "keep": true, "reason": "one\ntwo" })),
        with(json!({ "labels": { "a b": "c" } })),
        with(json!({ "labels": { "a": "\u{1b}[2J" } })),
    ];
    insta::assert_snapshot!(all.map(plan).join("\n"), @r#"
    keep backup://primary/shop/a from being pruned: before the migration
    let pruning judge backup://primary/shop/a as any other
    label backup://primary/shop/a
    there is nothing to say of the backup
    a backup is kept for a `reason`, and none is given
    `reason` says why a backup is kept or not, but there is no `keep`
    the reason is longer than 500 characters
    the reason holds a line break or another control character
    "a b" is no name of a label
    the value of the label `a` holds a line break or another control character
    "#);
}
