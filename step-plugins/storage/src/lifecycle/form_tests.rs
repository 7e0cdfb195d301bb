//! Declarations and the providers' documents: the same thing, both ways.

use proptest::prelude::*;
use rekindle_engine::document::Source;
use rekindle_engine::environment::{self, Lifecycle, Provider, Transition};
use serde_json::{Value, json};

use super::difference::Declared;
use super::{Imported, gcs, import, s3};

/// The documents of the user's guide, as they stand there.
const GUIDE_S3: &str = include_str!("guide-s3.json");
const GUIDE_GCS: &str = include_str!("guide-gcs.json");

fn rules(lifecycle: &Lifecycle, provider: Provider, prefix: &str) -> Vec<Value> {
    let prefix = format!("{prefix}{}", lifecycle.prefix.as_deref().unwrap_or_default());
    Declared { lifecycle, provider, prefix }.rules()
}

/// Gives the rules of the guide for S3, and one about older versions, for a place in a bucket.
pub(crate) fn guide_rules(prefix: &str) -> Vec<Value> {
    let lifecycle = import(GUIDE_S3).unwrap().lifecycle;
    let old = Some(Lifecycle::age(30));
    rules(&Lifecycle { prefix: None, expire_noncurrent: old, ..lifecycle }, Provider::S3, prefix)
}

fn refused(text: &str) -> String {
    let error = import(text).unwrap_err();
    format!("{error}\nhelp: {}\n", error.help)
}

