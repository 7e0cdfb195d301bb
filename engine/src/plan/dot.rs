//! A plan as a Graphviz graph (the DOT language, <https://graphviz.org/doc/info/lang.html>).

use std::fmt::Write as _;

use super::graph::{Graph, Look, Part};
use super::style::printable;
use super::{Beside, Plan};
use crate::step::Effect;

/// Writes the plan for `dot -Tsvg`. Colours tell effects; dashed arrows are inferred from a reference; the
/// longest path is thick.
pub fn dot(plan: &Plan, beside: Beside<'_>) -> String {
    let graph = Graph::of(plan, beside.estimates);
    let mut text = String::new();
    let title = quoted(&format!("{} {} on {}", plan.runbook.name, plan.runbook.version, plan.settings.name));
    // Writing to a `String` can't fail: the results below are dropped.
    let _ = writeln!(text, "digraph plan {{\n  label={title};\n  labelloc=t;\n  rankdir=TB;");
    let _ = writeln!(text, "  node [shape=box, style=filled, fontname=\"sans-serif\"];");
    let mut clusters = 0;
    for (number, frame) in graph.frames.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(frame.title));
        let mut depth = 2;
        for part in graph.parts(frame) {
            let indent = "  ".repeat(depth);
            match part {
                Part::Open(title) => {
                    clusters += 1;
                    let title = quoted(title);
                    let _ =
                        writeln!(text, "{indent}subgraph cluster_g{clusters} {{\n{indent}  label={title};");
                    depth += 1;
                }
                Part::Node(position) => node(&mut text, &graph, position, &indent),
                Part::Close => {
                    depth -= 1;
                    let _ = writeln!(text, "{}}}", "  ".repeat(depth));
                }
            }
        }
        text.push_str("  }\n");
    }
    for arrow in &graph.arrows {
        let mut style = Vec::new();
        if let Some(reference) = &arrow.inferred {
            style.push(format!("style=dashed, edgetooltip={}", quoted(reference)));
        }
        if arrow.longest {
            style.push("color=\"#6c3483\", penwidth=3".to_owned());
        }
        let style = if style.is_empty() { String::new() } else { format!(" [{}]", style.join(", ")) };
        let _ = writeln!(text, "  n{} -> n{}{style};", arrow.from, arrow.to);
    }
    text.push_str("}\n");
    text
}

fn node(text: &mut String, graph: &Graph, position: usize, indent: &str) {
    let node = &graph.nodes[position];
    // `\n` is DOT's own line break inside a label, so it is put between two escaped parts.
    let lines: Vec<String> = node.lines().map(escaped).collect();
    let label = format!("\"{}\"", lines.join("\\n"));
    let strong = if node.longest { ", color=\"#6c3483\", penwidth=3" } else { "" };
    let _ = writeln!(text, "{indent}n{position} [label={label}, {}{strong}];", look(node.look));
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
    use crate::estimate::fixture::estimates;
    use crate::plan::{Beside, fixture};

    #[test]
    fn the_graph_has_every_step_and_dashes_what_is_inferred() {
        insta::assert_snapshot!(super::dot(&fixture::recovery(), Beside::default()));
    }

    #[test]
    fn the_longest_path_is_thick_and_estimates_stand_in_the_boxes() {
        let plan = fixture::recovery();
        let estimates = estimates(&plan);
        let text = super::dot(&plan, Beside { estimates: Some(&estimates), ..Beside::default() });
        let lines: Vec<_> = text.lines().filter(|line| line.contains("penwidth=3")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r##"
              n1 [label="provision\nmysql.sandbox\n≈ 2.0s", fillcolor="#d5f5e3", color="#6c3483", penwidth=3];
              n2 [label="wait-ready\nmysql.wait-ready\n≈ 3.0s", fillcolor="#d6eaf8", color="#6c3483", penwidth=3];
              n3 [label="restore\nmysql.restore\n≈ 7m 30s", fillcolor="#f5b7b1", penwidth=2, color="#6c3483", penwidth=3];
              n4 [label="reset-replication[0]\nmysql.reset-replication\n≈ 30.0s", fillcolor="#f5b7b1", penwidth=2, color="#6c3483", penwidth=3];
              n5 [label="reset-replication[1]\nmysql.reset-replication\n≈ 30.0s", fillcolor="#f5b7b1", penwidth=2, color="#6c3483", penwidth=3];
            n1 -> n2 [color="#6c3483", penwidth=3];
            n2 -> n3 [color="#6c3483", penwidth=3];
            n3 -> n4 [color="#6c3483", penwidth=3];
            "##);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut plan = fixture::recovery();
        plan.settings.name = "x\"]; evil [\\N".to_owned();
        assert!(
            super::dot(&plan, Beside::default())
                .contains(r#"label="disaster-recovery 1.2.0 on x\"]; evil [\\N";"#)
        );
    }
}
