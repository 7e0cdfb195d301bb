//! Kinds, references, scopes, cycles: everything that is wrong before a value is looked at.

use super::fixture::mistakes;

#[test]
fn an_unknown_kind_gets_the_nearest_one() {
    insta::assert_snapshot!(mistakes("steps:\n  - { id: a, uses: test.wrok, with: { target: primary } }\n"), @r#"
    rekindle::runbook::unknown_step_kind: there is no step kind `test.wrok`
      test.yaml:15:20 "test.wrok": not a known kind
      help: did you mean `test.work`? `rekindle steps` lists all kinds
    "#);
    insta::assert_snapshot!(mistakes("steps:\n  - { id: a, uses: kubernetes }\n"), @r#"
    rekindle::runbook::unknown_step_kind: there is no step kind `kubernetes`
      test.yaml:15:20 "kubernetes": not a known kind
      help: `rekindle steps` lists all kinds
    "#);
}

#[test]
fn an_effect_is_declared_only_where_it_is_not_known() {
    insta::assert_snapshot!(mistakes("steps:\n  - { id: a, uses: test.work, effect: read, with: { target: primary } }\n"), @r#"
    rekindle::runbook::effect_is_given: the effect of `test.work` is always `write`
      test.yaml:15:39 "read": can't be declared here
      help: remove `effect`; it is for `run` and external kinds, whose effect nobody else knows
    "#);
}

#[test]
fn an_unknown_value_step_or_output_gets_the_nearest_one() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: wait-ready, uses: test.work, with: { target: primary, text: "{{ values.nmae }}" } }
  - { id: a, uses: test.work, with: { target: primary, text: "{{ steps.wait_redy.outputs.uri }}" } }
  - { id: b, uses: test.work, with: { target: primary, text: "{{ steps.wait_ready.outputs.url }}" } }
  - { id: c, uses: test.work, with: { target: primary, text: "{{ steps.wait_ready.uri }}" } }
  - { id: d, uses: test.work, with: { target: primary, text: "{{ steps.wait_ready.outputs.position.gtdi }}" } }
  - { id: e, uses: test.work, with: { target: primary, text: "{{ environment.nam }} {{ run.number }}" } }
  - { id: f, uses: test.work, with: { target: primary, text: "{{ vales.name }} {{ whatever }}" } }
"#), @r#"
    rekindle::runbook::unknown_value: the runbook declares no value `nmae`
      test.yaml:16:75 "values.nmae": not declared
      help: did you mean `values.name`?
    rekindle::runbook::unknown_step: there is no step `wait_redy`
      test.yaml:17:66 "steps.wait_redy.outputs.uri": not a step
      help: did you mean `steps.wait_ready`?
    rekindle::runbook::unknown_output: `test.work` has no output `url`
      test.yaml:18:66 "steps.wait_ready.outputs.url": not an output
      help: did you mean `uri`?
    rekindle::runbook::unknown_output: a step has `outputs`, no `uri`
      test.yaml:19:66 "steps.wait_ready.uri": not an output
      help: write `steps.wait_ready.outputs.uri`
    rekindle::runbook::unknown_output: `test.work` has no output `position.gtdi`
      test.yaml:20:66 "steps.wait_ready.outputs.position.gtdi": not an output
      help: did you mean `gtid`?
    rekindle::template::undefined: `environment` has no `nam`
      test.yaml:21:66 "environment.nam": not defined
      help: did you mean `environment.name`?
    rekindle::template::undefined: `run` has no `number`
      test.yaml:21:88 "run.number": not defined
      help: `run` has id, started_at
    rekindle::template::undefined: there is no name `vales` in templates
      test.yaml:22:66 "vales.name": not defined
      help: did you mean `values`?
    rekindle::template::undefined: there is no name `whatever` in templates
      test.yaml:22:83 "whatever": not defined
      help: templates know values, environment, each, steps, run, failure
    "#);
}

#[test]
fn a_reference_must_be_in_scope() {
    insta::assert_snapshot!(mistakes(r#"
concurrency: { group: "{{ steps.a.outputs.uri }}-{{ run.id }}" }
steps:
  - { id: a, uses: test.work, with: { target: "{{ each.value }}", text: "{{ failure.step }}" } }
  - { id: b, uses: test.work, with: { target: primary, text: "{{ steps.z.outputs.uri }}" } }
  - { id: find, uses: backup.find, phase: plan, with: { store: primary, backup: "{{ run.id }}" } }
  - { id: found, uses: backup.find, phase: plan, with: { store: primary, backup: "{{ steps.a.outputs.uri }}" } }
on_failure:
  - { id: y, uses: test.work, with: { target: primary, text: "{{ steps.z.outputs.uri }} {{ failure.step }}" } }
finally:
  - { id: z, uses: test.work, with: { target: primary, text: "{{ steps.y.outputs.uri }} {{ failure.step }}" } }
"#), @r#"
    rekindle::runbook::out_of_scope: a group can't depend on a step
      test.yaml:15:27 "steps.a.outputs.uri": not here
      help: refer to values or the environment
    rekindle::runbook::out_of_scope: there is no run yet when this is needed
      test.yaml:15:53 "run.id": not here
      help: refer to values or the environment
    rekindle::runbook::out_of_scope: there is no `each` here
      test.yaml:17:51 "each.value": not here
      help: add `for_each` to the step
    rekindle::runbook::out_of_scope: `failure` is known in `on_failure` and `finally` only
      test.yaml:17:77 "failure.step": not here
      help: use it in `on_failure:` or `finally:`
    rekindle::runbook::out_of_scope: `z` runs after `b`
      test.yaml:18:66 "steps.z.outputs.uri": not here
      help: refer to a step of the same section or an earlier one
    rekindle::runbook::out_of_scope: there is no run yet when this is needed
      test.yaml:19:85 "run.id": not here
      help: refer to values or the environment
    rekindle::runbook::plan_phase: `found` runs while planning, `a` only later
      test.yaml:20:86 "steps.a.outputs.uri": not known while planning
      help: refer to values or other plan-phase steps, or give `a` `phase: plan`
    rekindle::runbook::out_of_scope: `z` runs after `y`
      test.yaml:22:66 "steps.z.outputs.uri": not here
      help: refer to a step of the same section or an earlier one
    rekindle::template::undefined: `steps.y.outputs.uri` is undefined when `y` has not run
      test.yaml:24:66 "steps.y.outputs.uri": a failure may come before it
      help: write `steps.y.outputs.uri | default("…")`, or give `z` a `when` too
    rekindle::template::undefined: `failure.step` is undefined when nothing has failed
      test.yaml:24:92 "failure.step": `finally` runs after success too
      help: write `failure.step | default("nothing")`, or move the step to `on_failure:`
    "#);
}

#[test]
fn a_guarded_failure_is_right_in_finally() {
    super::fixture::plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
finally:
  - { id: z, uses: test.work, with: { target: primary, text: "{{ failure.step | default('nothing') }}" } }
"#,
    );
}

#[test]
fn a_template_points_at_its_mistake() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - id: a
    uses: test.work
    when: values.name ==
    with:
      target: '{{ values.name | uper }}'
      text: |
        first line
          second {{ steps.wait-ready.outputs.uri }}
  - id: b
    uses: test.work
    when: "{{ values.count }}"
    with: { target: primary, text: "tab\t{{ values.name" }
  - { id: number, uses: test.work, when: "{{ values.count }}", with: { target: primary } }
  - id: c
    uses: test.work
    when: values.retention.keep_daily > 1
    with: { target: primary, text: "{{ values.retention.keep_daily }}" }
"#), @r#"
    rekindle::template::invalid: template syntax: unexpected end of input, expected expression
      test.yaml:18:23 "==": here
    rekindle::template::invalid: there is no filter `uper`
      test.yaml:20:33 "uper": here
      help: did you mean `upper`?
    rekindle::template::invalid: `steps.wait-ready` is a subtraction
      test.yaml:23:21 "steps.wait-ready.outputs.uri": here
      help: write steps.wait_ready
    rekindle::template::invalid: template syntax: unexpected end of input, expected end of variable block
      test.yaml:27:36 "\"tab\\t{{ values.name\"": here
    rekindle::template::render: a condition must be true or false, this is a number
      test.yaml:28:46 "values.count": here
      help: compare it: `values.name == "x"`, `values.items | length > 0`, `values.name is defined`
    rekindle::template::undefined: `values.retention.keep_daily` is undefined
      test.yaml:31:11 "values.retention.keep_daily": not defined
      help: give it a value, or say what to use instead: `{{ name | default("x") }}`
    "#);
}

#[test]
fn an_undefined_value_beside_an_unknown_is_found_before_the_run() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, with: { target: primary, count: "{{ steps.a.outputs.bytes + values.retention.x }}" } }
  - { id: c, uses: test.work, when: steps.a.outputs.bytes > values.retention.y, with: { target: primary } }
  - { id: d, uses: test.work, when: steps.a.outputs.bytes > values.retention.z | default(1), with: { target: primary } }