#[test]
fn both_documents_of_the_guide_are_one_declaration_but_for_classes_prefix_and_id() {
    let (aws, google) = (import(GUIDE_S3).unwrap(), import(GUIDE_GCS).unwrap());
    assert_eq!((aws.provider, google.provider), (Provider::S3, Provider::Gcs));
    assert_eq!((aws.had_comments, google.had_comments), (true, false));
    insta::assert_snapshot!(aws.to_yaml(), @r#"
    lifecycle:
      id: "mysql-backup-lifecycle"
      prefix: "mysql/"
      transitions:
        - { after: 30d, class: STANDARD_IA }
        - { after: 90d, class: GLACIER }
        - { after: 365d, class: DEEP_ARCHIVE }
      expire: 2555d
    "#);
    insta::assert_snapshot!(google.to_yaml(), @r"
    lifecycle:
      transitions:
        - { after: 30d, class: NEARLINE }
        - { after: 90d, class: COLDLINE }
        - { after: 365d, class: ARCHIVE }
      expire: 2555d
    ");
    let classless = |of: Imported| {
        let ages: Vec<_> = of.lifecycle.transitions.iter().map(|to| to.after).collect();
        (ages, of.lifecycle.expire, of.lifecycle.expire_noncurrent)
    };
    assert_eq!(classless(aws), classless(google));
}

#[test]
fn the_guides_declaration_is_compiled_to_the_guides_documents() {
    let aws = import(GUIDE_S3).unwrap().lifecycle;
    let document: Value = serde_json::from_str(&GUIDE_S3.replace("// 7년", "")).unwrap();
    let compiled = rules(&aws, Provider::S3, "");
    assert_eq!(compiled[..1], document["Rules"].as_array().unwrap()[..]);
    insta::assert_snapshot!(compiled[1], @r#"{"ID":"mysql-backup-lifecycle-leftovers","Status":"Enabled","Filter":{"Prefix":"mysql/"},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}"#);
    assert_eq!(compiled.len(), 2);

    let google = import(GUIDE_GCS).unwrap().lifecycle;
    let document: Value = serde_json::from_str(GUIDE_GCS).unwrap();
    assert_eq!(json!({ "rule": rules(&google, Provider::Gcs, "") }), document);
}

#[test]
fn a_store_below_a_prefix_keeps_its_rules_there() {
    let aws = Lifecycle { id: None, ..import(GUIDE_S3).unwrap().lifecycle };
    let compiled = rules(&aws, Provider::S3, "prod/");
    assert_eq!(
        (&compiled[0]["Filter"]["Prefix"], &compiled[0]["ID"]),
        (&json!("prod/mysql/"), &json!("rekindle prod/mysql/"))
    );
    let google = import(GUIDE_GCS).unwrap().lifecycle;
    for rule in rules(&google, Provider::Gcs, "prod/") {
        assert_eq!(rule["condition"]["matchesPrefix"], json!(["prod/"]));
    }
}

#[test]
fn what_a_deletion_leaves_in_a_bucket_with_versions_can_expire() {
    let rule = Lifecycle { expire_noncurrent: Some(Lifecycle::age(30)), ..Lifecycle::default() };
    insta::assert_snapshot!(serde_json::to_string(&rules(&rule, Provider::S3, "")).unwrap(), @r#"[{"ID":"rekindle-leftovers","Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"ExpiredObjectDeleteMarker":true},"NoncurrentVersionExpiration":{"NoncurrentDays":30},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}]"#);
    insta::assert_snapshot!(serde_json::to_string(&rules(&rule, Provider::Gcs, "a/")).unwrap(), @r#"[{"action":{"type":"Delete"},"condition":{"daysSinceNoncurrentTime":30,"matchesPrefix":["a/"]}}]"#);
}

#[test]
fn ids_are_never_longer_than_s3_takes() {
    let long = format!("{}/", "x".repeat(300));
    let rule = Lifecycle { expire: Some(Lifecycle::age(1)), ..Lifecycle::default() };
    for rule in rules(&rule, Provider::S3, &long) {
        assert!(rule["ID"].as_str().unwrap().len() <= 255, "{rule}");
    }
}

#[test]
fn documents_that_say_more_than_a_declaration_can_are_refused() {
    let aws =
        |rule: &str| refused(&format!("{{\"Rules\": [{{\"ID\": \"a\", \"Status\": \"Enabled\", {rule}}}]}}"));
    let google = |rules: &str| refused(&format!("{{\"lifecycle\": {{\"rule\": [{rules}]}}}}"));
    let age = |days: u32| format!(r#"{{"action": {{"type": "Delete"}}, "condition": {{"age": {days}}}}}"#);
    let told = [
        aws(r#""Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 3}"#),
        aws(r#""Filter": {"ObjectSizeGreaterThan": 500}, "Expiration": {"Days": 3}"#),
        aws(r#""Filter": {"Prefix": ""}, "Expiration": {"Date": "2030-01-01T00:00:00Z"}"#),
        aws(r#""Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}"#),
        aws(r#""Filter": {"Prefix": "mysql"}, "Expiration": {"Days": 3}"#),
        aws(r#""Filter": {}, "Transitions": [{"Days": 3, "StorageClass": "STANDARD_IA"}]"#),
        aws(r#""Filter": {}"#),
        refused(r#"{"Rules": [{"Status": "Disabled", "Prefix": "", "Expiration": {"Days": 3}}]}"#),
        google(&format!("{}, {}", age(3), age(4))),
        google(r#"{"action": {"type": "Delete"}, "condition": {"age": 3, "isLive": false}}"#),
        google(r#"{"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 3}}"#),
        google(r#"{"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["a/", "b/"]}}"#),
        google(r#"{"action": {"type": "Delete"}, "condition": {}}"#),
        refused("{}"),
        refused("{\"Rules\": // [\n}"),
        refused("Rules:"),
    ];
    insta::assert_snapshot!(told.concat(), @r"
    it says what can't be declared: unknown field `Tag`, expected `Prefix`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    it says what can't be declared: unknown field `ObjectSizeGreaterThan`, expected `Prefix`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    it says what can't be declared: unknown field `Date`, expected `Days` or `ExpiredObjectDeleteMarker`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    rule a can't be declared: it aborts unfinished uploads at another age than 7 days, at which rekindle does
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    `mysql` is no folder of a store
    help: write `mysql/`: without the slash, other names that begin so would be meant too
    objects must be 30 days old before S3 moves them to `STANDARD_IA`
    help: write `30d` or more
    `lifecycle` says nothing
    help: give `transitions`, `expire` or `expire_noncurrent`, or leave `lifecycle` out
    rule without an ID can't be declared: it is switched off
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    rule number 2 can't be declared: it deletes once more
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    it says what can't be declared: unknown field `isLive`, expected one of `age`, `daysSinceNoncurrentTime`, `matchesPrefix`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    it says what can't be declared: unknown variant `AbortIncompleteMultipartUpload`, expected `SetStorageClass` or `Delete`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    rule number 1 can't be declared: it is about several prefixes, and a declaration has one
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    rule number 1 can't be declared: its condition is not one age
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    it is no lifecycle document
    help: S3's has `Rules`, Google's has `rule`; print the bucket's with `aws s3api get-bucket-lifecycle-configuration` or `gsutil lifecycle get`
    it is no JSON: expected value at line 2 column 1
    help: correct it there
    it is no JSON: expected value at line 1 column 1
    help: correct it there
    ");
}

#[test]
fn comments_are_no_part_of_texts() {
    let text = r#"{"Rules": [{"ID": "a//b\"//", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 3}}]} // end"#;
    let read = import(text).unwrap();
    assert_eq!(read.lifecycle.id.as_deref(), Some("a//b\"//"));
    assert!(read.had_comments);
}

/// Reads what was printed as it would stand in an environment.
fn read_again(printed: &str, url: &str) -> Lifecycle {
    let indented = printed.replace('\n', "\n    ");
    let text = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: e\nstores:\n  a:\n    url: {url}\n    {indented}"
    );
    let read = environment::parse(&Source::new("e.yaml", text.trim_end())).unwrap();
    read.settings.stores.values().next().unwrap().lifecycle.clone().unwrap()
}

#[test]
fn what_is_printed_can_be_put_into_an_environment() {
    let imported = import(GUIDE_S3).unwrap();
    assert_eq!(read_again(&imported.to_yaml(), "s3://mysql-backups-company"), imported.lifecycle);
}

fn lifecycles() -> impl Strategy<Value = Lifecycle> {
    let classes =
        prop::sample::subsequence(vec!["STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], 0..=4);
    let prefix = prop::option::of("[a-z]{1,5}/");
    let id = prop::option::of("[a-zA-Z0-9 :\"/-]{1,20}");
    (classes, prefix, id, 0_u32..60, prop::option::of(1_u32..900)).prop_map(
        |(classes, prefix, id, more, expire_noncurrent)| {
            let transition = |(place, class): (u32, &str)| Transition {
                after: Lifecycle::age((place + 1) * (30 + more)),
                class: class.to_owned(),
            };
            Lifecycle {
                id,
                prefix,
                transitions: (0..).zip(classes).map(transition).collect(),
                expire: Some(Lifecycle::age(3000 + more)),
                expire_noncurrent: expire_noncurrent.map(Lifecycle::age),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_compiled_for_s3_is_imported_as_it_was(declared in lifecycles()) {
        let document = json!({ "Rules": rules(&declared, Provider::S3, "") }).to_string();
        let mut imported = import(&document).unwrap().lifecycle;
        if declared.id.is_none() {
            imported.id = None;
        }
        prop_assert_eq!(imported, declared);
    }

    #[test]
    fn what_is_compiled_for_google_is_imported_as_it_was(declared in lifecycles()) {
        let classes = ["NEARLINE", "COLDLINE", "ARCHIVE"].into_iter().zip(&declared.transitions);
        let transitions =
            classes.map(|(class, to)| Transition { class: class.to_owned(), ..to.clone() }).collect();
        let declared = Lifecycle { id: None, transitions, ..declared };
        let document = json!({ "rule": rules(&declared, Provider::Gcs, "") }).to_string();
        prop_assert_eq!(import(&document).unwrap().lifecycle, declared);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = import(&text);
    }
}

#[test]
fn rules_of_others_are_said_as_far_as_there_are_words() {
    let tagged = json!({ "ID": "t", "Status": "Enabled", "Filter": { "Tag": { "Key": "a", "Value": "b" } } });
    let off = json!({ "ID": "o", "Status": "Disabled", "Prefix": "", "Expiration": { "Days": 3 } });
    let live = json!({ "action": { "type": "Delete" }, "condition": { "isLive": false } });
    let said = [s3::describe(&tagged), s3::describe(&off), gcs::describe(&live)];
    insta::assert_snapshot!(said.join("\n"), @r#"
    rule `t`: {"ID":"t","Status":"Enabled","Filter":{"Tag":{"Key":"a","Value":"b"}}}
    rule `o` everywhere, switched off: deleted after 3d
    rule {"action":{"type":"Delete"},"condition":{"isLive":false}}
    "#);
}
