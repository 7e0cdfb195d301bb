use super::*;
use crate::document::Source;
use crate::document::rendering::render;

const WHOLE: &str = r#"
apiVersion: rekindle/v1
kind: Environment
name: production
cluster: shop
objectives: { rto: 1h, rpo: 15m }
targets:
  primary:   { host: 127.0.0.1, port: 3307, user: root, password: { secret: root } }
  replica-0: { host: replica.example, user: root }
stores:
  primary: { url: "file:backups" }
  offsite: { url: "file:///var/backups" }
secrets:
  root:        { env: MYSQL_ROOT_PASSWORD }
  replication: { file: secrets/replication }
  vault:       { command: [vault, kv, get, -field=password, db/root] }
values: { retention: { keep_within: 7d, keep_last: 3 } }
"#;

fn errors(text: &str) -> String {
    match parse(&Source::new("e.yaml", text)) {
        Ok(environment) => panic!("read without a complaint: {environment:?}"),
        Err(errors) => render(&errors),
    }
}

#[test]
fn a_whole_environment_is_read() {
    let read = parse(&Source::new("e.yaml", WHOLE)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(read.settings.cluster(), "shop");
    let primary = &read.settings.targets[0];
    assert_eq!((primary.port, &primary.host[..]), (3307, "127.0.0.1"));
    assert_eq!(primary.password.as_ref().unwrap().secret.as_str(), "root");
    assert_eq!(read.settings.targets[1].port, 3306);
    assert_eq!(read.settings.secrets[2].command.as_ref().unwrap().len(), 5);
    assert_eq!(read.locations["targets.replica-0"].to_string(), "e.yaml:9:3");
    assert_eq!(read.values[0].get("retention").unwrap().to_json()["keep_last"], 3);
    let stored = serde_json::to_value(&read.settings).unwrap();
    assert_eq!(serde_json::from_value::<Settings>(stored).unwrap(), read.settings);
}

#[test]
fn what_this_version_does_not_do_is_refused() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e
targets: { a: { kubernetes: { pod: p }, user: root } }\n";
    insta::assert_snapshot!(errors(text), @r#"
    rekindle::environment::not_supported: `kubernetes` is not supported by this version yet
      e.yaml:4:17 "kubernetes": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    "#);
}

#[test]
fn a_policy_says_what_waits_for_whom() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\n\
                policy: { approve: [destroy], approvals: 2, approval_timeout: 4h, saved_plan: required }\n";
    let policy = parse(&Source::new("e.yaml", text)).unwrap().settings.policy;
    assert_eq!(policy.approve, [crate::step::Effect::Destroy]);
    assert_eq!((policy.approvals, policy.saved_plan), (2, SavedPlan::Required));
    assert_eq!(policy.approval_timeout.unwrap().0.as_secs(), 4 * 3600);
}

#[test]
fn every_mistake_in_a_policy_is_told() {
    insta::assert_snapshot!(
        body_errors("policy: { approve: [destruct], approvals: 0, saved_plan: yes }"),
        @r#"
    rekindle::environment::wrong_value: an item of `approve` cannot be `destruct`
      e.yaml:4:21 "destruct": this value
      help: write one of: `read`, `write`, `destroy`
    rekindle::environment::wrong_value: `approvals` must be from 1 to 10, found 0
      e.yaml:4:43 "0": this value
      help: write a number in that range
    rekindle::environment::wrong_value: `saved_plan` cannot be `yes`
      e.yaml:4:58 "yes": this value
      help: write one of: `optional`, `required`
    "#
    );
}

