//! Uses of composite kinds: the steps they become, what those see, and what the rest of the plan sees of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;

use super::fixture::{compiled_by, ids, needs, pinned, step, with_composites};
use crate::document::rendering;
use crate::id::{RunId, StepId};
use crate::plan::{Beside, Param, PinnedStep, Plan, Section, Style};
use crate::step::Effect;
use crate::template::{RunScope, groups_run, render, run_context};

pub(super) const RESEED: &str = r#"
values:
  target: { type: target }
  backup: { type: string }
  count: { type: integer, default: 7 }
steps:
  - { id: check, uses: test.work, with: { target: "{{ values.target }}", count: "{{ values.count }}" } }
  - { id: restore, uses: test.restore, needs: [check], with: { target: "{{ values.target }}", text: "{{ values.backup }}" } }
  - { id: look, uses: test.work, with: { target: "{{ values.target }}" } }
outputs:
  uri: "{{ steps.restore.outputs.uri }}"
  note: "loaded {{ values.backup }}"
"#;

fn plan(composites: &[(&str, &str)], sections: &str) -> Plan {
    plan_with(composites, sections, &[])
}

fn plan_with(composites: &[(&str, &str)], sections: &str, pinned: &[PinnedStep]) -> Plan {
    compiled_by(&with_composites(composites), sections, pinned)
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)))
}

fn reseed(sections: &str) -> Plan {
    plan(&[("shop.reseed", RESEED)], sections)
}

/// Renders the parameters of a step as a run does, once these outputs are there.
fn in_run(plan: &Plan, id: &str, outputs: &[(&str, serde_json::Value)]) -> Result<serde_json::Value, String> {
    let outputs: BTreeMap<StepId, _> =
        outputs.iter().map(|(id, outputs)| ((*id).into(), outputs.clone())).collect();
    let (step, run) = (step(plan, id), RunId::from("r1"));
    let started_at = Timestamp::UNIX_EPOCH;
    let scope = RunScope { plan, step, outputs: &outputs, run: &run, started_at, failure: None };
    if !groups_run(&scope).map_err(|error| error.message)? {
        return Ok(json!("skipped"));
    }
    let context = run_context(&scope).map_err(|error| error.message)?;
    render(&step.params, &context).map_err(|error| error.message)
}

#[test]
fn a_use_becomes_the_steps_of_the_group_and_one_that_ends_it() {
    let plan = reseed(
        r#"
steps:
  - { id: first, uses: test.work, with: { target: primary } }
  - id: reseed
    name: Load it
    uses: shop.reseed
    needs: [first]
    with: { target: replica-0, backup: b1 }
  - { id: after, uses: test.work, needs: [reseed], with: { target: primary, text: "{{ steps.reseed.outputs.uri }}" } }
"#,
    );
    assert_eq!(
        ids(&plan.steps),
        ["first", "reseed/check", "reseed/restore", "reseed/look", "reseed", "after"]
    );
    assert_eq!(needs(&plan, "reseed/check"), "first");
    assert_eq!(needs(&plan, "reseed/restore"), "reseed/check");
    assert_eq!(needs(&plan, "reseed/look"), "first");
    assert_eq!(needs(&plan, "reseed"), "reseed/restore, reseed/look");
    assert_eq!(needs(&plan, "after"), "reseed");
    let restore = step(&plan, "reseed/restore");
    assert_eq!(restore.params, Param::Value(json!({ "target": "replica-0", "text": "b1" })));
    assert_eq!((restore.effect, restore.section), (Effect::Destroy, Section::Main));
    assert_eq!(
        step(&plan, "reseed/check").params,
        Param::Value(json!({ "target": "replica-0", "count": 7 }))
    );
    let end = step(&plan, "reseed");
    assert!(end.ends_group() && !restore.ends_group());
    assert_eq!(
        (end.kind.as_str(), end.effect, end.name.as_deref()),
        ("shop.reseed", Effect::Read, Some("Load it"))
    );
    assert_eq!(
        in_run(&plan, "reseed", &[("reseed/restore", json!({ "uri": "u" }))]).unwrap(),
        json!({ "uri": "u", "note": "loaded b1" })
    );
    assert_eq!(
        in_run(&plan, "after", &[("reseed", json!({ "uri": "u" }))]).unwrap(),
        json!({ "target": "primary", "text": "u" })
    );
    let group = &plan.groups[&StepId::from("reseed")];
    assert_eq!(
        (group.kind.as_str(), group.version.as_str(), group.sha256.len()),
        ("shop.reseed", "1.0.0", 64)
    );
}

