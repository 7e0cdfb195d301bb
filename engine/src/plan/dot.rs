//! A plan as a Graphviz graph (the DOT language, <https://graphviz.org/doc/info/lang.html>).

use std::fmt::Write as _;

use super::Plan;
use super::graph::{Graph, Look};
use super::style::printable;
use crate::step::Effect;

/// Writes the plan for `dot -Tsvg`. Colours tell effects; dashed arrows are inferred from a reference.
pub fn dot(plan: &Plan) -> String {
    let graph = Graph::of(plan);
    let mut text = String::new();
    let title = quoted(&format!("{} {} on {}", plan.runbook.name, plan.runbook.version, plan.settings.name));
    // Writing to a `String` can't fail: the results below are dropped.
    let _ = writeln!(text, "digraph plan {{\n  label={title};\n  labelloc=t;\n  rankdir=TB;");
    let _ = writeln!(text, "  node [shape=box, style=filled, fontname=\"sans-serif\"];");
    for (number, frame) in graph.frames.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(frame.title));
        for &position in &frame.nodes {
            let node = &graph.nodes[position];
            // `\n` is DOT's own line break inside a label, so it is put between two escaped parts.
            let disabled = node.disabled.as_ref();
            let disabled = disabled.map_or(String::new(), |why| format!("\\ndisabled: {}", escaped(why)));
            let label = format!("\"{}\\n{}{disabled}\"", escaped(node.id.as_str()), escaped(&node.kind));
            let _ = writeln!(text, "    n{position} [label={label}, {}];", look(node.look));
        }
        text.push_str("  }\n");
    }
    for arrow in &graph.arrows {
        let style = arrow.inferred.as_ref().map_or_else(String::new, |reference| {
            format!(" [style=dashed, edgetooltip={}]", quoted(reference))
        });
        let _ = writeln!(text, "  n{} -> n{}{style};", arrow.from, arrow.to);
    }
    text.push_str("}\n");
    text
}

fn look(look: Look) -> &'static str {
    match look {
        Look::Runs(Effect::Read) => "fillcolor=\"#d6eaf8\"",
        Look::Runs(Effect::Write) => "fillcolor=\"#d5f5e3\"",
        Look::Runs(Effect::Destroy) => "fillcolor=\"#f5b7b1\", penwidth=2",
        Look::WhilePlanning => "fillcolor=\"#d6eaf8\", style=\"filled,rounded\"",
        Look::Skipped => "fillcolor=\"#eeeeee\", style=\"filled,dotted\"",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Escapes for a double-quoted DOT string, in which `\N`, `\G` and others would be replaced.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use crate::plan::fixture;

    #[test]
    fn the_graph_has_every_step_and_dashes_what_is_inferred() {
        insta::assert_snapshot!(super::dot(&fixture::recovery()));
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut plan = fixture::recovery();
        plan.settings.name = "x\"]; evil [\\N".to_owned();
        assert!(super::dot(&plan).contains(r#"label="disaster-recovery 1.2.0 on x\"]; evil [\\N";"#));
    }
}
