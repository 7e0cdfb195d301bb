//! What the picture of a plan shows, whatever language draws it.

use std::collections::HashMap;

use super::{EdgeReason, Plan, PlanStep, Section};
use crate::id::StepId;
use crate::step::Effect;

/// A box.
pub(super) struct Node {
    pub(super) id: StepId,
    pub(super) kind: String,
    pub(super) look: Look,
    /// Why it is disabled.
    pub(super) disabled: Option<String>,
}

/// How a box looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It will run, with this effect.
    Runs(Effect),
    /// It ran while planning, or will before the plan is ready.
    WhilePlanning,
    /// Its condition was false, or it is disabled.
    Skipped,
}

/// An arrow between the boxes of these positions.
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The reference it was inferred from; drawn dashed.
    pub(super) inferred: Option<String>,
}

/// A frame around boxes.
pub(super) struct Frame {
    pub(super) title: &'static str,
    pub(super) nodes: Vec<usize>,
}

pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) frames: Vec<Frame>,
    pub(super) arrows: Vec<Arrow>,
}

impl Graph {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut graph = Self { nodes: Vec::new(), frames: Vec::new(), arrows: Vec::new() };
        let pinned = plan.pinned.iter().map(|step| (&step.id, &step.kind));
        let unpinned = plan.unpinned.iter().map(|step| (&step.id, &step.kind));
        graph.frame(
            "while planning",
            pinned.chain(unpinned).map(|(id, kind)| Node {
                id: id.clone(),
                kind: kind.clone(),
                look: Look::WhilePlanning,
                disabled: None,
            }),
        );
        let sections =
            [(Section::Main, "steps"), (Section::OnFailure, "on failure"), (Section::Finally, "finally")];
        for (section, title) in sections {
            let look = |step: &PlanStep| if step.skipped { Look::Skipped } else { Look::Runs(step.effect) };
            let steps = plan.steps.iter().filter(|step| step.section == section);
            graph.frame(
                title,
                steps.map(|step| Node {
                    id: step.id.clone(),
                    kind: step.kind.clone(),
                    look: look(step),
                    disabled: step.disabled.clone(),
                }),
            );
        }
        graph.arrows = arrows(plan, &graph.nodes);
        graph
    }

    fn frame(&mut self, title: &'static str, nodes: impl Iterator<Item = Node>) {
        let first = self.nodes.len();
        self.nodes.extend(nodes);
        if self.nodes.len() > first {
            self.frames.push(Frame { title, nodes: (first..self.nodes.len()).collect() });
        }
    }
}

fn arrows(plan: &Plan, nodes: &[Node]) -> Vec<Arrow> {
    let positions: HashMap<&StepId, usize> =
        nodes.iter().enumerate().map(|(position, node)| (&node.id, position)).collect();
    let mut arrows = Vec::new();
    for step in plan.unpinned.iter().chain(&plan.steps) {
        for edge in &step.needs {
            let (Some(&from), Some(&to)) = (positions.get(&edge.step), positions.get(&step.id)) else {
                continue;
            };
            let inferred = match &edge.reason {
                EdgeReason::Inferred { reference } => Some(reference.clone()),
                EdgeReason::Declared | EdgeReason::Order => None,
            };
            arrows.push(Arrow { from, to, inferred });
        }
    }
    arrows
}