/// The errors of an environment whose header is right; line 1 of `body` is line 4 of the text.
pub(super) fn body_errors(body: &str) -> String {
    errors(&format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{body}"))
}

#[test]
fn a_runbook_is_no_environment() {
    insta::assert_snapshot!(errors("apiVersion: rekindle/v1\nkind: Runbook\n"), @r#"
    rekindle::document::kind: expected a document of kind `Environment`, found `Runbook`
      e.yaml:2:7 "Runbook": this kind
      help: a runbook is named first, an environment with `-e`: are they swapped?
    "#);
    insta::assert_snapshot!(errors("kind: Environment\nname: a/b\ncluster: ..\ntargetz: {}\nvalues: 3\nstores: []\n"), @r#"
    rekindle::environment::missing_field: an environment has no `apiVersion`
      e.yaml:1:1 "kind": `apiVersion` belongs to this map
      help: add `apiVersion:`
    rekindle::environment::wrong_value: `a/b` is not a name for an environment
      e.yaml:2:7 "a/b": this name
      help: begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63
    rekindle::environment::wrong_value: `..` is not a name for a cluster
      e.yaml:3:10 "..": this name
      help: begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63
    rekindle::environment::unknown_field: an environment has no field `targetz`
      e.yaml:4:1 "targetz": not a known field
      help: did you mean `targets`?
    rekindle::environment::wrong_type: `values` must be a map, found an integer
      e.yaml:5:9 "3": expected a map
    rekindle::environment::wrong_type: `stores` must be a map, found a list
      e.yaml:6:9 "[]": expected a map
    "#);
}

#[test]
fn targets_are_checked() {
    let body = "secrets: { root: { env: ROOT } }
targets:
  a: { port: 70000, usr: root }
  b: { host: '', port: '3306', user: 3, password: hunter2 }
  c: { host: h, user: u, password: { secret: rot } }
  d: { host: h, user: u, password: { secret: other } }
  e: { host: '{{ values.host }}', user: u, password: {} }
  'f g': { host: h, user: u }
  g: localhost
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::missing_field: target `a` has no `host`
      e.yaml:6:8 "port": `host` belongs to this map
      help: add `host:`
    rekindle::environment::missing_field: target `a` has no `user`
      e.yaml:6:8 "port": `user` belongs to this map
      help: add `user:`
    rekindle::environment::wrong_value: `port` must be from 1 to 65535, found 70000
      e.yaml:6:14 "70000": this value
      help: write a number in that range
    rekindle::environment::unknown_field: target `a` has no field `usr`
      e.yaml:6:21 "usr": not a known field
      help: did you mean `user`?
    rekindle::environment::wrong_value: `host` is empty
      e.yaml:7:14 "''": this value
      help: write something, or leave the field out
    rekindle::environment::wrong_type: `port` must be an integer, found a string
      e.yaml:7:24 "'3306'": expected an integer
    rekindle::environment::wrong_type: `user` must be a string, found an integer
      e.yaml:7:38 "3": expected a string
      help: quote it: `"3"`
    rekindle::environment::plain_password: a password is never written into an environment
      e.yaml:7:51 "*******": expected `{ secret: NAME }`
      help: declare it under `secrets:` and write `password: { secret: NAME }`
    rekindle::environment::unknown_secret: there is no secret `rot`
      e.yaml:8:46 "rot": not declared under `secrets:`
      help: did you mean `root`?
    rekindle::environment::unknown_secret: there is no secret `other`
      e.yaml:9:46 "other": not declared under `secrets:`
      help: declare it: `secrets: { other: { env: VARIABLE } }`
    rekindle::environment::template_not_allowed: `host` is used as it is written: it cannot hold a template
      e.yaml:10:14 "'{{ values.host }}'": not rendered
      help: write the text itself; `!raw` keeps braces as they are
    rekindle::environment::missing_field: `password` has no `secret`
      e.yaml:10:54 "{}": `secret` belongs to this map
      help: add `secret:`
    rekindle::environment::wrong_value: `f g` is not a name for one of `targets`
      e.yaml:11:3 "'f g'": this name
      help: begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63
    rekindle::environment::wrong_type: target `g` must be a map, found a string
      e.yaml:12:6 "localhost": expected a map
    "#);
}

#[test]
fn a_password_in_an_environment_is_refused_and_not_repeated_in_any_message() {
    for body in [
        "targets: { a: { hots: h, user: u, password: hunter2 } }",
        "secrets: { a: hunter2, b: { evn: B } }",
        "secrets: { a: [\n  'hunter2é',\n  x ] }\nname_: b",
    ] {
        let text = format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{body}\n");
        for error in parse(&Source::new("e.yaml", text)).unwrap_err() {
            let said = format!("{error:?}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn stores_are_checked() {
    let body = "stores:
  a: { url: backups }
  b: { url: file://backups/x }
  c: { url: 'file:' }
  d: { url: 'fil:x' }
  e: { url: gs://bucket }
  f: { uri: x }
  g: { url: ftp://x }
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::wrong_value: `backups` has no scheme
      e.yaml:5:13 "backups": this value
      help: write `file:backups` for a folder of this machine
    rekindle::environment::wrong_value: `file://backups/x` names another machine
      e.yaml:6:13 "file://backups/x": this value
      help: write `file:backups/x` for a relative folder, or `file:///backups/x`
    rekindle::environment::wrong_value: `file:` names no folder
      e.yaml:7:13 "'file:'": this value
      help: write `file:backups` or `file:///var/backups`
    rekindle::environment::wrong_value: there are no `fil:` stores
      e.yaml:8:13 "'fil:x'": this value
      help: did you mean `file:`?
    rekindle::environment::missing_field: store `f` has no `url`
      e.yaml:10:8 "uri": `url` belongs to this map
      help: add `url:`
    rekindle::environment::unknown_field: store `f` has no field `uri`
      e.yaml:10:8 "uri": not a known field
      help: did you mean `url`?
    rekindle::environment::wrong_value: there are no `ftp:` stores
      e.yaml:11:13 "ftp://x": this value
      help: stores are `file:` folders, `s3:` and `gs:` buckets
    "#);
}

#[test]
fn a_secret_has_exactly_one_source() {
    let body = "secrets:
  a: {}
  b: { env: A, file: b }
  c: hunter2
  d: { env: $ROOT }
  e: { command: [] }
  f: { command: vault }
  g: { command: [vault, 1] }
  h: { evn: A }
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::secret_source: secret `a` does not say where its value comes from
      e.yaml:5:3 "a": needs exactly one source
      help: write one of `env: VARIABLE`, `file: PATH` and `command: [program, argument]`
    rekindle::environment::secret_source: secret `b` says more than one place its value comes from
      e.yaml:6:3 "b": needs exactly one source
      help: write one of `env: VARIABLE`, `file: PATH` and `command: [program, argument]`
    rekindle::environment::plain_secret: secret `c` must say where its value comes from
      e.yaml:7:6 "*******": expected `{ env: … }`, `{ file: … }` or `{ command: […] }`
      help: secrets are never written into an environment
    rekindle::environment::wrong_value: `env` is no name of an environment variable
      e.yaml:8:13 "$ROOT": this value
      help: write its name without `$`: letters, digits and `_`
    rekindle::environment::wrong_value: `command` is empty
      e.yaml:9:17 "[]": this value
      help: write `[program, argument]`
    rekindle::environment::wrong_type: `command` must be a list, found a string
      e.yaml:10:17 "vault": expected a list
    rekindle::environment::wrong_type: an argument must be a string, found an integer
      e.yaml:11:25 "1": expected a string
      help: quote it: `"1"`
    rekindle::environment::secret_source: secret `h` does not say where its value comes from
      e.yaml:12:3 "h": needs exactly one source
      help: write one of `env: VARIABLE`, `file: PATH` and `command: [program, argument]`
    rekindle::environment::unknown_field: secret `h` has no field `evn`
      e.yaml:12:8 "evn": not a known field
      help: did you mean `env`?
    "#);
}

#[test]
fn objectives_and_values_are_checked() {
    insta::assert_snapshot!(body_errors("objectives: { rto: 1, rpo: soon, rdo: 1h }\nvalues: { a: { b: ['{{ c }}'] } }\n"), @r#"
    rekindle::environment::wrong_value: `rto` has no unit
      e.yaml:4:20 "1": this value
      help: write the unit: `1s`, `1m` or `1h`
    rekindle::environment::wrong_value: `rpo`: `soon` is no duration
      e.yaml:4:28 "soon": this value
      help: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`
    rekindle::environment::unknown_field: `objectives` has no field `rdo`
      e.yaml:4:34 "rdo": not a known field
      help: did you mean `rpo`?
    rekindle::values::template: `a` holds a template, and values are not rendered
      e.yaml:5:20 "'{{ c }}'": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    "#);
}

#[test]
fn schedules_are_read() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\nschedules:
  backup: { runbook: backup, cron: '*/15 * * * *', timezone: Asia/Seoul, jitter: 30s }
  drill: { runbook: disaster-recovery, cron: '0 3 * * MON' }
";
    let settings = parse(&Source::new("e.yaml", text)).unwrap().settings;
    let backup = &settings.schedules["backup"];
    assert_eq!((backup.cron.as_str(), backup.timezone.as_str()), ("*/15 * * * *", "Asia/Seoul"));
    assert_eq!(backup.jitter.unwrap().0.as_secs(), 30);
    assert_eq!(
        (settings.schedules["drill"].timezone.as_str(), settings.schedules["drill"].jitter),
        ("UTC", None)
    );
    let stored = serde_json::to_value(&settings).unwrap();
    assert_eq!(serde_json::from_value::<Settings>(stored).unwrap(), settings);
    let none = serde_json::to_value(Settings::default()).unwrap();
    assert_eq!(none.get("schedules"), None);
}

#[test]
fn schedules_are_checked_when_they_are_read() {
    let body = "schedules:
  a: { runbook: backup, cron: '61 * * * *' }
  b: { runbook: backup, cron: '0 0 30 2 *' }
  c: { runbook: ../x, cron: '0 0 * * * *' }
  d: { runbook: backup, cron: hourly, timezone: Asia/Soul, jitter: 30 }
  e: { cron: 5, timezone: KST-9x, every: 1h }
  f: backup
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::environment::wrong_value: `61 * * * *` is no cron expression
      e.yaml:5:31 "'61 * * * *'": this value
      help: write five fields, minute hour day month weekday, as in `*/15 * * * *` or `30 2 * * 1-5`
    rekindle::environment::wrong_value: `0 0 30 2 *` never comes
      e.yaml:6:31 "'0 0 30 2 *'": this value
      help: no such day is in any year: correct day and month
    rekindle::environment::wrong_value: `../x` is not a name for a runbook
      e.yaml:7:17 "../x": this name
      help: begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63
    rekindle::environment::wrong_value: `0 0 * * * *` is no cron expression
      e.yaml:7:29 "'0 0 * * * *'": this value
      help: write five fields, minute hour day month weekday, as in `*/15 * * * *` or `30 2 * * 1-5`
    rekindle::environment::wrong_value: `hourly` is no cron expression
      e.yaml:8:31 "hourly": this value
      help: write five fields, minute hour day month weekday, as in `*/15 * * * *` or `30 2 * * 1-5`
    rekindle::environment::wrong_value: there is no time zone `Asia/Soul`
      e.yaml:8:49 "Asia/Soul": this value
      help: did you mean `Asia/Seoul`?
    rekindle::environment::wrong_value: `jitter` has no unit
      e.yaml:8:68 "30": this value
      help: write the unit: `30s`, `30m` or `30h`
    rekindle::environment::missing_field: schedule `e` has no `runbook`
      e.yaml:9:8 "cron": `runbook` belongs to this map
      help: add `runbook:`
    rekindle::environment::wrong_type: `cron` must be a string, found an integer
      e.yaml:9:14 "5": expected a string
      help: quote it: `"5"`
    rekindle::environment::wrong_value: there is no time zone `KST-9x`
      e.yaml:9:27 "KST-9x": this value
      help: write a name of the IANA database, such as `UTC`, `Asia/Seoul` or `Europe/Berlin`
    rekindle::environment::unknown_field: schedule `e` has no field `every`
      e.yaml:9:35 "every": not a known field
      help: it has: runbook, cron, timezone, jitter
    rekindle::environment::wrong_type: schedule `f` must be a map, found a string
      e.yaml:10:6 "backup": expected a map
    "#);
}

#[test]
fn the_journal_may_be_kept_in_a_store_that_is_declared() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\nstores: { a: { url: 's3://shop-runs' } }\n\
                journal: { store: a }\n";
    let read = parse(&Source::new("e.yaml", text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(read.settings.journal, Some(JournalConfig { store: "a".into() }));

    let stores = "stores: { runs: { url: 's3://shop-runs' } }\n";
    insta::assert_snapshot!(body_errors(&format!("{stores}journal: {{ store: run }}\n")), @r#"
    rekindle::environment::unknown_store: there is no store `run`
      e.yaml:5:19 "run": not declared under `stores:`
      help: did you mean `runs`?
    "#);
    insta::assert_snapshot!(body_errors("journal: { store: far, place: x }\n"), @r#"
    rekindle::environment::unknown_store: there is no store `far`
      e.yaml:4:19 "far": not declared under `stores:`
      help: declare it: `stores: { far: { url: "s3://bucket/prefix" } }`
    rekindle::environment::unknown_field: `journal` has no field `place`
      e.yaml:4:24 "place": not a known field
      help: it has: store
    "#);
    insta::assert_snapshot!(body_errors("journal: s3://shop-runs\n"), @r#"
    rekindle::environment::wrong_type: `journal` must be a map, found a string
      e.yaml:4:10 "s3://shop-runs": expected a map
    "#);
}