"#), @r#"
    rekindle::template::undefined: `values.retention.x` is undefined
      test.yaml:17:91 "values.retention.x": not defined
      help: give it a value, or say what to use instead: `{{ name | default("x") }}`
    rekindle::template::undefined: `values.retention.y` is undefined
      test.yaml:18:61 "values.retention.y": not defined
      help: give it a value, or say what to use instead: `{{ name | default("x") }}`
    "#);
}

#[test]
fn a_cycle_is_printed_as_a_path() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: first, uses: test.work, needs: [c], with: { target: primary } }
  - { id: a, uses: test.work, needs: [c], with: { target: primary } }
  - { id: b, uses: test.work, with: { target: primary, text: "{{ steps.a.outputs.uri }}" } }
  - { id: c, uses: test.work, needs: [b], with: { target: primary } }
  - { id: self, uses: test.work, with: { target: primary, text: "{{ steps.self.outputs.uri }}" } }
finally:
  - { id: y, uses: test.work, with: { target: primary, text: "{{ steps.z.outputs.uri }}" } }
  - { id: z, uses: test.work, with: { target: primary } }
"#), @r#"
    rekindle::runbook::cycle: steps wait for each other: a → c → b → a
      test.yaml:17:39 "c": `a` needs `c`
      test.yaml:19:39 "b": `c` needs `b`
      test.yaml:18:66 "steps.a.outputs.uri": `b` uses an output of `a`
      help: remove one of these, so that one step can be the first
    rekindle::runbook::cycle: steps wait for each other: self → self
      test.yaml:20:69 "steps.self.outputs.uri": `self` uses an output of `self`
      help: remove one of these, so that one step can be the first
    rekindle::runbook::cycle: steps wait for each other: y → z → y
      test.yaml:22:66 "steps.z.outputs.uri": `y` uses an output of `z`
      test.yaml:23:11 "z": `z` stands after `y`
      help: remove one of these, so that one step can be the first
    "#);
}

