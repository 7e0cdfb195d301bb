//! A runbook of any length with steps as people write them, and mistakes of every kind spread over it.

use std::fmt::Write as _;

/// A runbook, and what is wrong with it.
pub(crate) struct Large {
    pub(crate) text: String,
    /// The line (from 1) and the code of each mistake, in the order of the text.
    pub(crate) mistakes: Vec<(usize, &'static str)>,
}

const HEAD: &str = r#"apiVersion: rekindle/v1
kind: Runbook
name: large
version: 1.0.0
values:
  target: { type: target, default: primary }
  store: { type: store, default: primary }
  level: { type: string, default: content }
  loud: { type: boolean, default: true }
concurrency:
  group: "large/{{ environment.cluster }}"
steps:
"#;

/// One mistake each; `#` is the step's number.
const MISTAKES: [(&str, &str); 25] = [
    ("document::duplicate_key", "{ id: m-#, run: [a], name: x, name: y }"),
    ("document::unquoted_template", "{ id: m-#, run: [a], name: {{ values.target }} }"),
    ("runbook::unknown_field", "{ id: m-#, run: [\"true\"], timout: 3s }"),
    ("runbook::wrong_type", "{ id: m-#, run: [\"true\"], continue_on_error: \"yes\" }"),
    ("runbook::wrong_value", "{ id: m-#, run: [\"true\"], timeout: 5 }"),
    ("runbook::missing_field", "{ id: m-# }"),
    ("runbook::uses_and_run", "{ id: m-#, uses: run, run: [\"true\"] }"),
    ("runbook::parameter_twice", "{ id: m-#, run: [a], with: { command: [b] } }"),
    ("runbook::template_not_allowed", "{ id: m-#, run: [a], name: \"{{ values.target }}\" }"),
    ("runbook::duplicate_id", "{ id: dump-0, run: [a] }"),
    ("runbook::unknown_step", "{ id: m-#, run: [a], needs: [dupm-0] }"),
    ("runbook::unknown_step", "{ id: m-#, run: [a, \"{{ steps.dupm_0.outputs.uri }}\"] }"),
    ("runbook::unknown_step_kind", "{ id: m-#, uses: mysql.dmup }"),
    ("runbook::unknown_value", "{ id: m-#, run: [a, \"{{ values.tagret }}\"] }"),
    ("runbook::unknown_output", "{ id: m-#, run: [a, \"{{ steps.publish_0.outputs.url }}\"] }"),
    ("runbook::unknown_parameter", "{ id: m-#, uses: run, with: { command: [a], cmd: b } }"),
    (
        "runbook::missing_parameter",
        "{ id: m-#, uses: mysql.dump, with: { target: primary, store: primary } }",
    ),
    ("runbook::parameter_type", "{ id: m-#, uses: run, with: { command: [a], cwd: 5 } }"),
    ("runbook::out_of_scope", "{ id: m-#, run: [a, \"{{ each.value }}\"] }"),
    ("runbook::for_each", "{ id: m-#, run: [a], for_each: \"{{ values.target }}\" }"),
    ("template::undefined", "{ id: m-#, run: [a, \"{{ vlaues.target }}\"] }"),
    ("template::invalid", "{ id: m-#, run: [a, \"{{ values.target | uper }}\"] }"),
    ("template::render", "{ id: m-#, run: [a], when: \"values.target\" }"),
    (
        "runbook::unknown_target",
        "{ id: m-#, uses: mysql.dump, with: { target: primray, store: primary, name: x } }",
    ),
    (
        "runbook::unknown_store",
        "{ id: m-#, uses: mysql.dump, with: { target: primary, store: primray, name: x } }",
    ),
];

/// Writes a runbook of `steps` steps, of which `mistakes` are wrong.
pub(crate) fn large(steps: usize, mistakes: usize) -> Large {
    let mut large = Large { text: HEAD.to_owned(), mistakes: Vec::new() };
    let every = steps.checked_div(mistakes).unwrap_or(usize::MAX);
    for number in 0..steps {
        if large.mistakes.len() < mistakes && number % every == every - 1 {
            large.mistake(number);
        } else {
            large.sound(number);
        }
    }
    large
}

impl Large {
    fn mistake(&mut self, number: usize) {
        let (code, step) = MISTAKES[self.mistakes.len() % MISTAKES.len()];
        self.mistakes.push((self.text.lines().count() + 1, code));
        writeln!(self.text, "  - {}", step.replace('#', &number.to_string())).unwrap();
    }

    /// Five steps in turn make a round; each refers to steps of its round and to the round before.
    fn sound(&mut self, number: usize) {
        let round = number / 5;
        let step = match number % 5 {
            // The steps that others refer to come first in their round, where no mistake replaces them.
            0 => format!(
                r#"  - id: dump-{round}
    name: Dump shop {round}
    uses: mysql.dump
    with: {{ target: "{{{{ values.target }}}}", store: "{{{{ values.store }}}}", name: shop-{round}, scope: all }}
    timeout: 12h
    retry: {{ attempts: 3, delay: 10s }}
"#
            ),
            1 => format!(
                r#"  - id: publish-{round}
    uses: backup.publish
    needs: [dump-{round}]
    with: {{ store: "{{{{ values.store }}}}", objects: [shop-{round}] }}
"#
            ),
            2 => format!(
                r#"  # Nothing is a backup before it was read back.
  - id: verify-{round}
    uses: backup.verify
    with:
      backup: "{{{{ steps.publish_{round}.outputs.uri }}}}"
      level: "{{{{ values.level }}}}"
    when: values.loud and steps.dump_{round}.outputs is defined
"#
            ),
            3 => format!(
                r#"  - id: tell-{round}
    needs: [dump-{before}, verify-{round}]
    run: |
      echo "shop {round}: $URI"
      test -n "$NAME"
    env:
      URI: "{{{{ steps.publish_{round}.outputs.uri }}}}"
      NAME: "{{{{ environment.name }}}}/{{{{ values.target | upper }}}}"
"#,
                before = round.saturating_sub(1)
            ),
            _ => format!(
                "  - {{ id: note-{round}, run: [echo, \"{{{{ steps.publish_{round}.outputs.uri }}}}\"], \
                 needs: [tell-{round}], continue_on_error: true }}\n"
            ),
        };
        self.text.push_str(&step);
    }
}
