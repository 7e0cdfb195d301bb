use std::fmt::Write;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::document::rendering::render;
use crate::document::{Source, parse as parse_document};
use crate::{environment, runbook};

const RUNBOOK: &str = "apiVersion: rekindle/v1
kind: Runbook
name: r
version: 1.0.0
values:
  store: { type: store, default: primary }
  backup: { type: string, default: latest }
  replicas: { type: list, items: target, default: [] }
  retention: { type: map, default: { keep_last: 7, keep_within: 7d } }
  wait: { type: duration, default: 5m }
  jobs: { type: integer, default: 4 }
  offsite: { type: store, default: null }
steps: [{ id: a, uses: b }]
";

const ENVIRONMENT: &str = "apiVersion: rekindle/v1
kind: Environment
name: production
targets: { primary: { host: h, user: u }, replica-0: { host: h, user: u } }
stores: { primary: { url: 'file:a' }, second: { url: 'file:b' } }
";

/// A runbook and an environment, with overrides to come.
struct Case {
    runbook: String,
    environment: String,
    overrides: Vec<Override>,
}

fn case() -> Case {
    Case { runbook: RUNBOOK.to_owned(), environment: ENVIRONMENT.to_owned(), overrides: Vec::new() }
}

impl Case {
    fn declare(mut self, lines: &str) -> Self {
        self.runbook = self.runbook.replace("values:\n", &format!("values:\n{lines}"));
        self
    }

    fn environment(mut self, values: &str) -> Self {
        writeln!(self.environment, "values: {values}").unwrap();
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.overrides.push(Override::File(parse_document(&Source::new("more.yaml", text)).unwrap()));
        self
    }

    fn set(mut self, argument: &str) -> Self {
        self.overrides.push(parse_set(argument).unwrap());
        self
    }

    fn resolve(&self) -> Result<Resolved, Vec<Diagnostic>> {
        let runbook = runbook::parse(&Source::new("r.yaml", self.runbook.as_str())).unwrap();
        let environment = environment::parse(&Source::new("e.yaml", self.environment.as_str())).unwrap();
        resolve(&runbook, &environment, &self.overrides)
    }

    fn values(&self) -> serde_json::Value {
        self.resolve().unwrap_or_else(|errors| panic!("{}", render(&errors))).values
    }

    fn errors(&self) -> String {
        render(&self.resolve().unwrap_err())
    }
}

#[test]
fn higher_layers_win_and_say_where_they_are() {
    let case = case()
        .environment("{ backup: b1, jobs: 1, wait: 1m, of_another_runbook: 3 }")
        .file("backup: b2\njobs: 2\n")
        .file("backup: b3\n")
        .set("backup=b4")
        .set("backup=b5");
    let resolved = case.resolve().unwrap();
    let expected = serde_json::json!({
        "store": "primary", "backup": "b5", "replicas": [], "retention": { "keep_last": 7, "keep_within": "7d" },
        "wait": "1m", "jobs": 2, "offsite": null,
    });
    assert_eq!(resolved.values, expected);
    let names: Vec<_> = resolved.values.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["store", "backup", "replicas", "retention", "wait", "jobs", "offsite"]);
    let place = |path: &str| resolved.provenance[path].to_string();
    assert_eq!(place("store"), "r.yaml:6:34");
    assert_eq!(place("wait"), "e.yaml:6:38");
    assert_eq!(place("jobs"), "more.yaml:2:7");
    assert_eq!(place("backup"), "--set backup=b5:1:8");
    assert_eq!(place("retention.keep_within"), "r.yaml:9:65");
}

#[test]
fn maps_merge_lists_replace_and_null_deletes() {
    let case = case()
        .environment("{ replicas: [primary, replica-0], retention: { keep_daily: 30, keep_within: null } }")
        .file("replicas: [replica-0]\n")
        .set("retention.keep_last=3");
    let resolved = case.resolve().unwrap();
    assert_eq!(resolved.values["replicas"], serde_json::json!(["replica-0"]));
    assert_eq!(resolved.values["retention"], serde_json::json!({ "keep_last": 3, "keep_daily": 30 }));
    assert!(!resolved.provenance.contains_key("retention.keep_within"));
    assert_eq!(resolved.provenance["retention.keep_last"].to_string(), "--set retention.keep_last=3:1:21");
}

