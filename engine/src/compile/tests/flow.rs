//! The whole way: what is compiled renders in a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::fixture::{mistakes, plan, step};
use crate::id::RunId;
use crate::template::{RunScope, render, run_context};

#[test]
fn what_was_unknown_is_rendered_in_the_run() {
    let plan = plan(
        r#"
steps:
  - { id: wait-ready, uses: test.work, for_each: "{{ values.regions }}", with: { target: "{{ each.value }}" } }
  - id: b
    uses: test.work
    for_each: [x]
    with:
      target: primary
      text: "{{ each.value }}/{{ run.id }}/{{ steps.wait_ready.outputs.eu.uri }}/{{ values.name }}"
      count: "{{ steps['wait-ready'].outputs.us.bytes }}"
"#,
    );
    let b = step(&plan, "b[0]");
    let outputs = BTreeMap::from([
        ("wait-ready[eu]".into(), json!({ "uri": "u" })),
        ("wait-ready[us]".into(), json!({ "bytes": 7 })),
    ]);
    let run = RunId::from("r1");
    let scope = RunScope {
        plan: &plan,
        step: b,
        outputs: &outputs,
        run: &run,
        started_at: Timestamp::UNIX_EPOCH,
        failure: None,
    };
    assert_eq!(
        render(&b.params, &run_context(&scope).unwrap()).unwrap(),
        json!({ "target": "primary", "text": "x/r1/u/shop", "count": 7 })
    );
}

#[test]
fn mistakes_of_all_stages_come_together_in_source_order() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: nowhere } }
  - { id: b, uses: test.wrk }
  - { id: c, uses: test.work, with: { target: primary, text: "{{ steps.x.outputs.uri }}" } }
  - { id: d, uses: test.work, with: { target: primary, count: "{{ values.name }}" } }
"#), @r#"
    rekindle::runbook::unknown_target: the environment `production` has no target `nowhere`
      test.yaml:16:47 "nowhere": not a target
      help: its targets are primary, replica-0, replica-1; declare others under `targets:`
    rekindle::runbook::unknown_step_kind: there is no step kind `test.wrk`
      test.yaml:17:20 "test.wrk": not a known kind
      help: did you mean `test.work`? `rekindle steps` lists all kinds
    rekindle::runbook::unknown_step: there is no step `x`
      test.yaml:18:66 "steps.x.outputs.uri": not a step
      help: did you mean `steps.a`?
    rekindle::runbook::parameter_type: `count` of `test.work` does not fit: invalid type: string "shop", expected an integer
      test.yaml:19:63 "\"{{ values.name }}\"": expected an integer
      help: `rekindle steps test.work` describes its parameters
    "#);
}
