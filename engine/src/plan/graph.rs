//! What the picture of a plan shows, whatever language draws it.

use std::collections::HashMap;

use super::{EdgeReason, Plan, PlanStep, Section};
use crate::estimate::Estimates;
use crate::id::StepId;
use crate::report::duration;
use crate::step::Effect;

/// A box.
pub(super) struct Node {
    pub(super) id: StepId,
    pub(super) kind: String,
    pub(super) look: Look,
    /// Why it is disabled: `disabled: …`.
    pub(super) disabled: Option<String>,
    /// How long it takes, in words: `≈ 2m 10s`.
    pub(super) takes: Option<String>,
    /// Whether it is on the longest path.
    pub(super) longest: bool,
    /// Who must agree before it: `needs approval by 2`.
    pub(super) approval: Option<String>,
    /// The groups around it, the outermost first: the id of each with its kind.
    pub(super) groups: Vec<String>,
}

/// A frame as it is written: groups stand inside each other, and around their steps.
pub(super) enum Part<'g> {
    /// A group begins, with this title.
    Open(&'g str),
    /// The box at this position.
    Node(usize),
    /// The group that began last ends.
    Close,
}

impl Node {
    /// Gives the lines that stand in the box.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        [self.id.as_str(), &self.kind]
            .into_iter()
            .chain(self.disabled.as_deref())
            .chain(self.takes.as_deref())
            .chain(self.approval.as_deref())
    }
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
    /// Whether it is on the longest path.
    pub(super) longest: bool,
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
    pub(super) fn of(plan: &Plan, estimates: Option<&Estimates>) -> Self {
        let mut graph = Self { nodes: Vec::new(), frames: Vec::new(), arrows: Vec::new() };
        let pinned = plan.pinned.iter().map(|step| (&step.id, &step.kind));
        let unpinned = plan.unpinned.iter().map(|step| (&step.id, &step.kind));
        graph.frame("while planning", pinned.chain(unpinned).map(|(id, kind)| planning(id, kind)));
        let sections =
            [(Section::Main, "steps"), (Section::OnFailure, "on failure"), (Section::Finally, "finally")];
        for (section, title) in sections {
            let steps = plan.steps.iter().filter(|step| step.section == section);
            graph.frame(title, steps.map(|step| running(plan, step, estimates)));
        }
        graph.arrows = arrows(plan, &graph.nodes, estimates);
        graph
    }

    /// Gives what stands in a frame, in the order in which it is written. Steps of a group stand together.
    pub(super) fn parts(&self, frame: &Frame) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        let mut open: &[String] = &[];
        for &position in &frame.nodes {
            let groups = &self.nodes[position].groups;
            let common = open.iter().zip(groups).take_while(|(one, other)| one == other).count();
            parts.extend(open[common..].iter().map(|_| Part::Close));
            parts.extend(groups[common..].iter().map(|title| Part::Open(title)));
            parts.push(Part::Node(position));
            open = groups;
        }
        parts.extend(open.iter().map(|_| Part::Close));
        parts
    }

    fn frame(&mut self, title: &'static str, nodes: impl Iterator<Item = Node>) {
        let first = self.nodes.len();
        self.nodes.extend(nodes);
        if self.nodes.len() > first {
            self.frames.push(Frame { title, nodes: (first..self.nodes.len()).collect() });
        }
    }
}

fn planning(id: &StepId, kind: &str) -> Node {
    let (id, kind) = (id.clone(), kind.to_owned());
    Node {
        id,
        kind,
        look: Look::WhilePlanning,
        disabled: None,
        takes: None,
        longest: false,
        approval: None,
        groups: Vec::new(),
    }
}

fn running(plan: &Plan, step: &PlanStep, estimates: Option<&Estimates>) -> Node {
    let estimate = estimates.and_then(|estimates| estimates.steps.get(&step.id));
    Node {
        id: step.id.clone(),
        kind: step.kind.clone(),
        look: if step.skipped { Look::Skipped } else { Look::Runs(step.effect) },
        disabled: step.disabled.as_ref().map(|why| format!("disabled: {why}")),
        takes: estimate.map(|estimate| format!("≈ {}", duration(estimate.typical_ms))),
        longest: estimates.is_some_and(|estimates| estimates.is_on_longest_path(&step.id)),
        approval: step.approval.map(|rule| format!("needs {}", rule.words())),
        groups: plan
            .group_path(step)
            .into_iter()
            .map(|(id, group)| format!("{id}: {}", group.kind))
            .collect(),
    }
}

fn arrows(plan: &Plan, nodes: &[Node], estimates: Option<&Estimates>) -> Vec<Arrow> {
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
            let longest = estimates.is_some_and(|estimates| estimates.leads_from_to(&edge.step, &step.id));
            arrows.push(Arrow { from, to, inferred, longest });
        }
    }
    arrows
}