#[test]
fn null_takes_a_value_back_to_its_default() {
    let case = case()
        .environment("{ backup: b1, retention: { keep_daily: 1 } }")
        .file("backup: null\nretention: ~\n");
    assert_eq!(case.values()["backup"], "latest");
    assert_eq!(case.values()["retention"], serde_json::json!({ "keep_last": 7, "keep_within": "7d" }));
    let required = case.declare("  must: { type: string }\n").set("must=x").set("must=null");
    assert!(required.errors().contains("rekindle::values::missing"));
}

#[test]
fn set_reads_scalars_lists_and_maps_and_takes_text_where_text_is_declared() {
    let case = case()
        .declare("  tags: { type: list, items: string, default: [] }\n")
        .set("backup=3")
        .set("jobs=3")
        .set("tags=[1, true, 'x y', 0x1F]")
        .set("retention={keep_last: 1}")
        .set("retention.note=a: b # c")
        .set("offsite=second");
    let values = case.values();
    assert_eq!(values["backup"], "3");
    assert_eq!(values["jobs"], 3);
    assert_eq!(values["tags"], serde_json::json!(["1", "true", "x y", "0x1F"]));
    assert_eq!(
        values["retention"],
        serde_json::json!({ "keep_last": 1, "keep_within": "7d", "note": "a: b # c" })
    );
    assert_eq!(super::tests::case().set("backup=").values()["backup"], "");
    assert_eq!(super::tests::case().set("backup=a=b").values()["backup"], "a=b");
    assert_eq!(super::tests::case().set("backup=!raw '{{ x }}'").values()["backup"], "{{ x }}");
}