#[test]
fn what_is_not_known_yet_passes_through_values() {
    let plan = reseed(
        r#"
steps:
  - { id: find, uses: test.work, with: { target: primary } }
  - id: reseed
    uses: shop.reseed
    with: { target: "{{ steps.find.outputs.uri }}", backup: "file:{{ steps.find.outputs.uri }}/x" }
"#,
    );
    let restore = step(&plan, "reseed/restore");
    insta::assert_snapshot!(restore.intent.summary, @r#"{"target":"(known after find)","text":"(known after find)"}"#);
    insta::assert_snapshot!(serde_json::to_string(&plan.shown_params(restore).unknown).unwrap(), @r#"{"/target":"(known after find)","/text":"(known after find)"}"#);
    assert_eq!(needs(&plan, "reseed/check"), "find (steps.find.outputs.uri)");
    let outputs = [("find", json!({ "uri": "replica-1" }))];
    assert_eq!(
        in_run(&plan, "reseed/restore", &outputs).unwrap(),
        json!({ "target": "replica-1", "text": "file:replica-1/x" })
    );
    let missing = in_run(&plan, "reseed/restore", &[]).unwrap_err();
    assert!(missing.contains("undefined"), "{missing}");
}

#[test]
fn a_group_runs_for_each_item_and_so_many_at_once() {
    let plan = reseed(
        r#"
steps:
  - { id: first, uses: test.work, with: { target: primary } }
  - id: reseed
    uses: shop.reseed
    needs: [first]
    for_each: [replica-0, replica-1, primary]
    max_parallel: 2
    with: { target: "{{ each.value }}", backup: "b{{ each.key }}-{{ steps.first.outputs.uri }}" }
  - { id: after, uses: test.work, with: { target: primary, text: "{{ steps.reseed.outputs[1].uri }}" } }
"#,
    );
    assert_eq!(
        ids(&plan.steps[1..6]),
        ["reseed[0]/check", "reseed[0]/restore", "reseed[0]/look", "reseed[0]", "reseed[1]/check"]
    );
    assert_eq!(needs(&plan, "reseed[1]/check"), "first");
    assert_eq!(needs(&plan, "reseed[2]/check"), "first, reseed[0] (order)");
    assert_eq!(needs(&plan, "reseed[2]/look"), "first, reseed[0] (order)");
    assert_eq!(needs(&plan, "reseed[2]"), "reseed[2]/restore, reseed[2]/look");
    assert!(needs(&plan, "after").starts_with("reseed[0] (steps.reseed.outputs.1.uri), reseed[1]"));
    let outputs = [("first", json!({ "uri": "u" }))];
    let rendered = in_run(&plan, "reseed[1]/restore", &outputs).unwrap();
    assert_eq!(rendered, json!({ "target": "replica-1", "text": "b1-u" }));
    let outputs = [("reseed[0]", json!({ "uri": "x" })), ("reseed[1]", json!({ "uri": "y" }))];
    assert_eq!(in_run(&plan, "after", &outputs).unwrap()["text"], json!("y"));
}

#[test]
fn the_condition_of_a_group_holds_for_each_of_its_steps() {
    let plan = reseed(
        r#"
steps:
  - { id: first, uses: test.work, with: { target: primary } }
  - id: reseed
    uses: shop.reseed
    when: steps.first.outputs.bytes > 1
    with: { target: replica-0, backup: "{{ steps.first.outputs.position.gtid }}" }
  - { id: never, uses: shop.reseed, when: values.off, needs: [reseed], with: { target: replica-0, backup: x } }
  - { id: after, uses: test.work, with: { target: primary, text: "{{ steps.never.outputs.uri | default('none') }}" } }
"#,
    );
    assert_eq!(plan.groups[&StepId::from("reseed")].when.as_deref(), Some("steps.first.outputs.bytes > 1"));
    for id in ["reseed/check", "reseed/restore", "reseed"] {
        // Its values can't be rendered either, and need not be.
        assert_eq!(in_run(&plan, id, &[("first", json!({ "bytes": 1 }))]).unwrap(), json!("skipped"), "{id}");
    }
    assert_eq!(ids(&plan.steps[5..]), ["never", "after"]);
    assert!(step(&plan, "never").skipped);
    assert_eq!(step(&plan, "after").params, Param::Value(json!({ "target": "primary", "text": "none" })));
}

#[test]
fn composites_stand_inside_each_other_and_see_their_own_names_only() {
    let outer = r#"
values:
  servers: { type: list, items: target }
  name: { type: string, default: outer }
steps:
  - { id: check, uses: test.work, with: { target: primary, text: "{{ values.name }}" } }
  - id: each-one
    uses: shop.reseed
    for_each: "{{ values.servers }}"
    when: steps.check.outputs.bytes > 0
    with: { target: "{{ each.value }}", backup: "{{ values.name }}/{{ steps.check.outputs.uri }}" }
outputs:
  all: "{{ steps.each_one.outputs | map(attribute='note') }}"
"#;
    let plan = plan(
        &[("shop.reseed", RESEED), ("shop.all", outer)],
        r#"
steps:
  - { id: check, uses: test.work, with: { target: primary } }
  - { id: all, uses: shop.all, with: { servers: "{{ values.replicas }}", name: "{{ steps.check.outputs.uri }}" } }
"#,
    );
    assert_eq!(
        ids(&plan.steps[1..6]),
        [
            "all/check",
            "all/each-one[0]/check",
            "all/each-one[0]/restore",
            "all/each-one[0]/look",
            "all/each-one[0]"
        ]
    );
    assert_eq!(needs(&plan, "all/each-one[1]/look"), "all/check (steps.check.outputs.uri)");
    assert_eq!(needs(&plan, "all"), "all/each-one[0], all/each-one[1]");
    assert_eq!(plan.groups[&StepId::from("all/each-one[0]")].within, Some("all".into()));
    let outputs = [
        ("check", json!({ "uri": "top", "bytes": 0 })),
        ("all/check", json!({ "uri": "inside", "bytes": 1 })),
        ("all/each-one[0]", json!({ "note": "n0" })),
        ("all/each-one[1]", json!({ "note": "n1" })),
    ];
    assert_eq!(
        in_run(&plan, "all/each-one[1]/restore", &outputs).unwrap(),
        json!({ "target": "replica-1", "text": "top/inside" })
    );
    assert_eq!(in_run(&plan, "all", &outputs).unwrap(), json!({ "all": ["n0", "n1"] }));
}

#[test]
fn the_failure_of_a_step_behind_a_skipped_one_still_reaches_the_end_of_the_group() {
    let gap = r"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: gap, uses: test.work, needs: [a], when: false, with: { target: primary } }
  - { id: b, uses: test.work, needs: [gap], with: { target: primary } }
";
    let plan = plan(
        &[("shop.gap", gap)],
        "steps: [{ id: first, uses: test.work, with: { target: primary } }, { id: g, uses: shop.gap, needs: [first] }]",
    );
    assert_eq!(needs(&plan, "g/b"), "g/gap, first");
    assert_eq!(needs(&plan, "g"), "g/a, g/b");
}

#[test]
fn a_plan_phase_step_of_a_group_is_looked_up_once_per_group() {
    let lookup = r#"
values: { store: { type: store } }
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: "{{ values.store }}" } }
  - { id: load, uses: test.work, with: { target: primary, text: "{{ steps.find.outputs.uri }}" } }
outputs: { uri: "{{ steps.find.outputs.uri }}" }
"#;
    let composites = [("shop.load", lookup)];
    let sections =
        "steps: [{ id: load, uses: shop.load, for_each: [primary], with: { store: \"{{ each.value }}\" } }]";
    let unready = plan(&composites, sections);
    assert_eq!(ids(&unready.unpinned), ["load[0]/find"]);
    assert_eq!(ids(&unready.steps), ["load[0]/load", "load[0]"]);
    let ready = plan_with(&composites, sections, &[pinned("load[0]/find", json!({ "uri": "u" }))]);
    assert!(ready.unpinned.is_empty());
    assert_eq!(ready.pinned.len(), 1);
    assert_eq!(
        step(&ready, "load[0]/load").params,
        Param::Value(json!({ "target": "primary", "text": "u" }))
    );
    assert_eq!(step(&ready, "load[0]").params, Param::Value(json!({ "uri": "u" })));
}

