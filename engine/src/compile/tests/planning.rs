//! `phase: plan`: before its result is there, and after.

use serde_json::json;

use super::fixture::{ids, needs, pinned, plan, planned_with, step};
use crate::plan::Param;

const RUNBOOK: &str = r#"
steps:
  - { id: look, uses: backup.find, phase: plan, with: { store: primary, backup: "{{ values.name }}" } }
  - { id: find, uses: backup.find, phase: plan, with: { store: primary, backup: "{{ steps.look.outputs.uri }}" } }
  - { id: each, uses: test.work, for_each: "{{ steps.find.outputs.names }}", with: { target: "{{ each.value }}" } }
  - { id: last, uses: test.work, needs: [each], with: { target: primary, text: "s3://{{ steps.find.outputs.uri }}/y" } }
"#;

fn outputs(names: &[&str]) -> serde_json::Value {
    json!({ "uri": "b", "bytes": 1, "names": names, "position": null })
}

#[test]
fn before_its_result_a_plan_step_is_unknown() {
    let plan = plan(RUNBOOK);
    assert_eq!(ids(&plan.unpinned), ["look", "find"]);
    let ready = Param::Value(json!({ "store": "primary", "backup": "shop" }));
    assert_eq!(step(&plan, "look").params, ready);
    assert!(matches!(step(&plan, "find").params, Param::Map(_)));
    assert_eq!(needs(&plan, "find"), "look (steps.look.outputs.uri)");
    assert_eq!(ids(&plan.steps), ["each[…]", "last"]);
    assert!(step(&plan, "each[…]").each.is_none());
    assert_eq!(needs(&plan, "last"), "each[…]");
    insta::assert_snapshot!(step(&plan, "each[…]").intent.summary, @r#"{"target":"(known after find)"}"#);
    insta::assert_snapshot!(step(&plan, "last").intent.summary, @r#"{"target":"primary","text":"s3://(known after find)/y"}"#);
}

#[test]
fn results_are_pinned_one_after_the_other() {
    let plan = planned_with(RUNBOOK, &[pinned("look", outputs(&[]))]);
    assert_eq!(ids(&plan.unpinned), ["find"]);
    assert_eq!(step(&plan, "find").params, Param::Value(json!({ "store": "primary", "backup": "b" })));
    assert_eq!(needs(&plan, "find"), "");
}

#[test]
fn with_all_results_everything_is_known() {
    let all = [pinned("find", outputs(&["primary", "replica-0"])), pinned("look", outputs(&[]))];
    let plan = planned_with(RUNBOOK, &all);
    assert!(plan.unpinned.is_empty());
    let found: Vec<&str> = plan.pinned.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(found, ["look", "find"]);
    assert_eq!(ids(&plan.steps), ["each[0]", "each[1]", "last"]);
    assert_eq!(step(&plan, "last").params, Param::Value(json!({ "target": "primary", "text": "s3://b/y" })));
}

#[test]
fn a_result_of_a_step_that_is_gone_is_left_out() {
    let plan = planned_with(
        "steps:\n  - { id: a, uses: test.work, with: { target: primary } }\n",
        &[pinned("find", outputs(&[]))],
    );
    assert!(plan.pinned.is_empty());
}

#[test]
fn a_plan_step_that_is_skipped_is_neither_run_nor_pinned() {
    let plan = plan(
        r#"
steps:
  - { id: find, uses: backup.find, phase: plan, when: values.off, with: { store: primary } }
  - { id: a, uses: test.work, with: { target: primary, text: "{{ steps.find.outputs.uri | default('none') }}" } }
"#,
    );
    assert!(plan.unpinned.is_empty());
    assert_eq!(step(&plan, "a").params, Param::Value(json!({ "target": "primary", "text": "none" })));
}
