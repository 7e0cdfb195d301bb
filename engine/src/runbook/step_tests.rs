//! What can be wrong with a step.

use super::tests::body_errors;

/// The errors of one step that is right but for `fields`.
fn step_errors(fields: &str) -> String {
    body_errors(&format!("steps:\n- {{ id: a, {fields} }}\n"))
}

#[test]
fn unknown_fields_of_a_step_get_a_suggestion() {
    insta::assert_snapshot!(step_errors("uses: b, timout: 1m, colour: red"), @r#"
    rekindle::runbook::unknown_field: a step has no field `timout`
      r.yaml:6:21 "timout": not a known field
      help: did you mean `timeout`?
    rekindle::runbook::unknown_field: a step has no field `colour`
      r.yaml:6:33 "colour": not a known field
      help: it has: id, name, uses, with, run, env, needs, when, for_each, max_parallel, retry, timeout, deadline, phase, on_crash, effect, continue_on_error
    "#);
}

#[test]
fn ids_are_kebab_case_and_unique_over_all_sections() {
    insta::assert_snapshot!(
        body_errors("steps:\n- { id: a, uses: b }\n- { id: Wait, uses: b }\n- { id: wait-ready, uses: b }\n- { id: wait_ready, uses: b }\n- { uses: b }\n- { id: 5, uses: b }\nfinally:\n- { id: a, uses: b }\n"),
        @r#"
    rekindle::runbook::wrong_value: `Wait` is no step id
      r.yaml:7:9 "Wait": this value
      help: ids are kebab-case: small letters and digits, a letter first, words joined by one `-`, at most 63
    rekindle::runbook::wrong_value: `wait_ready` is no step id
      r.yaml:9:9 "wait_ready": this value
      help: ids are kebab-case: small letters and digits, a letter first, words joined by one `-`, at most 63
    rekindle::runbook::duplicate_id: the ids `wait-ready` and `wait_ready` are the same in templates
      r.yaml:9:9 "wait_ready": used again
      r.yaml:8:9 "wait-ready": first used here
      help: give one of them another id; ids are unique in the whole runbook
    rekindle::runbook::missing_field: a step has no `id`
      r.yaml:10:5 "uses": `id` belongs to this map
      help: add `id:`
    rekindle::runbook::wrong_type: `id` must be a string, found an integer
      r.yaml:11:9 "5": expected a string
      help: quote it: `"5"`
    rekindle::runbook::duplicate_id: two steps have the id `a`
      r.yaml:13:9 "a": used again
      r.yaml:6:9 "a": first used here
      help: give one of them another id; ids are unique in the whole runbook
    "#
    );
}

#[test]
fn needs_name_steps_of_their_own_section() {
    insta::assert_snapshot!(
        body_errors("steps:\n- { id: restore, uses: b, needs: [provison, report, 3] }\n- { id: provision, uses: b, nope: 1 }\non_failure:\n- { id: page, uses: b, needs: restore }\nfinally:\n- { id: report, uses: b, needs: [nothing-like-it] }\n- { id: more, uses: b, needs: { a: b } }\n"),
        @r#"
    rekindle::runbook::unknown_step: there is no step `provison` in `steps`
      r.yaml:6:35 "provison": no such step
      help: did you mean `provision`?
    rekindle::runbook::unknown_step: there is no step `report` in `steps`
      r.yaml:6:45 "report": no such step
      help: it is in `finally`; sections run one after the other, so remove it here
    rekindle::runbook::wrong_type: an item of `needs` must be a string, found an integer
      r.yaml:6:53 "3": expected a string
      help: quote it: `"3"`
    rekindle::runbook::unknown_field: a step has no field `nope`
      r.yaml:7:29 "nope": not a known field
      help: it has: id, name, uses, with, run, env, needs, when, for_each, max_parallel, retry, timeout, deadline, phase, on_crash, effect, continue_on_error
    rekindle::runbook::unknown_step: there is no step `restore` in `on_failure`
      r.yaml:9:31 "restore": no such step
      help: it is in `steps`; sections run one after the other, so remove it here
    rekindle::runbook::unknown_step: there is no step `nothing-like-it` in `finally`
      r.yaml:11:34 "nothing-like-it": no such step
      help: `needs` lists ids of steps of the same section
    rekindle::runbook::wrong_type: `needs` must be a list, found a map
      r.yaml:12:31 "{ a: b }": expected a list
    "#
    );
}

#[test]
fn a_step_does_exactly_one_thing() {
    insta::assert_snapshot!(step_errors("name: nothing"), @r#"
    rekindle::runbook::missing_field: a step has no `uses`
      r.yaml:6:5 "id": this step does nothing
      help: name a step kind with `uses:` (`rekindle steps` lists them), or a command with `run:`
    "#);
    insta::assert_snapshot!(step_errors("uses: b, run: [ls]"), @r#"
    rekindle::runbook::uses_and_run: a step has `uses` or `run`, not both
      r.yaml:6:21 "run": short for `uses: run`
      r.yaml:6:12 "uses": the kind is named here
      help: make two steps of it
    "#);
    insta::assert_snapshot!(step_errors("uses: b, env: { A: x }, with: [1]"), @r#"
    rekindle::runbook::env_without_run: `env` belongs to a step with `run`
      r.yaml:6:21 "env": there is no `run` here
      help: give parameters of this kind under `with:`
    rekindle::runbook::wrong_type: `with` must be a map, found a list
      r.yaml:6:42 "[1]": expected a map
    "#);
    insta::assert_snapshot!(step_errors("run: { a: b }"), @r#"
    rekindle::runbook::wrong_type: `run` must be a list of arguments or a script, found a map
      r.yaml:6:17 "{ a: b }": expected a list of arguments or a script
    "#);
    insta::assert_snapshot!(step_errors("run: [ls], env: [A=x]"), @r#"
    rekindle::runbook::wrong_type: `env` must be a map, found a list
      r.yaml:6:28 "[A=x]": expected a map
    "#);
    insta::assert_snapshot!(step_errors("run: [ls], with: { command: [ps], cwd: . }"), @r#"
    rekindle::runbook::parameter_twice: `command` is given twice
      r.yaml:6:31 "command": given again under `with`
      r.yaml:6:12 "run": first given here
      help: keep one of them
    "#);
    insta::assert_snapshot!(step_errors("uses: ''"), @r#"
    rekindle::runbook::wrong_value: `uses` is empty
      r.yaml:6:18 "''": this value
      help: write something, or leave the field out
    "#);
    insta::assert_snapshot!(step_errors("uses: \"{{ values.kind }}\", name: '{% x %}'"), @r#"
    rekindle::runbook::template_not_allowed: `uses` is used as it is written: it cannot hold a template
      r.yaml:6:18 "\"{{ values.kind }}\"": not rendered
      help: write the text itself; `!raw` keeps braces as they are
    rekindle::runbook::template_not_allowed: `name` is used as it is written: it cannot hold a template
      r.yaml:6:45 "'{% x %}'": not rendered
      help: write the text itself; `!raw` keeps braces as they are
    "#);
}

#[test]
fn durations_counts_and_words_of_a_step_are_checked() {
    insta::assert_snapshot!(
        step_errors("uses: b, timeout: 30, deadline: soon, max_parallel: 0, phase: plann, on_crash: retry, effect: true, continue_on_error: 'yes', when: , for_each: 3"),
        @r#"
    rekindle::runbook::wrong_value: `timeout` has no unit
      r.yaml:6:30 "30": this value
      help: write the unit: `30s`, `30m` or `30h`
    rekindle::runbook::wrong_value: `deadline`: `soon` is no duration
      r.yaml:6:44 "soon": this value
      help: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`
    rekindle::runbook::wrong_value: `max_parallel` must be from 1 to 10000, found 0
      r.yaml:6:64 "0": this value
      help: write a number in that range
    rekindle::runbook::wrong_value: `phase` cannot be `plann`
      r.yaml:6:74 "plann": this value
      help: did you mean `plan`?
    rekindle::runbook::wrong_value: `on_crash` cannot be `retry`
      r.yaml:6:91 "retry": this value
      help: write one of: `probe`, `rerun`, `ask`
    rekindle::runbook::wrong_type: `effect` must be one of `read`, `write`, `destroy`, found a boolean
      r.yaml:6:106 "true": expected one of `read`, `write`, `destroy`
    rekindle::runbook::wrong_type: `continue_on_error` must be `true` or `false`, found a string
      r.yaml:6:131 "'yes'": expected `true` or `false`
    rekindle::runbook::wrong_type: `when` must be an expression, `true` or `false`, found nothing
      r.yaml:6:138 "when": expected an expression, `true` or `false`
    rekindle::runbook::wrong_type: `for_each` must be a list, a map or a template that gives one, found an integer
      r.yaml:6:156 "3": expected a list, a map or a template that gives one
    "#
    );
    insta::assert_snapshot!(step_errors("uses: b, timeout: 0s, deadline: '{{ x }}', max_parallel: 2"), @r#"
    rekindle::runbook::wrong_value: `timeout` must be longer than nothing
      r.yaml:6:30 "0s": this value
      help: leave the field out
    rekindle::runbook::template_not_allowed: `deadline` is used as it is written: it cannot hold a template
      r.yaml:6:44 "'{{ x }}'": not rendered
      help: write the text itself; `!raw` keeps braces as they are
    rekindle::runbook::max_parallel_without_for_each: `max_parallel` belongs to a step with `for_each`
      r.yaml:6:55 "max_parallel": there is no `for_each` here
      help: remove it; `--jobs` limits how many steps run at once
    "#);
}

#[test]
fn retries_are_bounded() {
    insta::assert_snapshot!(
        step_errors("uses: b, retry: { attempts: 0, delay: 2, backoff: 0.5, max_delay: no, jitter: 1.5, tries: 3 }"),
        @r#"
    rekindle::runbook::wrong_value: `attempts` must be from 1 to 1000, found 0
      r.yaml:6:40 "0": this value
      help: write a number in that range
    rekindle::runbook::wrong_value: `delay` has no unit
      r.yaml:6:50 "2": this value
      help: write the unit: `2s`, `2m` or `2h`
    rekindle::runbook::wrong_value: `backoff` must be from 1 to 100, found 0.5
      r.yaml:6:62 "0.5": this value
      help: write a number in that range
    rekindle::runbook::wrong_value: `max_delay`: `no` is no duration
      r.yaml:6:78 "no": this value
      help: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`
    rekindle::runbook::wrong_value: `jitter` must be from 0 to 1, found 1.5
      r.yaml:6:90 "1.5": this value
      help: write a number in that range
    rekindle::runbook::unknown_field: `retry` has no field `tries`
      r.yaml:6:95 "tries": not a known field
      help: it has: attempts, delay, backoff, max_delay, jitter
    "#
    );
    insta::assert_snapshot!(step_errors("uses: b, retry: { attempts: 9999, delay: 2m, max_delay: 1m, backoff: x }"), @r#"
    rekindle::runbook::wrong_value: `attempts` must be from 1 to 1000, found 9999
      r.yaml:6:40 "9999": this value
      help: write a number in that range
    rekindle::runbook::wrong_value: `max_delay` is shorter than `delay` (2m)
      r.yaml:6:68 "1m": this value
      help: make it at least as long
    rekindle::runbook::wrong_type: `backoff` must be a number, found a string
      r.yaml:6:81 "x": expected a number
    "#);
    insta::assert_snapshot!(step_errors("uses: b, retry: { delay: 1s }"), @r#"
    rekindle::runbook::missing_field: `retry` has no `attempts`
      r.yaml:6:30 "delay": `attempts` belongs to this map
      help: add `attempts:`
    "#);
    insta::assert_snapshot!(step_errors("uses: b, retry: 3"), @r#"
    rekindle::runbook::wrong_type: `retry` must be a map, found an integer
      r.yaml:6:28 "3": expected a map
    "#);
}

#[test]
fn the_last_sections_cannot_run_while_planning() {
    insta::assert_snapshot!(
        body_errors("steps: [{ id: a, uses: b }]\non_failure: [{ id: c, uses: b, phase: plan }]\n"), @r#"
    rekindle::runbook::wrong_value: a step of `on_failure` cannot run while planning
      r.yaml:6:39 "plan": this value
      help: put the step under `steps:`; this section may use its outputs
    "#
    );
}
