//! `stores.NAME.lifecycle`.

use super::tests::body_errors;
use super::*;
use crate::document::Source;
use crate::document::rendering::render;

fn lifecycle(store: &str, rest: &str) -> Lifecycle {
    let text =
        format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\nstores:\n  a: {{ {store} }}\n{rest}");
    let read = parse(&Source::new("e.yaml", &text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    read.settings.stores.values().next().unwrap().lifecycle.clone().unwrap()
}

const GUIDE: &str = "url: 's3://bucket', lifecycle: { prefix: mysql/, expire: 2555d, transitions: [\
    { after: 30d, class: STANDARD_IA }, { after: 90d, class: GLACIER }, { after: 365d, class: DEEP_ARCHIVE }] }";

#[test]
fn the_rules_of_the_guide_are_read() {
    let read = lifecycle(GUIDE, "");
    let days: Vec<_> =
        read.transitions.iter().map(|to| (Lifecycle::days(to.after), to.class.as_str())).collect();
    assert_eq!(days, [(30, "STANDARD_IA"), (90, "GLACIER"), (365, "DEEP_ARCHIVE")]);
    assert_eq!((read.prefix.as_deref(), read.expire.map(Lifecycle::days)), (Some("mysql/"), Some(2555)));
    assert_eq!(serde_json::from_value::<Lifecycle>(serde_json::to_value(&read).unwrap()).unwrap(), read);
}

#[test]
fn rules_spare_the_journals_of_runs() {
    let stores = |journal: &str, lifecycle: &str| {
        format!(
            "stores:\n  a: {{ url: 's3://bucket/mysql', lifecycle: {{ {lifecycle} }} }}\n  \
             b: {{ url: 's3://bucket/mysql/journals' }}\n  c: {{ url: 's3://bucket/mysql-runs' }}\n\
             journal: {{ store: {journal} }}\n"
        )
    };
    insta::assert_snapshot!(body_errors(&stores("a", "expire: 30d")), @r#"
    rekindle::environment::wrong_value: it would take the journals and locks of runs, which lie in `s3://bucket/mysql/runs/`
      e.yaml:5:45 "{ expire: 30d }": this value
      help: say what it is about, as in `prefix: backups/`, or keep the journal in another store
    "#);
    insta::assert_snapshot!(body_errors(&stores("b", "expire: 30d, prefix: journals/")), @r#"
    rekindle::environment::wrong_value: it would take the journals and locks of runs, which lie in `s3://bucket/mysql/journals/runs/`
      e.yaml:5:68 "journals/": this value
      help: say what it is about, as in `prefix: backups/`, or keep the journal in another store
    "#);
    for (journal, sound) in [
        ("a", "expire: 30d, prefix: backups/"),
        ("a", "expire_noncurrent: 30d"),
        ("b", "expire: 30d, prefix: backups/"),
        ("c", "expire: 30d"),
    ] {
        let text = format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{}", stores(journal, sound));
        parse(&Source::new("e.yaml", &text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    }
}

#[test]
fn every_mistake_about_the_fields_of_a_lifecycle_is_told() {
    let body = "stores:
  a: { url: 's3://bucket', lifecycle: {} }
  b: { url: 's3://bucket', lifecycle: { prefix: mysql, expire: 36h } }
  c: { url: 's3://bucket', lifecycle: { prefix: /mysql/, expire: 3d, id: \"a\\nb\" } }
  d: { url: 's3://bucket', lifecycle: { transitions: GLACIER, expires: 3d, id: '' } }
  e: { url: 's3://bucket', lifecycle: { transitions: [{ after: 5, clas: GLACIER }], prefix: 1 } }
  f: { url: 'file:x', lifecycle: { expire: 3d } }
  g: { url: 's3://bucket', lifecycle: { expire: 200000d, expire_noncurrent: 12h } }
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::wrong_value: `lifecycle` says nothing
      e.yaml:5:39 "{}": this value
      help: give `transitions`, `expire` or `expire_noncurrent`, or leave `lifecycle` out
    rekindle::environment::wrong_value: `mysql` is no folder of a store
      e.yaml:6:49 "mysql": this value
      help: write `mysql/`: without the slash, other names that begin so would be meant too
    rekindle::environment::wrong_value: `expire`: 1d12h is no whole number of days, and providers count in days
      e.yaml:6:64 "36h": this value
      help: write days, as in `30d`
    rekindle::environment::wrong_value: `/mysql/` is no folder of a store
      e.yaml:7:49 "/mysql/": this value
      help: write the objects' folder below the store's URL, as in `backups/shop/`
    rekindle::environment::wrong_value: it is no ID of a rule
      e.yaml:7:74 "\"a\\nb\"": this value
      help: write 1 to 200 characters of plain text
    rekindle::environment::wrong_type: `transitions` must be a list, found a string
      e.yaml:8:54 "GLACIER": expected a list
    rekindle::environment::unknown_field: `lifecycle` has no field `expires`
      e.yaml:8:63 "expires": not a known field
      help: did you mean `expire`?
    rekindle::environment::wrong_value: `id` is empty
      e.yaml:8:80 "''": this value
      help: write something, or leave the field out
    rekindle::environment::missing_field: a transition has no `class`
      e.yaml:9:57 "after": `class` belongs to this map
      help: add `class:`
    rekindle::environment::wrong_value: `after` has no unit
      e.yaml:9:64 "5": this value
      help: write the unit: `5s`, `5m` or `5h`
    rekindle::environment::unknown_field: a transition has no field `clas`
      e.yaml:9:67 "clas": not a known field
      help: did you mean `class`?
    rekindle::environment::wrong_type: `prefix` must be a string, found an integer
      e.yaml:9:93 "1": expected a string
      help: quote it: `"1"`
    rekindle::environment::not_for_this_store: `lifecycle` is carried out by the provider of a bucket, and this store is a folder
      e.yaml:10:23 "lifecycle": nobody would carry it out
      help: remove it, and let `backup.prune` thin out the backups
    rekindle::environment::wrong_value: `expire`: 200000d is more than a century
      e.yaml:11:49 "200000d": this value
      help: write days, as in `30d`
    rekindle::environment::wrong_value: `expire_noncurrent`: 12h is no whole number of days, and providers count in days
      e.yaml:11:77 "12h": this value
      help: write days, as in `30d`
    "#);
}

#[test]
fn every_mistake_about_classes_and_ages_is_told() {
    let body = "stores:
  a:
    url: s3://bucket
    lifecycle:
      transitions:
        - { after: 29d, class: STANDARD_IA }
        - { after: 40d, class: GLACIER_IR }
        - { after: 80d, class: STANDARD_IA }
        - { after: 80d, class: GLACIER }
        - { after: 90d, class: DEEP_ARHCIVE }
        - { after: 100d, class: COLDLINE }
      expire: 90d
  b: { url: 's3://bucket', lifecycle: { transitions: [{ after: 30d, class: STANDARD_IA }], expire: 30d } }
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::wrong_value: objects must be 30 days old before S3 moves them to `STANDARD_IA`
      e.yaml:9:20 "29d": this value
      help: write `30d` or more
    rekindle::environment::wrong_value: objects stay in `STANDARD_IA` for 30 days at least
      e.yaml:10:20 "40d": this value
      help: write `59d` or more
    rekindle::environment::wrong_value: objects can't be moved from `GLACIER_IR` to `STANDARD_IA`
      e.yaml:11:32 "STANDARD_IA": this value
      help: move them to colder and colder classes only: there is no way back
    rekindle::environment::wrong_value: 80d does not come after 80d of the one before
      e.yaml:12:20 "80d": this value
      help: put the transitions in the order of their ages
    rekindle::environment::wrong_value: objects can't be moved to a class `DEEP_ARHCIVE`
      e.yaml:13:32 "DEEP_ARHCIVE": this value
      help: did you mean `DEEP_ARCHIVE`?
    rekindle::environment::wrong_value: objects can't be moved to a class `COLDLINE`
      e.yaml:14:33 "COLDLINE": this value
      help: write one of: `STANDARD_IA`, `INTELLIGENT_TIERING`, `ONEZONE_IA`, `GLACIER_IR`, `GLACIER`, `DEEP_ARCHIVE`
    rekindle::environment::wrong_value: objects are deleted after 90d, before they are moved to `COLDLINE`
      e.yaml:15:15 "90d": this value
      help: write more than 100d, or leave that transition out
    rekindle::environment::wrong_value: objects are deleted after 30d, before they are moved to `STANDARD_IA`
      e.yaml:16:100 "30d": this value
      help: write more than 30d, or leave that transition out
    "#);
}

#[test]
fn a_class_that_is_read_back_too_slowly_for_the_rto_is_refused() {
    let store = format!("stores: {{ a: {{ {GUIDE} }} }}");
    insta::assert_snapshot!(body_errors(&format!("{store}\nobjectives: {{ rto: 6h }}\n")), @r#"
    rekindle::environment::rto_out_of_reach: what is in `DEEP_ARCHIVE` can be read only after up to 12h, and then restored: the RTO is 6h
      e.yaml:4:184 "DEEP_ARCHIVE": backups older than 365d would be there
      help: use a class that is read at once (`GLACIER_IR`), or, if older backups need not meet the RTO, say so: `objectives: { recovery_window: 365d }`
    "#);
    // What is read back at the RTO's end is not restored yet.
    for objectives in ["rto: 1h, recovery_window: 91d", "rto: 12h"] {
        let told = body_errors(&format!("{store}\nobjectives: {{ {objectives} }}\n"));
        assert_eq!(told.matches("rto_out_of_reach").count(), 1, "{told}");
    }
}

#[test]
fn a_class_that_is_slow_is_taken_where_the_rto_allows_it_or_does_not_reach() {
    for objectives in ["rto: 13h", "rpo: 1m", "rto: 1m, recovery_window: 90d"] {
        lifecycle(GUIDE, &format!("objectives: {{ {objectives} }}\n"));
    }
}

#[test]
fn what_the_recovery_window_promises_is_not_deleted_before() {
    let body = "stores: { a: { url: 's3://bucket', lifecycle: { expire: 10d } } }\nobjectives: { recovery_window: 30d }\n";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::wrong_value: backups are deleted after 10d, and `objectives.recovery_window` promises 30d
      e.yaml:4:57 "10d": this value
      help: write `30d` or more, or promise less
    "#);
}

#[test]
fn archives_of_google_are_read_at_once() {
    lifecycle(
        "url: 'gs://bucket', lifecycle: { transitions: [{ after: 365d, class: ARCHIVE }] }",
        "objectives: { rto: 1s }\n",
    );
    let archive = Transition { after: Lifecycle::age(365), class: "ARCHIVE".to_owned() };
    let rules = Lifecycle { transitions: vec![archive], ..Lifecycle::default() };
    assert_eq!(rules.mistakes(Provider::Gcs), []);
    assert!(Provider::Gcs.retrieval("ARCHIVE").is_zero());
    let wrong = Lifecycle { id: Some("x".to_owned()), ..rules };
    insta::assert_debug_snapshot!(wrong.mistakes(Provider::Gcs), @r#"
    [
        Mistake {
            at: Id,
            message: "rules of Google Cloud Storage have no IDs",
            help: "leave it out: rules of Google are known again by their prefix",
        },
    ]
    "#);
    assert_eq!(wrong.mistakes(Provider::S3).len(), 1, "S3 has no such class");
}
