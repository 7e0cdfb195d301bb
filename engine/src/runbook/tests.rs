use super::*;
use crate::document::rendering::render;

const WHOLE: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: disaster-recovery
version: 1.2.0
summary: Rebuild the cluster from the latest verified backup.
values:
  backup:    { type: string, default: latest, description: "backup id, or latest" }
  manifests: { type: list, items: path }
  replicas:  { type: list, items: target, default: [] }
  level:     { type: string, enum: [objects, content], default: content }
  offsite:   { type: store, default: null }
concurrency: { group: "recover/{{ environment.name }}", on_conflict: wait }
defaults: { timeout: 15m, retry: { attempts: 2 } }
steps:
  - id: find
    uses: backup.find
    phase: plan
    with: { store: primary, backup: "{{ values.backup }}", verified: true }
  - id: wait-ready
    name: Wait for the primary
    uses: mysql.wait-ready
    needs: [find]
    with: { target: primary }
    timeout: 10m
    deadline: 1h
    retry: { attempts: 5, delay: 2m, backoff: 1.5, jitter: 0 }
    on_crash: rerun
  - id: reset-replication
    uses: mysql.reset-replication
    needs: wait-ready
    when: "values.replicas | length > 0"
    for_each: "{{ values.replicas }}"
    max_parallel: 2
    with: { replica: "{{ each.value }}" }
  - id: smoke
    run: [./smoke.sh, "{{ values.backup }}"]
    env: { LEVEL: "{{ values.level }}" }
    effect: read
    continue_on_error: true
  - id: tidy
    run: |
      rm -f leftovers
on_failure:
  - { id: page, uses: notify, with: { text: "recovery failed at {{ failure.step }}" } }
finally:
  - { id: report, uses: report.write, with: { dir: "reports/{{ run.id }}" } }
"#;

pub(super) fn errors(text: &str) -> String {
    match parse(&Source::new("r.yaml", text)) {
        Ok(runbook) => panic!("read without a complaint: {runbook:?}"),
        Err(errors) => render(&errors),
    }
}

/// The errors of a runbook whose header is right; line 1 of `body` is line 5 of the text.
pub(super) fn body_errors(body: &str) -> String {
    errors(&format!("apiVersion: rekindle/v1\nkind: Runbook\nname: r\nversion: 1.0.0\n{body}"))
}

