//! What a plan looks like: edges, instances, sections, conditions, defaults.

use std::time::Duration;

use serde_json::json;

use super::fixture::{ids, needs, plan, step};
use crate::plan::{Param, Section, SourceRole};
use crate::runbook::OnCrash;
use crate::step::Effect;
use crate::values::DurationText;

#[test]
fn edges_say_whether_they_are_declared_or_inferred() {
    let plan = plan(
        r#"
steps:
  - { id: wait-ready, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, needs: [wait-ready], with: { target: primary } }
  - id: c
    uses: test.work
    needs: [b]
    when: steps.b.outputs.bytes > 1
    with: { target: primary, text: "{{ steps.wait_ready.outputs.uri }}/{{ values.name }}/{{ steps.b.outputs.uri }}" }
"#,
    );
    assert_eq!(needs(&plan, "wait-ready"), "");
    assert_eq!(needs(&plan, "b"), "wait-ready");
    assert_eq!(needs(&plan, "c"), "b, wait-ready (steps.wait_ready.outputs.uri)");
    let c = step(&plan, "c");
    assert_eq!(c.when.as_deref(), Some("steps.b.outputs.bytes > 1"));
    insta::assert_snapshot!(serde_json::to_string(&c.params).unwrap(), @r#"{"map":{"target":{"value":"primary"},"text":{"template":"{{ steps.wait_ready.outputs.uri }}/{{ values.name }}/{{ steps.b.outputs.uri }}"}}}"#);
    insta::assert_snapshot!(c.intent.summary, @r#"{"target":"primary","text":"(known after wait-ready)/shop/(known after b)"}"#);
}

#[test]
fn a_step_runs_for_each_item_of_a_list_or_a_map() {
    let plan = plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - id: list
    uses: test.work
    needs: [a]
    max_parallel: 2
    for_each: "{{ values.replicas }}"
    with: { target: "{{ each.value }}", count: "{{ each.key }}" }
  - { id: map, uses: test.work, for_each: "{{ values.regions }}", with: { target: "{{ each.value }}", text: "{{ each.key }}" } }
  - { id: literal, uses: test.work, for_each: [primary, "{{ values.replicas[0] }}"], with: { target: "{{ each.value }}" } }
  - { id: last, uses: test.work, needs: [list], with: { target: primary, text: "{{ steps.map.outputs.eu.uri }}" } }
"#,
    );
    insta::assert_snapshot!(serde_json::to_string(&ids(&plan.steps)).unwrap(), @r#"["a","list[0]","list[1]","map[eu]","map[us]","literal[0]","literal[1]","last"]"#);
    let second = step(&plan, "list[1]");
    assert_eq!(second.definition.as_str(), "list");
    assert_eq!(second.max_parallel, Some(2));
    assert_eq!(second.each, Some(json!({ "key": 1, "value": "replica-1" })));
    assert_eq!(second.params, Param::Value(json!({ "target": "replica-1", "count": 1 })));
    assert_eq!(step(&plan, "map[us]").params, Param::Value(json!({ "target": "replica-1", "text": "us" })));
    assert_eq!(needs(&plan, "list[1]"), "a");
    assert_eq!(
        needs(&plan, "last"),
        "list[0], list[1], map[eu] (steps.map.outputs.eu.uri), map[us] (steps.map.outputs.eu.uri)"
    );
}

#[test]
fn a_step_that_runs_for_no_item_keeps_the_order_through_it() {
    let plan = plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: none, uses: test.work, needs: [a], for_each: "{{ values.nobody }}", with: { target: "{{ each.value }}" } }
  - { id: c, uses: test.work, needs: [none], with: { target: primary, count: "{{ steps.none.outputs | length }}" } }
"#,
    );
    assert_eq!(ids(&plan.steps), ["a", "c"]);
    assert_eq!(needs(&plan, "c"), "a");
    assert_eq!(step(&plan, "c").params, Param::Value(json!({ "target": "primary", "count": 0 })));
}

