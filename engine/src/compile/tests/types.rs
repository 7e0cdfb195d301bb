//! What is not known yet has a type, and that is checked.

use serde_json::json;

use super::fixture::{mistakes, plan, registry};
use crate::compile::unknown_types;

#[test]
fn an_output_that_can_not_fit_is_found_wherever_it_stands() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - id: b
    uses: test.work
    with:
      target: "{{ steps.a.outputs.bytes }}"
      on: "{{ steps.a.outputs.bytes }}"
      text: "{{ steps.a.outputs.position }}"
      account: "{{ steps.a.outputs.uri }}"
      others: ["{{ steps.a.outputs.bytes }}"]
  - id: c
    uses: test.work
    with: { target: primary, others: "{{ steps.a.outputs.sizes }}", count: "{{ steps.a.outputs.position.gtid }}" }
  - { id: d, uses: test.work, with: { target: "{{ steps.a.outputs.store }}" } }
"#), @r#"
    rekindle::runbook::parameter_type: `target` of `test.work` can't be `steps.a.outputs.bytes`
      test.yaml:20:16 "{{ steps.a.outputs.bytes }}": this is an integer
      help: `target` is a string
    rekindle::runbook::parameter_type: `on` of `test.work` can't be `steps.a.outputs.bytes`
      test.yaml:21:12 "{{ steps.a.outputs.bytes }}": this is an integer
      help: `on` is a boolean
    rekindle::runbook::parameter_type: `text` of `test.work` can't be `steps.a.outputs.position`
      test.yaml:22:14 "{{ steps.a.outputs.position }}": this is a map
      help: `text` is a string
    rekindle::runbook::parameter_type: `account` of `test.work` can't be `steps.a.outputs.uri`
      test.yaml:23:17 "{{ steps.a.outputs.uri }}": this is a string
      help: `account` is a map
    rekindle::runbook::parameter_type: `others` of `test.work` can't be `steps.a.outputs.bytes`
      test.yaml:24:17 "{{ steps.a.outputs.bytes }}": this is an integer
      help: `others` is a string
    rekindle::runbook::parameter_type: `others` of `test.work` can't be `steps.a.outputs.sizes`
      test.yaml:27:39 "{{ steps.a.outputs.sizes }}": this is a list, each item an integer
      help: `others` is a list, each item the name of a target
    rekindle::runbook::parameter_type: `count` of `test.work` can't be `steps.a.outputs.position.gtid`
      test.yaml:27:77 "{{ steps.a.outputs.position.gtid }}": this is a string
      help: `count` is an integer
    rekindle::runbook::parameter_type: `target` of `test.work` can't be `steps.a.outputs.store`
      test.yaml:28:48 "{{ steps.a.outputs.store }}": this is the name of a store
      help: `target` is the name of a target
    "#);
}

#[test]
fn a_list_or_a_map_inside_text_is_found_before_the_run() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, with: { target: primary, text: "all of {{ steps.a.outputs.names }} and {{ run.id }}" } }
  - { id: c, run: [echo, "at {{ steps.a.outputs.position }}"] }
"#), @r#"
    rekindle::runbook::parameter_type: `text` of `test.work` is text, and `steps.a.outputs.names` can't stand inside text
      test.yaml:17:73 "steps.a.outputs.names": this is a list
      help: join it (`{{ … | join(",") }}`), name a part of it, or make it the whole value
    rekindle::runbook::parameter_type: `command` of `run` is text, and `steps.a.outputs.position` can't stand inside text
      test.yaml:18:33 "steps.a.outputs.position": this is a map
      help: join it (`{{ … | join(",") }}`), name a part of it, or make it the whole value
    "#);
}

#[test]
fn a_condition_that_is_never_true_or_false_is_found() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, with: { target: primary }, when: "{{ steps.a.outputs.bytes }}" }
  - { id: c, uses: test.work, with: { target: primary }, when: steps.a.outputs.names }
"#), @r#"
    rekindle::runbook::condition: `when` is `steps.a.outputs.bytes`, which is an integer, not a condition
      test.yaml:17:64 "\"{{ steps.a.outputs.bytes }}\"": expected true or false
      help: compare it: `… == "x"`, `… > 0`, `… | length > 0`
    rekindle::runbook::condition: `when` is `steps.a.outputs.names`, which is a list, not a condition
      test.yaml:18:64 "steps.a.outputs.names": expected true or false
      help: compare it: `… == "x"`, `… > 0`, `… | length > 0`
    "#);
}

#[test]
fn what_may_fit_is_let_through() {
    plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - id: b
    uses: test.work
    when: steps.a.outputs.bytes > 0
    with:
      target: "{{ steps.a.outputs.uri }}"
      count: "{{ steps.a.outputs.names | length }}"
      text: "{{ steps.a.outputs.names | join(',') }} of {{ steps.a.outputs.bytes }}"
      others: "{{ steps.a.outputs.names }}"
"#,
    );
}

#[test]
fn what_is_not_known_has_a_type_in_the_plan() {
    let plan = plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - id: b
    uses: test.work
    with:
      target: "{{ steps.a.outputs.uri }}"
      count: "{{ steps.a.outputs.bytes }}"
      text: "{{ run.id }}-{{ steps.a.outputs.uri }}"
      others: ["{{ steps.a.outputs.names | first }}", replica-0]
      account: { user: "{{ run.id }}", password: { secret: root } }
"#,
    );
    assert_eq!(
        json!(unknown_types(&plan, &registry())),
        json!({ "b": {
            "/account/user": { "after": ["run"], "type": "a string" },
            "/count": { "after": ["a"], "type": "an integer" },
            "/others/0": { "after": ["a"] },
            "/target": { "after": ["a"], "type": "a string" },
            "/text": { "after": ["run", "a"], "type": "a string" },
        }})
    );
}