#[test]
fn groups_whose_number_a_plan_phase_step_will_tell_are_one_placeholder() {
    let lookup = r#"
values: { names: { type: list, items: string }, one: { type: string } }
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary } }
  - { id: load, uses: test.work, for_each: "{{ values.names }}", with: { target: primary, text: "{{ each.value }}" } }
"#;
    let sections = r#"
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary } }
  - id: load
    uses: shop.load
    for_each: "{{ steps.find.outputs.names }}"
    with: { names: "{{ steps.find.outputs.names }}", one: "{{ each.value }}" }
"#;
    let composites = [("shop.load", lookup)];
    let unready = plan(&composites, sections);
    assert_eq!(ids(&unready.unpinned), ["find"]);
    assert_eq!(ids(&unready.steps), ["load[…]/load[…]", "load[…]"]);
    let ready = plan_with(&composites, sections, &[pinned("find", json!({ "names": ["x", "y"] }))]);
    assert_eq!(ids(&ready.unpinned), ["load[0]/find", "load[1]/find"]);
    assert_eq!(ids(&ready.steps[..3]), ["load[0]/load[0]", "load[0]/load[1]", "load[0]"]);
}

#[test]
fn a_group_at_the_end_runs_in_its_turn() {
    let plan = reseed(
        r#"
steps: [{ id: a, uses: test.work, with: { target: primary } }]
on_failure:
  - { id: undo, uses: shop.reseed, with: { target: primary, backup: "{{ failure.step }}" } }
  - { id: page, uses: test.work, with: { target: primary } }
"#,
    );
    assert!(plan.steps[1..].iter().all(|step| step.section == Section::OnFailure));
    assert_eq!(needs(&plan, "page"), "undo (order)");
    insta::assert_snapshot!(step(&plan, "undo/restore").intent.summary, @r#"{"target":"primary","text":"(known when a step has failed)"}"#);
}

#[test]
fn the_text_of_a_composite_is_in_the_hash_of_a_plan() {
    let sections = "steps: [{ id: r, uses: shop.reseed, with: { target: primary, backup: b } }]";
    let (one, other) = (reseed(sections), plan(&[("shop.reseed", &format!("{RESEED}# more\n"))], sections));
    assert_ne!(one.hash, other.hash);
    let read = Plan::from_json(&one.to_json()).unwrap();
    assert_eq!(read.groups, one.groups);
}

#[test]
fn a_thousand_uses_compile_in_moments() {
    let mut sections = String::from("steps:\n");
    for number in 0..1_000 {
        writeln!(
            sections,
            "  - {{ id: s-{number}, uses: shop.reseed, with: {{ target: primary, backup: b{number} }} }}"
        )
        .unwrap();
    }
    let started = Instant::now();
    let plan = reseed(&sections);
    assert_eq!((plan.steps.len(), plan.groups.len()), (4_000, 1_000));
    // A second or two without optimisation; quadratic work would take minutes here.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn every_view_of_a_plan_shows_groups() {
    let plan = reseed(
        r#"
steps:
  - { id: find, uses: test.work, with: { target: primary } }
  - id: reseed
    name: Load it
    uses: shop.reseed
    for_each: [replica-0]
    when: steps.find.outputs.bytes > 0
    with: { target: "{{ each.value }}", backup: "{{ steps.find.outputs.uri }}" }
  - { id: never, uses: shop.reseed, when: false, with: { target: primary, backup: b } }
"#,
    );
    let text = crate::plan::text(&plan, Beside::default(), Style::Plain);
    insta::assert_snapshot!(text.replace(&plan.hash[..12], "HASH"), @r#"
    test 1.0.0 on production, plan HASH
    · read   + write   ! destroy

    Steps, each after what it needs
      + find  test.work
          {"target":"primary"}
      ▾ reseed[0]  shop.reseed 1.0.0  Load it
          each.value = replica-0
          only when steps.find.outputs.bytes > 0 (decided in the run)
        + reseed[0]/check  test.work
            {"target":"replica-0","count":7}
            after find (inferred from steps.find.outputs.uri)
        ! reseed[0]/restore  test.restore
            {"target":"replica-0","text":"(known after find)"}
            after reseed[0]/check
            text = (known after find)
        + reseed[0]/look  test.work
            {"target":"replica-0"}
            after find (inferred from steps.find.outputs.uri)
        · reseed[0]  when all of these have ended
            uri = (known after reseed[0]/restore)
            note = loaded (known after find)
      - never  shop.reseed  skipped: its `when` is false

    1 read, 3 write, 1 destroy, 1 skipped
    "#);
    let dot = crate::plan::dot(&plan, Beside::default());
    assert!(dot.contains("      label=\"reseed[0]: shop.reseed\";"), "{dot}");
    assert!(crate::plan::mermaid(&plan, Beside::default()).contains("shop.reseed"));
}

#[test]
fn a_plan_names_the_composites_it_was_made_with() {
    let plan = reseed("steps: [{ id: r, uses: shop.reseed, with: { target: primary, backup: b } }]");
    let kind = &plan.origin.kinds["shop.reseed"];
    assert_eq!((kind.version.as_str(), kind.digest.as_ref().map(String::len)), ("1.0.0", Some(64)));
    assert!(plan.origin.kinds.contains_key("test.restore"));
}
