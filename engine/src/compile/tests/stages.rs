//! Mistakes of all stages are found in one look, and one mistake does not look like two.

use std::fmt::Write as _;

use super::fixture::{environment, registry};
use crate::compile::{CompileInput, mistakes};
use crate::document::Source;
use crate::runbook;

/// Gives `line: code` of everything that is wrong with a runbook.
fn all(text: &str) -> String {
    let partly = runbook::parse_partly(&Source::new("test.yaml", text));
    let found = match &partly.runbook {
        Some(runbook) => {
            let (environment, registry) = (environment(), registry());
            let input = CompileInput {
                runbook,
                environment: &environment,
                overrides: &[],
                registry: &registry,
                pinned: &[],
            };
            mistakes(&input, &partly.doubtful, partly.mistakes)
        }
        None => partly.mistakes,
    };
    let mut lines = String::new();
    for diagnostic in found {
        let at = diagnostic.location().unwrap();
        let (line, _) = at.source.line_and_column(at.span.start);
        writeln!(lines, "{line}: {} {}", diagnostic.code, diagnostic.message).unwrap();
    }
    lines
}

const HEAD: &str = "apiVersion: rekindle/v1\nkind: Runbook\nname: test\nversion: 1.0.0\n";

#[test]
fn text_shape_names_types_and_rendering_are_told_together() {
    let steps = "\
steps:
  - { id: a, uses: test.work, with: { target: primary }, timeout: 5 }
  - { id: b, uses: test.work, with: { target: {{ values.x }} } }
  - { id: c, uses: test.wrok }
  - { id: d, uses: test.work, with: { target: primray } }
  - { id: e, uses: test.work, with: { target: primary, text: \"{{ steps.d.outputs.url }}\" }, colour: red }
  - { id: f, uses: test.work, needs: [g], with: { target: primary } }
  - { id: g, uses: test.work, needs: [f], with: { target: replcia-0, target: primary } }
";
    insta::assert_snapshot!(all(&format!("{HEAD}{steps}")), @r"
    6: rekindle::runbook::wrong_value `timeout` has no unit
    7: rekindle::document::unquoted_template a value that starts with a template must be quoted
    8: rekindle::runbook::unknown_step_kind there is no step kind `test.wrok`
    9: rekindle::runbook::unknown_target the environment `production` has no target `primray`
    10: rekindle::runbook::unknown_output `test.work` has no output `url`
    10: rekindle::runbook::unknown_field a step has no field `colour`
    11: rekindle::runbook::cycle steps wait for each other: f → g → f
    12: rekindle::runbook::unknown_target the environment `production` has no target `replcia-0`
    12: rekindle::document::duplicate_key `target` is given twice
    ");
}

#[test]
fn what_refers_to_something_wrong_is_not_wrong_for_that() {
    let steps = "\
values:
  Name: { type: string }
  count: { type: integer, default: many }
  target: { type: target, default: nowhere }
steps:
  - { id: a, uses: test.work, with: primary }
  - { id: b, uses: test.work, for_each: 5, with: { target: \"{{ each.value }}\" } }
  - { id: c, uses: backup.find, phase: plna, with: { store: primary } }
  - { id: d, uses: test.work, needs: [a], with: { target: primary, text: \"{{ steps.a.outputs.uri }}\" } }
  - { id: e, uses: test.work, for_each: \"{{ steps.c.outputs.names }}\", with: { target: primary } }
  - { id: f, uses: test.work, with: { target: primary, count: \"{{ values.count }}\", text: \"{{ values.Name }}\" } }
  - { id: g, uses: test.work, with: { target: \"{{ values.target }}\" } }
  - { id: h, uses: run, with: { command: [a] } }
  - { id: h, uses: test.work, with: { target: primary } }
  - { id: i, uses: test.work, with: { target: primary, text: \"{{ steps.h.outputs.uri }}\" } }
";
    insta::assert_snapshot!(all(&format!("{HEAD}{steps}")), @r"
    6: rekindle::runbook::value_name `Name` is not a name for a value
    7: rekindle::values::wrong_type the default of `count` must be an integer, found a string
    8: rekindle::values::unknown_name the default of `target`: environment `production` has no target `nowhere`
    10: rekindle::runbook::wrong_type `with` must be a map, found a string
    11: rekindle::runbook::wrong_type `for_each` must be a list, a map or a template that gives one, found an integer
    12: rekindle::runbook::wrong_value `phase` cannot be `plna`
    18: rekindle::runbook::duplicate_id two steps have the id `h`
    ");
}

#[test]
fn without_a_list_of_steps_nothing_is_said_about_names() {
    let text = format!(
        "{HEAD}steps:\n  a: {{}}\nfinally:\n  - {{ id: b, run: [a, \"{{{{ steps.a.outputs.uri }}}}\"] }}\n"
    );
    insta::assert_snapshot!(all(&text), @"6: rekindle::runbook::wrong_type `steps` must be a list, found a map");
}
