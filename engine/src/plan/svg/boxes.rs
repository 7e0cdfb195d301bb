//! What the picture shows: the steps of a plan as boxes, many instances of one `for_each` as one box.

use std::collections::{BTreeMap, HashMap};

use super::super::graph::{Graph, Look};
use crate::id::StepId;
use crate::plan::{Beside, Plan, PlanStep};

/// From how many instances on a `for_each` is one box; fewer in a plan that is large anyway.
const INSTANCES_LIMIT: usize = 5;
const INSTANCES_LIMIT_LARGE: usize = 2;
/// From how many steps on a plan is large.
const LARGE: usize = 60;

/// A box.
#[derive(Debug)]
pub(super) struct Tile {
    /// The step's id; `reseed ×40` for instances.
    pub(super) label: String,
    pub(super) kind: String,
    /// What else is worth a line: how long it takes, that somebody must approve it, that it does not run.
    pub(super) remark: String,
    pub(super) look: Look,
    /// How many instances it stands for.
    pub(super) instances: usize,
    pub(super) longest: bool,
    /// Which frame it stands in.
    pub(super) band: usize,
    /// Everything, one thing a line, for the tooltip.
    pub(super) tooltip: Vec<String>,
}

/// An arrow from box to box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) inferred: bool,
    pub(super) longest: bool,
}

/// The picture before it has places.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) bands: Vec<&'static str>,
    pub(super) tiles: Vec<Tile>,
    pub(super) lines: Vec<Line>,
}

/// Makes the boxes and arrows of a plan.
pub(super) fn scene(plan: &Plan, beside: Beside<'_>) -> Scene {
    let graph = Graph::of(plan, beside.estimates);
    let steps: HashMap<&StepId, &PlanStep> =
        plan.steps.iter().chain(&plan.unpinned).map(|step| (&step.id, step)).collect();
    let mut instances: HashMap<(usize, &StepId), Vec<usize>> = HashMap::new();
    for (band, frame) in graph.frames.iter().enumerate() {
        for &node in &frame.nodes {
            let id = &graph.nodes[node].id;
            let definition = steps.get(id).map_or(id, |step| &step.definition);
            instances.entry((band, definition)).or_default().push(node);
        }
    }
    let limit = if graph.nodes.len() > LARGE { INSTANCES_LIMIT_LARGE } else { INSTANCES_LIMIT };
    let (mut tiles, mut tile_of) = (Vec::new(), HashMap::new());
    for (band, frame) in graph.frames.iter().enumerate() {
        for &node in &frame.nodes {
            let id = &graph.nodes[node].id;
            let definition = steps.get(id).map_or(id, |step| &step.definition);
            let all = &instances[&(band, definition)];
            let together: &[usize] = if all.len() > limit { all } else { std::slice::from_ref(&node) };
            if together.first() == Some(&node) {
                tile_of.extend(together.iter().map(|node| (*node, tiles.len())));
                tiles.push(tile(&graph, together, definition, band, &steps, plan));
            }
        }
    }
    let bands = graph.frames.iter().map(|frame| frame.title).collect();
    Scene { bands, lines: lines(&graph, &tile_of), tiles }
}

fn tile(
    graph: &Graph,
    together: &[usize],
    definition: &StepId,
    band: usize,
    steps: &HashMap<&StepId, &PlanStep>,
    plan: &Plan,
) -> Tile {
    let nodes: Vec<_> = together.iter().map(|node| &graph.nodes[*node]).collect();
    let first = nodes[0];
    let several = nodes.len() > 1;
    // One that runs speaks for those that don't.
    let look = nodes.iter().map(|node| node.look).find(|look| *look != Look::Skipped).unwrap_or(first.look);
    let label = if several { format!("{definition} ×{}", nodes.len()) } else { first.id.to_string() };
    let mut remarks = Vec::new();
    if look == Look::Skipped {
        remarks.push(if first.disabled.is_some() { "disabled" } else { "skipped" }.to_owned());
    }
    let each = if several { " each" } else { "" };
    remarks.extend(nodes.iter().find_map(|node| node.takes.as_ref()).map(|takes| format!("{takes}{each}")));
    remarks.extend(nodes.iter().find_map(|node| node.approval.clone()));
    let mut tooltip = vec![label.clone(), first.kind.clone()];
    if let Some(step) = steps.get(&first.id) {
        describe(step, several, &mut tooltip);
    } else if let Some(pinned) = plan.pinned.iter().find(|pinned| pinned.id == first.id) {
        tooltip.push(pinned.intent.summary.clone());
        tooltip.push(format!("found while planning, at {}", pinned.at));
    }
    tooltip.extend(first.disabled.clone());
    tooltip.extend(remarks.iter().filter(|remark| *remark != "disabled").cloned());
    Tile {
        label,
        kind: first.kind.clone(),
        remark: remarks.join(", "),
        look,
        instances: nodes.len(),
        longest: nodes.iter().any(|node| node.longest),
        band,
        tooltip,
    }
}

fn describe(step: &PlanStep, several: bool, tooltip: &mut Vec<String>) {
    tooltip.extend(step.name.clone());
    if several {
        tooltip.push(format!("the first: {}", step.intent.summary));
    } else {
        tooltip.push(step.intent.summary.clone());
    }
    if step.skipped && step.disabled.is_none() {
        tooltip.push("its `when` is false".to_owned());
    }
    tooltip.push(format!("effect: {}", step.effect));
    tooltip.extend(step.when.as_ref().map(|when| format!("only when {when}")));
    tooltip.extend(step.timeout.map(|timeout| format!("timeout {timeout}")));
    tooltip.retain(|line| !line.is_empty());
}

/// The arrows between boxes, each once. It is dashed when every arrow that it stands for is inferred.
fn lines(graph: &Graph, tile_of: &HashMap<usize, usize>) -> Vec<Line> {
    let mut lines: BTreeMap<(usize, usize), Line> = BTreeMap::new();
    for arrow in &graph.arrows {
        let (from, to) = (tile_of[&arrow.from], tile_of[&arrow.to]);
        if from == to {
            continue;
        }
        let line = lines.entry((from, to)).or_insert(Line { from, to, inferred: true, longest: false });
        line.inferred &= arrow.inferred.is_some();
        line.longest |= arrow.longest;
    }
    lines.into_values().collect()
}