#[test]
fn the_last_sections_run_in_the_order_written() {
    let plan = plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
on_failure:
  - { id: page, uses: test.work, with: { target: primary, text: "{{ failure.step }} {{ steps.a.outputs.uri | default('nothing') }}" } }
  - { id: mail, uses: test.work, with: { target: primary } }
finally:
  - { id: y, uses: test.work, with: { target: primary, text: "{{ run.id }}" } }
  - { id: z, uses: test.work, needs: [y], with: { target: primary } }
"#,
    );
    assert_eq!(step(&plan, "page").section, Section::OnFailure);
    assert_eq!(needs(&plan, "page"), "");
    assert_eq!(needs(&plan, "mail"), "page (order)");
    assert_eq!(needs(&plan, "y"), "");
    assert_eq!(needs(&plan, "z"), "y");
    insta::assert_snapshot!(step(&plan, "page").intent.summary, @r#"{"target":"primary","text":"(known when a step has failed) (known after a)"}"#);
    insta::assert_snapshot!(step(&plan, "y").intent.summary, @r#"{"target":"primary","text":"(known when the run starts)"}"#);
}

#[test]
fn a_condition_that_is_known_is_decided_now() {
    let plan = plan(
        r#"
steps:
  - { id: on, uses: test.work, when: values.on, with: { target: primary } }
  - { id: off, uses: test.work, when: "{{ values.name == 'other' }}", with: { target: nowhere, text: "{{ values.retention.x }}" } }
  - { id: never, uses: test.work, when: false, with: { target: primary } }
  - id: later
    uses: test.work
    when: "{{ steps.on.outputs.bytes > 0 }}"
    with: { target: primary, text: "{{ steps.off.outputs.uri | default('nothing') }}" }
  - { id: some, uses: test.work, when: each.key == 1, for_each: "{{ values.replicas }}", with: { target: "{{ each.value }}" } }
"#,
    );
    let skipped: Vec<bool> = plan.steps.iter().map(|step| step.skipped).collect();
    assert_eq!(skipped, [false, true, true, false, true, false]);
    let later = step(&plan, "later");
    assert_eq!(later.when.as_deref(), Some("steps.on.outputs.bytes > 0"));
    assert_eq!(later.params, Param::Value(json!({ "target": "primary", "text": "nothing" })));
}

#[test]
fn the_outputs_of_a_step_that_is_skipped_need_a_default() {
    insta::assert_snapshot!(super::fixture::mistakes(r#"
steps:
  - { id: off, uses: test.work, when: values.off, with: { target: primary } }
  - { id: a, uses: test.work, with: { target: primary, text: "{{ steps.off.outputs.uri }}" } }
"#), @r#"
    rekindle::template::undefined: `steps.off.outputs.uri` is undefined
      test.yaml:17:66 "steps.off.outputs.uri": not defined
      help: give it a value, or say what to use instead: `{{ name | default("x") }}`
    "#);
}

#[test]
fn defaults_fill_what_a_step_does_not_say() {
    let plan = plan(
        r#"
defaults: { timeout: 15m, retry: { attempts: 3, delay: 2s } }
concurrency: { group: "recover/{{ environment.cluster }}-{{ values.count }}", on_conflict: wait }
steps:
  - { id: read, uses: backup.find, with: { store: primary } }
  - { id: write, uses: test.work, timeout: 1h, with: { target: primary } }
  - { id: destroy, uses: test.restore, retry: { attempts: 1 }, on_crash: ask, with: { target: primary } }
  - { id: probed, uses: test.restore, deadline: 2h, continue_on_error: true, with: { target: primary } }
  - { id: look, effect: read, run: [ls] }
"#,
    );
    let of = |id| step(&plan, id);
    let minutes = |minutes: u64| Some(DurationText(Duration::from_secs(minutes * 60)));
    assert_eq!((of("read").timeout, of("write").timeout), (minutes(15), minutes(60)));
    assert_eq!(of("read").retry.as_ref().map(|retry| retry.attempts), Some(3));
    assert_eq!(of("destroy").retry.as_ref().map(|retry| retry.attempts), Some(1));
    assert_eq!(of("probed").deadline, minutes(120));
    assert!(of("probed").continue_on_error);
    assert_eq!(of("read").on_crash, OnCrash::Rerun);
    assert_eq!(of("write").on_crash, OnCrash::Ask);
    assert_eq!(of("destroy").on_crash, OnCrash::Ask);
    assert_eq!(of("probed").on_crash, OnCrash::Probe);
    assert_eq!((of("look").effect, of("look").on_crash), (Effect::Read, OnCrash::Rerun));
    assert_eq!(plan.concurrency.as_ref().map(|group| group.name.as_str()), Some("recover/production-3"));
    assert_eq!(plan.hash, plan.compute_hash());
}

#[test]
fn a_plan_says_which_documents_and_kinds_it_was_made_from() {
    let plan = plan("steps: [{ id: a, uses: test.work, with: { target: primary } }, { id: b, run: [ls] }]\n");
    let sources: Vec<_> = plan.origin.sources.iter().map(|source| source.role).collect();
    assert_eq!(sources, [SourceRole::Runbook, SourceRole::Environment]);
    assert_eq!(plan.origin.sources[0].sha256, plan.runbook.sha256);
    let kinds: Vec<_> =
        plan.origin.kinds.iter().map(|(kind, of)| (kind.as_str(), of.version.as_str())).collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(kinds, [("run", version), ("test.work", version)]);
}