#[test]
fn a_whole_runbook_is_read() {
    let runbook = parse(&Source::new("r.yaml", WHOLE)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(runbook.name.value, "disaster-recovery");
    assert_eq!(runbook.version, semver::Version::new(1, 2, 0));
    assert_eq!(runbook.values[1].kind, ValueType::List(Box::new(ValueType::Path)));
    assert_eq!(runbook.values[3].kind, ValueType::Enum(vec!["objects".into(), "content".into()]));
    assert_eq!(runbook.concurrency.unwrap().on_conflict, OnConflict::Wait);
    assert_eq!(runbook.defaults.retry.unwrap().attempts, 2);
    let [find, ready, reset, smoke, tidy] = &runbook.steps[..] else { panic!("five steps") };
    assert_eq!(find.phase, Phase::Plan);
    let retry = ready.retry.as_ref().unwrap();
    assert_eq!(retry.max_delay, retry.delay, "a delay that was asked for is not cut by the default");
    assert_eq!(ready.on_crash, Some(OnCrash::Rerun));
    assert_eq!(reset.needs[0].value, "wait-ready");
    assert_eq!(reset.max_parallel, Some(2));
    assert_eq!(smoke.uses.value, "run");
    assert!(smoke.continue_on_error);
    let parameters = serde_json::json!({
        "command": ["./smoke.sh", "{{ values.backup }}"], "env": { "LEVEL": "{{ values.level }}" },
    });
    assert_eq!(smoke.with.to_json(), parameters);
    assert_eq!(tidy.with.to_json(), serde_json::json!({ "script": "rm -f leftovers\n" }));
    assert_eq!(runbook.on_failure[0].id.value, "page");
    assert_eq!(runbook.finally[0].id.value, "report");
}

#[test]
fn the_shipped_runbooks_are_read() {
    for text in [
        include_str!("../../../runbooks/backup.yaml"),
        include_str!("../../../runbooks/verify.yaml"),
        include_str!("../../../runbooks/disaster-recovery.yaml"),
    ] {
        parse(&Source::new("shipped.yaml", text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    }
}

#[test]
fn a_format_of_another_version_is_refused_without_noise() {
    insta::assert_snapshot!(errors("apiVersion: rekindle/v2\nkind: Runbook\nnovelty: 1\n"), @r#"
    rekindle::document::api_version: the format `rekindle/v2` is not known
      r.yaml:1:13 "rekindle/v2": not a format this version reads
      help: this version of rekindle reads `rekindle/v1`
    "#);
}

#[test]
fn a_document_of_another_kind_or_shape_is_refused() {
    insta::assert_snapshot!(errors("apiVersion: rekindle/v1\nkind: Environment\nname: e\n"), @r#"
    rekindle::document::kind: expected a document of kind `Runbook`, found `Environment`
      r.yaml:2:7 "Environment": this kind
      help: a runbook is named first, an environment with `-e`: are they swapped?
    "#);
    insta::assert_snapshot!(errors("apiVersion: 1\nkind: Runboo\n"), @r#"
    rekindle::document::api_version: the format `1` is not known
      r.yaml:1:13 "1": not a format this version reads
      help: this version of rekindle reads `rekindle/v1`
    rekindle::document::kind: expected a document of kind `Runbook`, found `Runboo`
      r.yaml:2:7 "Runboo": this kind
      help: write `kind: Runbook`
    "#);
    insta::assert_snapshot!(errors("- a\n"), @r#"
    rekindle::runbook::wrong_type: a runbook must be a map, found a list
      r.yaml:1:1 "- a": expected a map
    "#);
    insta::assert_snapshot!(errors("steps: []\n"), @r#"
    rekindle::runbook::missing_field: a runbook has no `apiVersion`
      r.yaml:1:1 "steps": `apiVersion` belongs to this map
      help: add `apiVersion:`
    rekindle::runbook::missing_field: a runbook has no `kind`
      r.yaml:1:1 "steps": `kind` belongs to this map
      help: add `kind:`
    rekindle::runbook::missing_field: a runbook has no `name`
      r.yaml:1:1 "steps": `name` belongs to this map
      help: add `name:`
    rekindle::runbook::missing_field: a runbook has no `version`
      r.yaml:1:1 "steps": `version` belongs to this map
      help: add `version:`
    rekindle::runbook::wrong_value: `steps` is empty
      r.yaml:1:8 "[]": this value
      help: write at least one step
    "#);
}

#[test]
fn every_mistake_of_the_head_is_told_at_once() {
    insta::assert_snapshot!(
        errors("apiVersion: rekindle/v1\nkind: Runbook\nname: ../up\nversion: 1.0\nsumary: x\nsummary: \"{{ x }}\"\nconcurrency: { on_conflict: fial }\ndefaults: { timeout: 15, retries: 3 }\nsteps: {}\n"),
        @r#"
    rekindle::runbook::wrong_value: `../up` is not a name for a runbook
      r.yaml:3:7 "../up": this name
      help: begin with a letter or digit and use letters, digits, `-`, `_` and `.` only, at most 63
    rekindle::runbook::wrong_value: `version` is a number, not a version
      r.yaml:4:10 "1.0": this value
      help: write three numbers, such as `1.2.0` (semver.org)
    rekindle::runbook::unknown_field: a runbook has no field `sumary`
      r.yaml:5:1 "sumary": not a known field
      help: did you mean `summary`?
    rekindle::runbook::template_not_allowed: `summary` is used as it is written: it cannot hold a template
      r.yaml:6:10 "\"{{ x }}\"": not rendered
      help: write the text itself; `!raw` keeps braces as they are
    rekindle::runbook::missing_field: `concurrency` has no `group`
      r.yaml:7:16 "on_conflict": `group` belongs to this map
      help: add `group:`
    rekindle::runbook::wrong_value: `on_conflict` cannot be `fial`
      r.yaml:7:29 "fial": this value
      help: did you mean `fail`?
    rekindle::runbook::wrong_value: `timeout` has no unit
      r.yaml:8:22 "15": this value
      help: write the unit: `15s`, `15m` or `15h`
    rekindle::runbook::unknown_field: `defaults` has no field `retries`
      r.yaml:8:26 "retries": not a known field
      help: it has: timeout, retry
    rekindle::runbook::wrong_type: `steps` must be a list, found a map
      r.yaml:9:8 "{}": expected a list
    "#
    );
    insta::assert_snapshot!(
        errors("apiVersion: rekindle/v1\nkind: Runbook\nname: r\nversion: 1.2\nfinally: []\nsteps: [x]\nconcurrency: { group: 1 }\n"),
        @r#"
    rekindle::runbook::wrong_value: `version` is a number, not a version
      r.yaml:4:10 "1.2": this value
      help: write three numbers, such as `1.2.0` (semver.org)
    rekindle::runbook::wrong_type: a step must be a map, found a string
      r.yaml:6:9 "x": expected a map
    rekindle::runbook::wrong_type: `group` must be a string, found an integer
      r.yaml:7:23 "1": expected a string
      help: quote it: `"1"`
    "#
    );
    insta::assert_snapshot!(
        errors("apiVersion: rekindle/v1\nkind: Runbook\nname: r\nversion: v1.2.0\nsteps: [{ id: a, uses: b }]\nconcurrency: x\n"),
        @r#"
    rekindle::runbook::wrong_value: `v1.2.0` is no version: unexpected character 'v' while parsing major version number
      r.yaml:4:10 "v1.2.0": this value
      help: write three numbers, such as `1.2.0` (semver.org)
    rekindle::runbook::wrong_type: `concurrency` must be a map, found a string
      r.yaml:6:14 "x": expected a map
    "#
    );
}

#[test]
fn declarations_are_checked() {
    let body = r"
steps: [{ id: a, uses: b }]
values:
  Name:     { type: string }
  steps:    { type: string }
  untyped:  { default: 1 }
  typo:     { type: strng }
  short:    string
  listless: { type: list }
  nested:   { type: list, items: list }
  items:    { type: string, items: string }
  enum_of:  { type: integer, enum: [1] }
  empty:    { type: string, enum: [] }
  numbers:  { type: string, enum: [a, 2] }
  words:    { type: string, descripton: x }
";
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::runbook::value_name: `Name` is not a name for a value
      r.yaml:8:3 "Name": this name
      help: names are snake_case: a small letter, then small letters, digits and `_`
    rekindle::runbook::value_name: the name `steps` is reserved
      r.yaml:9:3 "steps": this name
      help: it means something else in templates: choose another
    rekindle::runbook::missing_field: the declaration of `untyped` has no `type`
      r.yaml:10:15 "default": `type` belongs to this map
      help: add `type:`
    rekindle::runbook::wrong_value: `type` cannot be `strng`
      r.yaml:11:21 "strng": this value
      help: did you mean `string`?
    rekindle::runbook::wrong_type: the declaration of `short` must be a map, found a string
      r.yaml:12:13 "string": expected a map
    rekindle::runbook::wrong_value: a list does not say what its items are
      r.yaml:13:21 "list": this value
      help: add `items: string`, or another type
    rekindle::runbook::wrong_value: lists of lists say what the inner items are
      r.yaml:14:34 "list": this value
      help: write `items: { type: list, items: string }`, or another type
    rekindle::runbook::wrong_value: `items` belongs to `type: list`
      r.yaml:15:29 "items": not for this type
      help: remove it, or change the type
    rekindle::runbook::wrong_value: `enum` belongs to `type: string`
      r.yaml:16:30 "enum": not for this type
      help: remove it, or change the type
    rekindle::runbook::wrong_value: `enum` is empty
      r.yaml:17:35 "[]": this value
      help: list the texts that are allowed
    rekindle::runbook::wrong_type: an item of `enum` must be a string, found an integer
      r.yaml:18:39 "2": expected a string
      help: quote it: `"2"`
    rekindle::runbook::unknown_field: the declaration of `words` has no field `descripton`
      r.yaml:19:29 "descripton": not a known field
      help: did you mean `description`?
    "#);
    insta::assert_snapshot!(body_errors("steps: [{ id: a, uses: b }]\nvalues: [x]\n"), @r#"
    rekindle::runbook::wrong_type: `values` must be a map, found a list
      r.yaml:6:9 "[x]": expected a map
    "#);
}

#[test]
fn defaults_are_of_the_declared_type() {
    let body = r#"
steps: [{ id: a, uses: b }]
values:
  word:     { type: string, enum: [objects, content], default: contents }
  other:    { type: string, enum: [objects, content], default: all }
  text:     { type: string, default: 3 }
  wait:     { type: duration, default: 30 }
  room:     { type: size, default: 10Gb }
  many:     { type: list, items: { type: integer }, default: [1, two, 3.5] }
  rendered: { type: map, default: { a: ["{{ x }}"] } }
  kept:     { type: map, default: { a: [!raw "{{ x }}"] } }
  flag:     { type: boolean, default: yes }
  folder:   { type: path, default: "" }
"#;
    insta::assert_snapshot!(body_errors(body), @r#"
    rekindle::values::wrong_value: the default of `word`: `contents` is not allowed
      r.yaml:8:64 "contents": this value
      help: did you mean `content`?
    rekindle::values::wrong_value: the default of `other`: `all` is not allowed
      r.yaml:9:64 "all": this value
      help: write one of: `objects`, `content`
    rekindle::values::wrong_type: the default of `text` must be a string, found an integer
      r.yaml:10:38 "3": expected a string
      help: quote it if it is meant as text
    rekindle::values::wrong_type: the default of `wait` must be a duration, found an integer
      r.yaml:11:40 "30": expected a duration
      help: write the unit too
    rekindle::values::wrong_value: the default of `room`: `10Gb` is no size
      r.yaml:12:36 "10Gb": this value
      help: write a number with a unit, such as `512KiB`, `64MiB` or `10GB`
    rekindle::values::wrong_type: the default of `many` must be an integer, found a string
      r.yaml:13:66 "two": expected an integer
    rekindle::values::wrong_type: the default of `many` must be an integer, found a number
      r.yaml:13:71 "3.5": expected an integer
    rekindle::values::template: the default of `rendered` holds a template, and values are not rendered
      r.yaml:14:41 "\"{{ x }}\"": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    rekindle::values::wrong_type: the default of `flag` must be `true` or `false`, found a string
      r.yaml:16:39 "yes": expected `true` or `false`
    rekindle::values::wrong_value: the default of `folder`: a path is not empty
      r.yaml:17:36 "\"\"": this value
      help: name a file or folder
    "#);
}
