//! `with:` against the kind: names, types, targets, stores, secrets.

use super::fixture::{mistakes, plan, step};
use crate::plan::Param;

#[test]
fn unknown_and_missing_parameters_are_found_together() {
    insta::assert_snapshot!(mistakes(r"
steps:
  - { id: a, uses: test.work, with: { tarjet: primary } }
  - { id: b, uses: test.work }
  - { id: c, uses: test.work, with: { target: primary, account: { usr: x, password: { secret: root } } } }
"), @r#"
    rekindle::runbook::missing_parameter: `test.work` needs the parameter `target`
      test.yaml:16:20 "test.work": needs `target`
      help: add `target` to `with`: The server to work on.
    rekindle::runbook::unknown_parameter: `test.work` has no parameter `tarjet`
      test.yaml:16:39 "tarjet": not a parameter
      help: did you mean `target`? `rekindle steps test.work` describes its parameters
    rekindle::runbook::missing_parameter: `test.work` needs the parameter `target`
      test.yaml:17:20 "test.work": needs `target`
      help: add `target` to `with`: The server to work on.
    rekindle::runbook::missing_parameter: `test.work` needs the parameter `account.user`
      test.yaml:18:65 "{ usr: x, password: { secret: root } }": needs `user`
      help: add `user` to `with`
    rekindle::runbook::unknown_parameter: `test.work` has no parameter `account.usr`
      test.yaml:18:67 "usr": not a parameter
      help: did you mean `user`? `rekindle steps test.work` describes its parameters
    "#);
}

#[test]
fn several_wrong_types_in_one_step_are_all_found() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - id: a
    uses: test.work
    with:
      target: primary
      count: many
      on: "yes"
      mode: schema
      others: primary
      account: { user: 7, password: { secret: root } }
      wait: "15"
"#), @r#"
    rekindle::runbook::parameter_type: `count` of `test.work` does not fit: invalid type: string "many", expected an integer
      test.yaml:20:14 "many": expected an integer
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `on` of `test.work` does not fit: invalid type: string "yes", expected a boolean
      test.yaml:21:11 "\"yes\"": expected a boolean
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `mode` of `test.work` does not fit: unknown variant `schema`, expected `all` or `schema-only`
      test.yaml:22:13 "schema": expected one of `all`, `schema-only`
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `others` of `test.work` does not fit: invalid type: string "primary", expected a list
      test.yaml:23:15 "primary": expected a list
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `account.user` of `test.work` does not fit: invalid type: integer `7`, expected a string
      test.yaml:24:24 "7": expected a string
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `wait` of `test.work` does not fit: `15` is no duration: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`
      test.yaml:25:13 "\"15\"": expected a string
      help: `rekindle steps test.work` describes its parameters
    "#);
}

#[test]
fn a_wrong_type_beside_an_unknown_is_found() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, with: { target: "{{ steps.a.outputs.uri }}", count: many, on: "{{ values.name }}" } }
  - id: c
    uses: test.work
    with: { target: primary, account: { user: "{{ run.id }}", password: { secret: 1 } }, others: ["{{ run.id }}"] }
"#), @r#"
    rekindle::runbook::parameter_type: `count` of `test.work` does not fit: invalid type: string "many", expected an integer
      test.yaml:17:83 "many": expected an integer
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `on` of `test.work` does not fit: invalid type: string "shop", expected a boolean
      test.yaml:17:93 "\"{{ values.name }}\"": expected a boolean
      help: `rekindle steps test.work` describes its parameters
    rekindle::runbook::parameter_type: `account.password.secret` of `test.work` does not fit: invalid type: integer `1`, expected a string
      test.yaml:20:83 "1": expected a string
      help: `rekindle steps test.work` describes its parameters
    "#);
}

#[test]
fn names_of_the_environment_are_checked_wherever_they_stand() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - id: a
    uses: test.work
    with:
      target: primry
      others: [replica-0, replica-2]
      account: { user: root, password: { secret: rot } }
  - { id: b, uses: backup.find, with: { store: offsite } }
  - { id: c, uses: test.work, for_each: [primary, nowhere], with: { target: "{{ each.value }}" } }
"#), @r#"
    rekindle::runbook::unknown_target: the environment `production` has no target `primry`
      test.yaml:19:15 "primry": not a target
      help: did you mean `primary`?
    rekindle::runbook::unknown_target: the environment `production` has no target `replica-2`
      test.yaml:20:27 "replica-2": not a target
      help: did you mean `replica-0`?
    rekindle::runbook::unknown_secret: the environment `production` has no secret `rot`
      test.yaml:21:50 "rot": not a secret
      help: did you mean `root`?
    rekindle::runbook::unknown_store: the environment `production` has no store `offsite`
      test.yaml:22:48 "offsite": not a store
      help: its stores are primary; declare others under `stores:`
    rekindle::runbook::unknown_target: the environment `production` has no target `nowhere`
      test.yaml:23:77 "\"{{ each.value }}\"": not a target
      help: its targets are primary, replica-0, replica-1; declare others under `targets:`
    "#);
}

#[test]
fn an_output_must_be_able_to_fit_its_parameter() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - id: b
    uses: test.work
    with:
      target: primary
      count: "{{ steps.a.outputs.uri }}"
      on: "x{{ run.id }}"
      text: "{{ steps.a.outputs.names }}"
"#), @r#"
    rekindle::runbook::parameter_type: `count` of `test.work` can't be `steps.a.outputs.uri`
      test.yaml:21:15 "{{ steps.a.outputs.uri }}": this is a string
      help: `count` is an integer
    rekindle::runbook::parameter_type: `on` of `test.work` can't be text with templates in it
      test.yaml:22:12 "x{{ run.id }}": this is a string
      help: `on` is a boolean
    rekindle::runbook::parameter_type: `text` of `test.work` can't be `steps.a.outputs.names`
      test.yaml:23:14 "{{ steps.a.outputs.names }}": this is a list
      help: `text` is a string
    "#);
    plan(
        r#"
steps:
  - { id: a, uses: test.work, with: { target: primary } }
  - { id: b, uses: test.work, with: { target: primary, count: "{{ steps.a.outputs.bytes }}" } }
"#,
    );
}

#[test]
fn rendered_text_never_reaches_a_shell() {
    insta::assert_snapshot!(mistakes(r#"
steps:
  - id: a
    run: |
      set -e
      rm -r "{{ values.name }}"
"#), @r#"
    rekindle::runbook::template_in_script: a script can't hold templates: what they render to would be read by the shell
      test.yaml:19:17 "values.name": a template
      help: pass it through `env:` and write "$NAME", or use a list of arguments; `!raw` keeps braces
    "#);
    let plan = plan(
        r#"
steps:
  - { id: a, run: ["echo", "{{ values.name }}"] }
  - { id: b, run: 'echo "$NAME"', env: { NAME: "{{ values.name }}" } }
  - { id: c, run: !raw "echo {{ .Names }}" }
"#,
    );
    insta::assert_snapshot!(serde_json::to_string(&step(&plan, "a").params).unwrap(), @r#"{"value":{"command":["echo","shop"]}}"#);
    insta::assert_snapshot!(serde_json::to_string(&step(&plan, "c").params).unwrap(), @r#"{"value":{"script":"echo {{ .Names }}"}}"#);
}

#[test]
fn what_a_kind_refuses_is_a_diagnostic() {
    insta::assert_snapshot!(mistakes("steps:\n  - { id: a, uses: test.work, with: { target: primary, text: refuse } }\n"), @r#"
    rekindle::runbook::refused_parameters: that text is refused
      test.yaml:15:37 "{ target: primary, text: refuse }": refused by `test.work`
      help: write another
    "#);
}

#[test]
fn known_parameters_keep_their_types() {
    let plan = plan(
        r#"
steps:
  - id: a
    uses: test.work
    with: { target: primary, count: "{{ values.count }}", on: "{{ values.on }}", text: "n={{ values.count }}" }
"#,
    );
    let expected = serde_json::json!({ "target": "primary", "count": 3, "on": true, "text": "n=3" });
    assert_eq!(step(&plan, "a").params, Param::Value(expected));
}
