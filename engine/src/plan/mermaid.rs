//! A plan as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>), for Markdown pages.

use std::fmt::Write as _;

use super::Plan;
use super::graph::{Graph, Look};
use super::style::printable;
use crate::step::Effect;

const CLASSES: &str = "  classDef read fill:#d6eaf8,stroke:#2e86c1,color:#000
  classDef write fill:#d5f5e3,stroke:#239b56,color:#000
  classDef destroy fill:#f5b7b1,stroke:#cb4335,stroke-width:2px,color:#000
  classDef skipped fill:#eeeeee,stroke:#999999,stroke-dasharray:3,color:#666
";

/// Writes the plan as a flowchart. Classes tell effects; dotted arrows are inferred from a reference.
pub fn mermaid(plan: &Plan) -> String {
    let graph = Graph::of(plan);
    let mut text = "flowchart TD\n".to_owned();
    for (number, frame) in graph.frames.iter().enumerate() {
        // Writing to a `String` can't fail: the results below are dropped.
        let _ = writeln!(text, "  subgraph s{number}[\"{}\"]", frame.title);
        for &position in &frame.nodes {
            let node = &graph.nodes[position];
            let disabled = node.disabled.as_ref();
            let disabled = disabled.map_or(String::new(), |why| format!("<br/>disabled: {}", escaped(why)));
            let label = format!("\"{}<br/>{}{disabled}\"", escaped(node.id.as_str()), escaped(&node.kind));
            let (shape, class) = look(node.look, &label);
            let _ = writeln!(text, "    n{position}{shape}:::{class}");
        }
        text.push_str("  end\n");
    }
    for arrow in &graph.arrows {
        let line = if arrow.inferred.is_some() { "-.->" } else { "-->" };
        let _ = writeln!(text, "  n{} {line} n{}", arrow.from, arrow.to);
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
    use crate::plan::fixture;

    #[test]
    fn the_chart_has_every_step_and_dots_what_is_inferred() {
        insta::assert_snapshot!(super::mermaid(&fixture::recovery()));
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut plan = fixture::recovery();
        plan.steps[0].id = "a\"]-->b<i>#".into();
        assert!(super::mermaid(&plan).contains(r#"["a#34;]--#62;b#60;i#62;#35;<br/>mysql.sandbox"]"#));
    }
}
