//! What is told about wrong composites, and about wrong uses of right ones.

use super::composites::RESEED;
use super::fixture::{compiled_by, with_composites};
use crate::document::rendering;

fn mistakes(composites: &[(&str, &str)], sections: &str) -> String {
    let found = compiled_by(&with_composites(composites), sections, &[]).expect_err("all is right");
    rendering::render(&found)
}

fn reseed(sections: &str) -> String {
    mistakes(&[("shop.reseed", RESEED)], sections)
}

const USE_X: &str = "steps: [{ id: x, uses: shop.x }]";

#[test]
fn values_are_checked_where_they_are_given() {
    insta::assert_snapshot!(reseed(r#"
steps:
  - { id: find, uses: test.work, with: { target: primary } }
  - { id: a, uses: shop.reseed, with: { target: nowhere, backup: 5 } }
  - { id: b, uses: shop.reseed, with: { traget: primary, backup: x } }
  - { id: c, uses: shop.reseed, with: { target: primary, backup: x, count: "{{ values.name }}" } }
  - { id: d, uses: shop.reseed, with: { target: primary, backup: "{{ steps.find.outputs.bytes }}" } }
  - { id: e, uses: shop.reseed, for_each: "{{ values.replicas }}", with: { target: "{{ each.value }}-x", backup: y } }
"#), @r#"
    rekindle::values::unknown_name: `target` of `shop.reseed`: environment `production` has no target `nowhere`
      test.yaml:17:49 "nowhere": no such target
      help: it has: primary, replica-0, replica-1
    rekindle::values::wrong_type: `backup` of `shop.reseed` must be a string, found an integer
      test.yaml:17:66 "5": expected a string
      help: quote it if it is meant as text
    rekindle::runbook::missing_parameter: `shop.reseed` needs the parameter `target`
      test.yaml:18:20 "shop.reseed": needs `target`
      help: add `target` to `with`
    rekindle::runbook::unknown_parameter: `shop.reseed` has no parameter `traget`
      test.yaml:18:41 "traget": not a parameter
      help: did you mean `target`? `rekindle steps shop.reseed` describes its parameters
    rekindle::values::wrong_type: `count` of `shop.reseed` must be an integer, found a string
      test.yaml:19:76 "\"{{ values.name }}\"": expected an integer
    rekindle::runbook::parameter_type: `backup` of `shop.reseed` can't be `steps.find.outputs.bytes`
      test.yaml:20:67 "{{ steps.find.outputs.bytes }}": this is an integer
      help: `backup` is a string
    rekindle::values::unknown_name: `target` of `shop.reseed`: environment `production` has no target `replica-0-x`
      test.yaml:21:84 "\"{{ each.value }}-x\"": no such target
      help: did you mean `replica-0`?
    rekindle::values::unknown_name: `target` of `shop.reseed`: environment `production` has no target `replica-1-x`
      test.yaml:21:84 "\"{{ each.value }}-x\"": no such target
      help: did you mean `replica-1`?
    "#);
}

#[test]
fn a_misspelt_kind_may_be_a_composite() {
    insta::assert_snapshot!(reseed("steps: [{ id: a, uses: shop.reseeed, with: { target: primary } }]"), @r#"
    rekindle::runbook::unknown_step_kind: there is no step kind `shop.reseeed`
      test.yaml:14:24 "shop.reseeed": not a known kind
      help: did you mean `shop.reseed`? `rekindle steps` lists all kinds
    "#);
}

#[test]
fn a_group_has_no_attempts_of_its_own() {
    insta::assert_snapshot!(reseed(r"
steps:
  - id: a
    uses: shop.reseed
    with: { target: primary, backup: b }
    retry: { attempts: 2 }
    timeout: 5m
    effect: read
    phase: plan
"), @r#"
    rekindle::composite::not_for_a_group: `a` can't have `retry`: `shop.reseed` is a group of steps
      test.yaml:17:11 "shop.reseed": a composite step kind
      help: give `retry` to the steps in the file of `shop.reseed` that need it
    rekindle::composite::not_for_a_group: `a` can't have `timeout`: `shop.reseed` is a group of steps
      test.yaml:17:11 "shop.reseed": a composite step kind
      help: give `timeout` to the steps in the file of `shop.reseed` that need it
    rekindle::composite::not_for_a_group: `a` can't have `effect`: `shop.reseed` is a group of steps
      test.yaml:17:11 "shop.reseed": a composite step kind
      help: give `effect` to the steps in the file of `shop.reseed` that need it
    rekindle::composite::not_for_a_group: `a` can't have `phase: plan`: `shop.reseed` is a group of steps
      test.yaml:17:11 "shop.reseed": a composite step kind
      help: give `phase: plan` to the steps in the file of `shop.reseed` that need it
    "#);
}

#[test]
fn outputs_are_those_that_the_composite_names() {
    insta::assert_snapshot!(reseed(r#"
steps:
  - { id: a, uses: shop.reseed, with: { target: primary, backup: b } }
  - { id: b, uses: test.work, with: { target: primary, text: "{{ steps.a.outputs.url }}", count: "{{ steps.a.outputs.uri }}" } }
  - { id: c, uses: test.work, with: { target: primary, text: "{{ steps.restore.outputs.uri }}" } }
"#), @r#"
    rekindle::runbook::unknown_output: `shop.reseed` has no output `url`
      test.yaml:17:66 "steps.a.outputs.url": not an output
      help: did you mean `uri`?
    rekindle::runbook::parameter_type: `count` of `test.work` can't be `steps.a.outputs.uri`
      test.yaml:17:99 "{{ steps.a.outputs.uri }}": this is a string
      help: `count` is an integer
    rekindle::runbook::unknown_step: there is no step `restore`
      test.yaml:18:66 "steps.restore.outputs.uri": not a step
      help: name a step of this runbook by its id
    "#);
}

#[test]
fn nothing_from_outside_is_seen_inside() {
    let nosy = r#"
values: { mine: { type: string, default: a } }
steps:
  - { id: a, uses: test.work, with: { target: primary, text: "{{ values.name }}" } }
  - { id: b, uses: test.work, with: { target: primary, text: "{{ steps.outside.outputs.uri }}" } }
  - { id: c, uses: test.work, with: { target: primary, text: "{{ failure.step }}" } }
  - { id: d, uses: test.work, with: { target: primary, text: "{{ each.value }}" } }
outputs:
  x: "{{ steps.outside.outputs.uri }}"
  y: "{{ values.mind }}"
"#;
    insta::assert_snapshot!(mistakes(&[("shop.x", nosy)], r"
steps:
  - { id: outside, uses: test.work, with: { target: primary } }
  - { id: x, uses: shop.x, for_each: [1] }
"), @r#"
    rekindle::runbook::unknown_value: `shop.x` declares no value `name`
      kinds/shop.x.yaml:8:66 "values.name": not declared
      help: it sees no values of runbooks: declare it under `values:` of `shop.x`, and pass it in with `with:`
    rekindle::runbook::unknown_step: there is no step `outside`
      kinds/shop.x.yaml:9:66 "steps.outside.outputs.uri": not a step
      help: `shop.x` sees its own steps only: pass outputs of others in through its `values:`
    rekindle::runbook::out_of_scope: a composite step kind does not see `failure`
      kinds/shop.x.yaml:10:66 "failure.step": not here
      help: declare a value for it, and pass it in with `with:`
    rekindle::runbook::out_of_scope: there is no `each` here
      kinds/shop.x.yaml:11:66 "each.value": not here
      help: add `for_each` to the step, or pass the item in with `with:`, as a value of its own
    rekindle::runbook::unknown_step: there is no step `outside`
      kinds/shop.x.yaml:13:10 "steps.outside.outputs.uri": not a step
      help: `shop.x` sees its own steps only: pass outputs of others in through its `values:`
    rekindle::runbook::unknown_value: `shop.x` declares no value `mind`
      kinds/shop.x.yaml:14:10 "values.mind": not declared
      help: did you mean `values.mine`?
    "#);
}

#[test]
fn a_mistake_that_comes_of_a_value_names_the_use() {
    let x = r#"
values: { on: { type: string } }
steps: [{ id: a, uses: test.work, with: { target: primary, on: "{{ values.on }}" } }]
"#;
    insta::assert_snapshot!(mistakes(&[("shop.x", x)], "steps: [{ id: x, uses: shop.x, with: { on: maybe } }]"), @r#"
    rekindle::runbook::parameter_type: `on` of `test.work` does not fit: invalid type: string "maybe", expected a boolean
      kinds/shop.x.yaml:7:64 "\"{{ values.on }}\"": expected a boolean
      help: `rekindle steps test.work` describes its parameters (as used by `x` at test.yaml:14:9)
    "#);
}

#[test]
fn the_number_of_steps_is_known_while_planning() {
    let x = r#"
values: { names: { type: list, items: string } }
steps:
  - { id: a, uses: test.work, for_each: "{{ values.names }}", with: { target: primary } }
  - { id: b, uses: test.work, for_each: "{{ range(run.id | length) }}", with: { target: primary } }
"#;
    insta::assert_snapshot!(mistakes(&[("shop.x", x)], r#"
steps:
  - { id: find, uses: test.work, with: { target: primary } }
  - { id: x, uses: shop.x, with: { names: "{{ steps.find.outputs.names }}" } }
"#), @r#"
    rekindle::runbook::out_of_scope: there is no run yet when this is needed
      kinds/shop.x.yaml:9:51 "run.id": not here
      help: refer to values or the environment
    rekindle::runbook::for_each: the items of `for_each` must be known when the plan is made, the value `names` is not here
      kinds/shop.x.yaml:8:45 "values.names": known in the run
      help: give `names` what is known while planning (as used by `x` at test.yaml:17:5)
    "#);
}

#[test]
fn a_composite_that_is_wrong_is_told_when_it_is_used() {
    let wrong = [("shop.x", "steps: [{ id: a }]\nouputs: {}\n")];
    insta::assert_snapshot!(mistakes(&wrong, USE_X), @r#"
    rekindle::runbook::missing_field: a step has no `uses`
      kinds/shop.x.yaml:5:11 "id": this step does nothing
      help: name a step kind with `uses:` (`rekindle steps` lists them), or a command with `run:`
    rekindle::runbook::unknown_field: a composite step kind has no field `ouputs`
      kinds/shop.x.yaml:6:1 "ouputs": not a known field
      help: did you mean `outputs`?
    "#);
    let plan =
        compiled_by(&with_composites(&wrong), "steps: [{ id: a, uses: run, with: { command: [a] } }]", &[]);
    assert!(plan.is_ok());
}

#[test]
fn a_composite_is_no_part_of_itself() {
    let a = "steps: [{ id: a, uses: shop.b }]\n";
    let b = "steps: [{ id: b, uses: shop.c }]\n";
    let c = "steps: [{ id: c, uses: shop.b }]\n";
    insta::assert_snapshot!(mistakes(&[("shop.a", a), ("shop.b", b), ("shop.c", c), ("shop.x", "steps: [{ id: x, uses: shop.x }]\n")], r"
steps:
  - { id: one, uses: shop.a }
  - { id: two, uses: shop.x }
"), @r#"
    rekindle::composite::cycle: a step kind can't be part of itself: shop.b → shop.c → shop.b
      kinds/shop.c.yaml:5:24 "shop.b": leads back
      help: take this step out, or let it use another kind
    rekindle::composite::cycle: a step kind can't be part of itself: shop.x → shop.x
      kinds/shop.x.yaml:5:24 "shop.x": leads back
      help: take this step out, or let it use another kind
    "#);
}

#[test]
fn composites_stand_inside_each_other_up_to_a_limit() {
    let texts: Vec<(String, String)> = (0..9)
        .map(|number| {
            let uses = if number == 8 {
                "test.work, with: { target: primary }".to_owned()
            } else {
                format!("shop.k{}", number + 1)
            };
            (format!("shop.k{number}"), format!("steps: [{{ id: s, uses: {uses} }}]\n"))
        })
        .collect();
    let composites: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    insta::assert_snapshot!(mistakes(&composites, "steps: [{ id: a, uses: shop.k0 }]"), @r#"
    rekindle::composite::too_deep: more than 8 composite step kinds stand inside each other
      kinds/shop.k0.yaml:5:24 "shop.k1": this is the step kind that holds 8 others
      help: write some of the inner steps out
    "#);
    assert!(compiled_by(&with_composites(&composites), "steps: [{ id: a, uses: shop.k1 }]", &[]).is_ok());
}

#[test]
fn what_is_there_already_keeps_its_name() {
    let same = [("test.work", "steps: [{ id: a, uses: run, with: { command: [a] } }]\n")];
    insta::assert_snapshot!(mistakes(&same, "steps: [{ id: a, uses: test.work, with: { target: primary } }]"), @r#"
    rekindle::composite::shadows: there is a step kind `test.work` already
      kinds/test.work.yaml:3:7 "test.work": taken
      help: choose another name: what comes with rekindle or as a plugin can't be replaced
    "#);
}

#[test]
fn groups_of_groups_are_bounded() {
    let many = |inner: &str| {
        let with = if inner == "test.work" { ", with: { target: primary }" } else { "" };
        format!("steps: [{{ id: s, uses: {inner}, for_each: \"{{{{ range(80) | list }}}}\"{with} }}]\n")
    };
    let (one, two) = (many("test.work"), many("shop.one"));
    insta::assert_snapshot!(mistakes(&[("shop.one", &one), ("shop.two", &two)], "steps: [{ id: a, uses: shop.two }]"), @r#"
    rekindle::composite::too_many_steps: the plan would have more than 5000 steps
      kinds/shop.two.yaml:5:24 "shop.one": one group too many
      help: use it for fewer items, or in several runbooks
    "#);
}