#[test]
fn only_reading_steps_run_while_planning() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, phase: plan, with: { target: primary } }
  - { id: find, uses: backup.find, phase: plan, needs: [b], with: { store: primary } }
  - { id: b, uses: test.work, with: { target: primary } }
  - { id: every, uses: backup.find, phase: plan, for_each: [primary], with: { store: "{{ each.value }}" } }
"#), @r#"
    rekindle::runbook::plan_phase: `a` can't run while planning: `test.work` may change the world
      test.yaml:16:11 "a": does more than read
      help: remove `phase: plan`; a plan changes nothing
    rekindle::runbook::plan_phase: `find` runs while planning, `b` only later
      test.yaml:17:57 "b": not run while planning
      help: remove it, or give `b` `phase: plan`
    rekindle::runbook::plan_phase: `every` can't run while planning for each of several items
      test.yaml:19:11 "every": has `for_each`
      help: write one step per item, or remove `phase: plan`
    "#);
}

#[test]
fn the_items_of_for_each_must_be_known() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, for_each: "{{ steps.a.outputs.names }}", with: { target: "{{ each.value }}" } }
  - { id: c, uses: test.work, for_each: "{{ values.name }}", with: { target: "{{ each.value }}" } }
  - { id: d, uses: test.work, for_each: { "a/b": primary }, with: { target: "{{ each.value }}" } }
  - { id: e, uses: test.work, for_each: "{{ values.replicas }}", with: { target: "{{ each.valeu }}" } }
  - { id: f, uses: test.work, for_each: "{{ each.value }}", with: { target: primary } }
  - { id: g, uses: test.work, for_each: [replica-0], with: { target: primary } }
  - { id: h, uses: test.work, with: { target: primary, text: "{{ steps.g.outputs.uri }}" } }
"#), @r#"
    rekindle::runbook::for_each: the items of `for_each` must be known when the plan is made, the outputs of `a` are not
      test.yaml:17:45 "steps.a.outputs.names": known after a
      help: use values, or give `a` `phase: plan` if it only reads
    rekindle::runbook::for_each: `for_each` of `c` is `"shop"`, not a list or a map
      test.yaml:18:41 "\"{{ values.name }}\"": expected a list or a map
      help: give it a list (`[a, b]`) or a map (`{ eu: a }`)
    rekindle::runbook::for_each: the key `a/b` of `for_each` can't be part of a step's id
      test.yaml:19:41 "{ \"a/b\": primary }": has such a key
      help: use letters, digits, `-`, `_` and `.` in keys
    rekindle::template::undefined: `each` has no `valeu`
      test.yaml:20:86 "each.valeu": not defined
      help: did you mean `each.value`?
    rekindle::runbook::out_of_scope: `each` is not there yet
      test.yaml:21:45 "each.value": not here
      help: refer to values or plan-phase steps
    rekindle::runbook::unknown_output: `g` runs for each of several items, so its outputs are a list or a map of outputs
      test.yaml:23:66 "steps.g.outputs.uri": not an output
      help: write `steps.g.outputs[0].uri`, or `steps.g.outputs | map(attribute="uri")`
    "#);
}

#[test]
fn a_condition_that_is_no_text_is_refused_whoever_made_the_runbook() {
    // Reading refuses it before; a runbook can be put together in other ways.
    let steps = "steps:\n  - { id: a, uses: run, when: \"true\", with: { command: [a] } }\n";
    let told = super::fixture::mistakes_of(steps, |runbook| {
        if let Some(when) = &mut runbook.steps[0].when {
            when.value = crate::document::NodeValue::Integer(5);
        }
    });
    insta::assert_snapshot!(told, @r#"
    rekindle::runbook::condition: `when` is an integer, not a condition
      test.yaml:15:31 "\"true\"": expected an expression
      help: write an expression such as `values.replicas | length > 0`, or true or false
    "#);
}
