//! Steps that a patch of the environment takes out.

use serde_json::json;

use super::fixture::{ids, needs, patched, pinned, step};
use crate::document::rendering::render;

const STEPS: &str = "\
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary } }
  - { id: first, uses: test.work, with: { target: primary } }
  - { id: each, uses: test.restore, needs: [first], for_each: \"{{ values.replicas }}\", with: { target: \"{{ each.value }}\" } }
  - { id: last, uses: test.work, needs: [each], with: { target: primary } }
";

fn disable(id: &str) -> String {
    format!("{{ step: {id}, disable: true, reason: not here }}")
}

fn errors(sections: &str, patches: &str) -> String {
    render(&patched(sections, patches, &[]).expect_err("it is right"))
}

#[test]
fn a_disabled_step_stays_in_the_plan_and_what_needs_it_runs() {
    let plan = patched(STEPS, &disable("each"), &[]).unwrap();
    assert_eq!(ids(&plan.steps), ["first", "each", "last"]);
    let each = step(&plan, "each");
    assert_eq!((each.skipped, each.disabled.as_deref(), each.each.is_none()), (true, Some("not here"), true));
    assert_eq!((needs(&plan, "each"), needs(&plan, "last")), ("first".into(), "each".into()));
    assert!(!step(&plan, "last").skipped && step(&plan, "last").disabled.is_none());
}

#[test]
fn a_disabled_step_is_part_of_the_hash() {
    let whole = super::fixture::plan(STEPS);
    let plan = patched(STEPS, &disable("each"), &[]).unwrap();
    assert_ne!(plan.hash, whole.hash);
    assert_eq!(plan.runbook.sha256, whole.runbook.sha256, "the runbook's own text is the same");
}

#[test]
fn a_disabled_step_that_would_run_while_planning_stays_to_be_seen() {
    let plan = patched(STEPS, &disable("find"), &[pinned("find", json!({}))]).unwrap();
    assert!(plan.unpinned.is_empty());
    assert_eq!(step(&plan, "find").disabled.as_deref(), Some("not here"));
    assert_eq!(needs(&plan, "find"), "");
}

#[test]
fn the_outputs_of_a_disabled_step_are_not_used() {
    let using = "  - { id: with, uses: test.work, with: { target: primary, text: \"{{ steps.first.outputs.uri }}\" } }
  - { id: when, uses: test.work, when: \"steps.first.outputs.bytes > 3\", with: { target: primary } }
  - { id: guarded, uses: test.work, with: { target: primary, text: \"{{ steps.first.outputs.uri | default('none') }}\" } }
finally:
  - { id: report, uses: test.work, with: { target: primary, text: \"{{ steps['first'].outputs.uri }}\" } }
";
    insta::assert_snapshot!(errors(&format!("{STEPS}{using}"), &disable("first")), @r#"
    rekindle::patch::disabled_is_used: `first` is disabled, and its outputs are used
      test.yaml:19:69 "steps.first.outputs.uri": there will be no such outputs
      help: it is disabled at production.yaml:12:57 ("not here"): disable or change this step as well, or `replace` that one
    rekindle::patch::disabled_is_used: `first` is disabled, and its outputs are used
      test.yaml:20:41 "steps.first.outputs.bytes": there will be no such outputs
      help: it is disabled at production.yaml:12:57 ("not here"): disable or change this step as well, or `replace` that one
    rekindle::patch::disabled_is_used: `first` is disabled, and its outputs are used
      test.yaml:21:72 "steps.first.outputs.uri": there will be no such outputs
      help: it is disabled at production.yaml:12:57 ("not here"): disable or change this step as well, or `replace` that one
    rekindle::patch::disabled_is_used: `first` is disabled, and its outputs are used
      test.yaml:23:71 "steps['first'].outputs.uri": there will be no such outputs
      help: it is disabled at production.yaml:12:57 ("not here"): disable or change this step as well, or `replace` that one
    "#);
}

#[test]
fn a_disabled_step_uses_nothing() {
    let using = "  - { id: user, uses: test.work, with: { target: primary, text: \"{{ steps.first.outputs.uri }}\" } }\n";
    let patches = format!("{}, {}", disable("first"), disable("user"));
    let plan = patched(&format!("{STEPS}{using}"), &patches, &[]).unwrap();
    assert_eq!(needs(&plan, "user"), "");
    assert_eq!(plan.steps.iter().filter(|step| step.disabled.is_some()).count(), 2);
}

#[test]
fn a_mistake_in_an_inserted_step_points_into_the_environment() {
    let insert =
        "{ after: last, insert: [{ id: more, uses: test.wrok, with: { target: \"{{ values.nmae }}\" } }] }";
    insta::assert_snapshot!(errors(STEPS, insert), @r#"
    rekindle::runbook::unknown_step_kind: there is no step kind `test.wrok`
      production.yaml:12:61 "test.wrok": not a known kind
      help: did you mean `test.work`? `rekindle steps` lists all kinds
    rekindle::runbook::unknown_value: the runbook declares no value `nmae`
      production.yaml:12:92 "values.nmae": not declared
      help: did you mean `values.name`?
    "#);
    let early = "{ before: find, insert: [{ id: more, uses: test.work, with: { target: primary } }] }";
    insta::assert_snapshot!(errors(STEPS, early), @r#"
    rekindle::runbook::plan_phase: `find` runs while planning, `more` only later
      production.yaml:12:50 "more": not run while planning
      help: remove it, or give `more` `phase: plan`
    "#);
}

#[test]
fn inserted_steps_are_ordered_by_where_they_were_put() {
    let insert = "{ after: first, insert: [{ id: more, uses: test.work, with: { target: primary } }] }, \
                  { before: last, insert: [{ id: just, uses: test.work, with: { target: primary } }] }";
    let plan = patched(STEPS, insert, &[]).unwrap();
    assert_eq!(needs(&plan, "more"), "first");
    assert_eq!(needs(&plan, "just"), "each[0], each[1]");
    assert_eq!(needs(&plan, "last"), "each[0], each[1], just");
}