#[test]
fn arguments_of_set_that_cannot_be_read_are_refused() {
    let all: Vec<_> =
        ["backup", "=x", "a..b=1", "a b=1", "jobs=[1, 2", "jobs=99999999999999999999", "jobs={a: {{ x }}}"]
            .iter()
            .map(|argument| render(&[parse_set(argument).unwrap_err()]))
            .collect();
    insta::assert_snapshot!(all.join(""), @r#"
    rekindle::values::set_syntax: `--set` needs a value
      --set backup:1:1 "backup": there is no `=`
      help: write `--set name=value`
    rekindle::values::set_syntax: `` names no value
      --set =x:1:1 "": an empty name, or blanks in it
      help: write `--set name=value` or `--set map.key=value`
    rekindle::values::set_syntax: `a..b` names no value
      --set a..b=1:1:1 "a..b": an empty name, or blanks in it
      help: write `--set name=value` or `--set map.key=value`
    rekindle::values::set_syntax: `a b` names no value
      --set a b=1:1:1 "a b": an empty name, or blanks in it
      help: write `--set name=value` or `--set map.key=value`
    rekindle::document::syntax: `[` is opened but not closed
      --set jobs=[1, 2:1:6 "[1,": here
      help: close the bracket
    rekindle::values::set_syntax: this integer does not fit 64 bits
      --set jobs=99999999999999999999:1:6 "99999999999999999999": this value
      help: quote it if it is meant as text
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      --set jobs={a: {{ x }}}:1:10 "{{ x }}": YAML reads these braces as a map
      help: write `"{{ x }}"`
    "#);
}

#[test]
fn a_mismatch_points_at_the_layer_that_set_it() {
    let case = case()
        .environment("{ backup: 3, jobs: many, retention: [1] }")
        .file("wait: 30\nreplicas: replica-0\n")
        .set("jobs=1.5")
        .set("wait=soon");
    insta::assert_snapshot!(case.errors(), @r#"
    rekindle::values::wrong_type: `backup` must be a string, found an integer
      e.yaml:6:19 "3": expected a string
      help: quote it if it is meant as text
    rekindle::values::wrong_type: `replicas` must be a list, found a string
      more.yaml:2:11 "replica-0": expected a list
    rekindle::values::wrong_type: `retention` must be a map, found a list
      e.yaml:6:45 "[1]": expected a map
    rekindle::values::wrong_type: `wait` must be a duration, found an integer
      more.yaml:1:7 "30": expected a duration
      help: write the unit too
    rekindle::values::wrong_value: `wait`: `soon` is no duration
      --set wait=soon:1:6 "soon": this value
      help: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`
    rekindle::values::wrong_type: `jobs` must be an integer, found a string
      e.yaml:6:28 "many": expected an integer
    rekindle::values::wrong_type: `jobs` must be an integer, found a number
      --set jobs=1.5:1:6 "1.5": expected an integer
    "#);
}

#[test]
fn names_of_targets_and_stores_must_exist() {
    let case =
        case().environment("{ replicas: [primary, replica-1] }").set("store=secnd").set("offsite=cloud");
    insta::assert_snapshot!(case.errors(), @r#"
    rekindle::values::unknown_name: `store`: environment `production` has no store `secnd`
      --set store=secnd:1:7 "secnd": no such store
      help: did you mean `second`?
    rekindle::values::unknown_name: `replicas`: environment `production` has no target `replica-1`
      e.yaml:6:31 "replica-1": no such target
      help: did you mean `replica-0`?
    rekindle::values::unknown_name: `offsite`: environment `production` has no store `cloud`
      --set offsite=cloud:1:9 "cloud": no such store
      help: it has: primary, second
    "#);
    let mut nowhere = super::tests::case();
    nowhere.environment = "apiVersion: rekindle/v1\nkind: Environment\nname: bare\n".to_owned();
    insta::assert_snapshot!(nowhere.errors(), @r#"
    rekindle::values::unknown_name: the default of `store`: environment `bare` has no store `primary`
      r.yaml:6:34 "primary": no such store
      help: add it to `stores:` of the environment
    "#);
}

#[test]
fn undeclared_names_are_refused_except_in_the_environment() {
    let case = case().file("bakup: x\n").set("colour=red").set("retentoin.keep_last=3").set("jobs.max=3");
    insta::assert_snapshot!(case.errors(), @r#"
    rekindle::values::unknown_value: runbook `r` has no value `bakup`
      more.yaml:1:1 "bakup": not declared under `values:`
      help: did you mean `backup`?
    rekindle::values::unknown_value: runbook `r` has no value `colour`
      --set colour=red:1:1 "colour": not declared under `values:`
      help: it takes: store, backup, replicas, retention, wait, jobs, offsite
    rekindle::values::unknown_value: runbook `r` has no value `retentoin`
      --set retentoin.keep_last=3:1:1 "retentoin.keep_last": not declared under `values:`
      help: did you mean `retention`?
    rekindle::values::no_keys: `jobs` is an integer: it has no key `max`
      --set jobs.max=3:1:1 "jobs.max": only maps have keys
      help: write `--set jobs=…`
    "#);
    let mut nothing = super::tests::case().set("a=1");
    nothing.runbook =
        "apiVersion: rekindle/v1\nkind: Runbook\nname: r\nversion: 1.0.0\nsteps: [{ id: a, uses: b }]\n"
            .to_owned();
    insta::assert_snapshot!(nothing.errors(), @r#"
    rekindle::values::unknown_value: runbook `r` has no value `a`
      --set a=1:1:1 "a": not declared under `values:`
      help: this runbook takes no values
    "#);
    insta::assert_snapshot!(super::tests::case().file("[a]").errors(), @r#"
    rekindle::values::wrong_type: a values file must be a map, found a list
      more.yaml:1:1 "[a]": expected a map
      help: write `name: value` lines
    "#);
}

#[test]
fn a_value_without_default_must_be_given() {
    let case = case()
        .declare("  cluster: { type: string }\n  primary_target: { type: target }\n")
        .environment("{ clustr: x }");
    insta::assert_snapshot!(case.errors(), @r#"
    rekindle::values::missing: the value `cluster` is not set and has no default
      r.yaml:6:3 "cluster": declared here as a string
      help: environment `production` has a value `clustr`: is `cluster` meant?
    rekindle::values::missing: the value `primary_target` is not set and has no default
      r.yaml:7:3 "primary_target": declared here as the name of a target
      help: set it under `values:` of environment `production`, or with `--set primary_target=…`
    "#);
}

#[test]
fn values_hold_no_templates() {
    let case =
        case().file("backup: '{{ values.store }}'\nretention: { a: [ '{% x %}' ] }\n").set("store={# x #}");
    insta::assert_snapshot!(case.errors(), @r#"
    rekindle::values::template: `store` holds a template, and values are not rendered
      --set store={# x #}:1:7 "{# x #}": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    rekindle::values::template: `backup` holds a template, and values are not rendered
      more.yaml:1:9 "'{{ values.store }}'": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    rekindle::values::template: `retention` holds a template, and values are not rendered
      more.yaml:2:19 "'{% x %}'": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    "#);
}
