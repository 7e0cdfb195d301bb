//! Outputs that may not be there.

use super::fixture::{mistakes, plan};

#[test]
fn outputs_of_a_step_that_the_run_may_skip_need_a_default() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: first, uses: test.work, with: { target: primary } }
  - { id: maybe, uses: test.work, when: steps.first.outputs.bytes > 1, with: { target: primary } }
  - { id: uses, uses: test.work, with: { target: primary, text: "{{ steps.maybe.outputs.uri }}" } }
"#), @r#"
    rekindle::template::undefined: `steps.maybe.outputs.uri` is undefined when `maybe` is skipped
      test.yaml:18:69 "steps.maybe.outputs.uri": its `when` may be false
      help: write `steps.maybe.outputs.uri | default("…")`, or give `uses` a `when` too
    "#);
}

#[test]
fn what_is_done_after_a_failure_can_not_count_on_outputs() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: first, uses: test.work, with: { target: primary } }
on_failure:
  - { id: page, uses: test.work, with: { target: primary, text: "{{ steps.first.outputs.uri }}" } }
"#), @r#"
    rekindle::template::undefined: `steps.first.outputs.uri` is undefined when `first` has not run
      test.yaml:18:69 "steps.first.outputs.uri": a failure may come before it
      help: write `steps.first.outputs.uri | default("…")`, or give `page` a `when` too
    "#);
}

#[test]
fn a_default_a_test_or_a_condition_of_its_own_is_enough() {
    plan(
        r#"
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary } }
  - { id: first, uses: test.work, with: { target: primary } }
  - { id: maybe, uses: test.work, when: steps.first.outputs.bytes > 1, with: { target: primary } }
  - { id: a, uses: test.work, with: { target: primary, text: "{{ steps.maybe.outputs.uri | default('none') }}" } }
  - { id: b, uses: test.work, with: { target: primary, text: "{% if steps.maybe.outputs.uri is defined %}{{ steps.maybe.outputs.uri }}{% endif %}" } }
  - { id: c, uses: test.work, when: steps.first.outputs.bytes > 1, with: { target: primary, text: "{{ steps.maybe.outputs.uri }}" } }
  - { id: d, uses: test.work, needs: [maybe], with: { target: primary } }
on_failure:
  - { id: page, uses: test.work, with: { target: primary, text: "{{ steps.first.outputs.uri | default('none') }}" } }
  - { id: told, uses: test.work, with: { target: primary, text: "{{ steps.find.outputs.uri }}" } }
"#,
    );
}

#[test]
fn what_only_a_probe_makes_possible_is_not_promised_without_one() {
    insta::assert_snapshot!(mistakes(r"
steps:
  - { id: wipe, run: [rm, -r, old], effect: destroy, retry: { attempts: 3 } }
  - { id: look, run: [ls], on_crash: probe }
  - { id: fine, run: [rm, -r, old], effect: destroy, retry: { attempts: 1 } }
"), @r#"
    rekindle::runbook::no_probe: `wipe` destroys, and can't be tried again without a probe
      test.yaml:16:11 "wipe": `run` can't look whether its effect is there
      help: remove `retry`, or give the step another effect if it destroys nothing
    rekindle::runbook::no_probe: `look` can't be probed after a crash
      test.yaml:17:11 "look": `run` can't look whether its effect is there
      help: write `on_crash: ask`, or `rerun` where doing it twice does no harm
    "#);
}
