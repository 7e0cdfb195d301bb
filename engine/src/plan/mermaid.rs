//! A plan as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>), for Markdown pages.

use std::fmt::Write as _;

use super::graph::{Graph, Look, Part};
use super::style::printable;
use super::{Beside, Plan};
use crate::step::Effect;

const CLASSES: &str = "  classDef read fill:#d6eaf8,stroke:#2e86c1,color:#000
  classDef write fill:#d5f5e3,stroke:#239b56,color:#000
  classDef destroy fill:#f5b7b1,stroke:#cb4335,stroke-width:2px,color:#000
  classDef skipped fill:#eeeeee,stroke:#999999,stroke-dasharray:3,color:#666
";

/// Writes the plan as a flowchart. Classes tell effects; dotted arrows are inferred from a reference; the
/// longest path is thick.
pub fn mermaid(plan: &Plan, beside: Beside<'_>) -> String {
    let graph = Graph::of(plan, beside.estimates);
    let mut text = "flowchart TD\n".to_owned();
    let mut groups = 0;
    for (number, frame) in graph.frames.iter().enumerate() {
        // Writing to a `String` can't fail: the results below are dropped.
        let _ = writeln!(text, "  subgraph s{number}[\"{}\"]", frame.title);
        let mut depth = 2;
        for part in graph.parts(frame) {
            let indent = "  ".repeat(depth);
            match part {
                Part::Open(title) => {
                    groups += 1;
                    let _ = writeln!(text, "{indent}subgraph g{groups}[\"{}\"]", escaped(title));
                    depth += 1;
                }
                Part::Node(position) => {
                    let node = &graph.nodes[position];
                    let lines: Vec<String> = node.lines().map(escaped).collect();
                    let label = format!("\"{}\"", lines.join("<br/>"));
                    let (shape, class) = look(node.look, &label);
                    let _ = writeln!(text, "{indent}n{position}{shape}:::{class}");
                }
                Part::Close => {
                    depth -= 1;
                    let _ = writeln!(text, "{}end", "  ".repeat(depth));
                }
            }
        }
        text.push_str("  end\n");
    }
    let mut longest = Vec::new();
    for (number, arrow) in graph.arrows.iter().enumerate() {
        let line = if arrow.inferred.is_some() { "-.->" } else { "-->" };
        let _ = writeln!(text, "  n{} {line} n{}", arrow.from, arrow.to);
        if arrow.longest {
            longest.push(number.to_string());
        }
    }
    if !longest.is_empty() {
        let _ = writeln!(text, "  linkStyle {} stroke:#6c3483,stroke-width:3px", longest.join(","));
    }
    text.push_str(CLASSES);
    text
}

fn look(look: Look, label: &str) -> (String, &'static str) {
    match look {
        Look::Runs(Effect::Read) => (format!("[{label}]"), "read"),
        Look::Runs(Effect::Write) => (format!("[{label}]"), "write"),
        Look::Runs(Effect::Destroy) => (format!("[{label}]"), "destroy"),
        Look::WhilePlanning => (format!("([{label}])"), "read"),
        Look::Skipped => (format!("[{label}]"), "skipped"),
    }
}

/// Replaces what has a meaning in labels by Mermaid's entity codes: `#` and a decimal number and `;`.
fn escaped(text: &str) -> String {
    let mut label = String::new();
    for c in printable(text).chars() {
        if c.is_alphanumeric() || " .,:/_-=()[]".contains(c) {
            label.push(c);
        } else {
            let _ = write!(label, "#{};", u32::from(c));
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use crate::estimate::fixture::estimates;
    use crate::plan::{Beside, fixture};

    #[test]
    fn the_chart_has_every_step_and_dots_what_is_inferred() {
        insta::assert_snapshot!(super::mermaid(&fixture::recovery(), Beside::default()));
    }

    #[test]
    fn the_longest_path_is_thick_and_estimates_stand_in_the_boxes() {
        let plan = fixture::recovery();
        let estimates = estimates(&plan);
        let text = super::mermaid(&plan, Beside { estimates: Some(&estimates), ..Beside::default() });
        let lines: Vec<_> =
            text.lines().filter(|line| line.contains("8776") || line.contains("linkStyle")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
              n1["provision<br/>mysql.sandbox<br/>#8776; 2.0s"]:::write
              n2["wait-ready<br/>mysql.wait-ready<br/>#8776; 3.0s"]:::read
              n3["restore<br/>mysql.restore<br/>#8776; 7m 30s"]:::destroy
              n4["reset-replication[0]<br/>mysql.reset-replication<br/>#8776; 30.0s"]:::destroy
              n5["reset-replication[1]<br/>mysql.reset-replication<br/>#8776; 30.0s"]:::destroy
            linkStyle 0,1,3 stroke:#6c3483,stroke-width:3px
            "#);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut plan = fixture::recovery();
        plan.steps[0].id = "a\"]-->b<i>#".into();
        assert!(
            super::mermaid(&plan, Beside::default())
                .contains(r#"["a#34;]--#62;b#60;i#62;#35;<br/>mysql.sandbox"]"#)
        );
    }
}
