//! No step waits for itself.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::diagnostic::Diagnostic;
use crate::plan::EdgeReason;

use super::draft::Drafts;
use super::edges::Link;
use super::report::Report;

/// More labels than this hide the text they point at.
const LABELS: usize = 6;

/// Reports every knot of steps that wait for each other, as a path; tells whether there was none.
pub(super) fn check(drafts: &Drafts<'_>, links: &[Vec<Link>], report: &mut Report) -> bool {
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(links.len(), links.iter().map(Vec::len).sum());
    let nodes: Vec<NodeIndex> = links.iter().map(|_| graph.add_node(())).collect();
    for (from, own) in links.iter().enumerate() {
        for link in own {
            graph.add_edge(nodes[from], nodes[link.to], ());
        }
    }
    let mut ordered = true;
    // Kosaraju's algorithm as petgraph has it does not recurse: a chain of ten thousand steps is fine.
    for knot in kosaraju_scc(&graph) {
        let mut members: Vec<usize> = knot.into_iter().map(NodeIndex::index).collect();
        members.sort_unstable();
        let first = members[0];
        if members.len() > 1 || links[first].iter().any(|link| link.to == first) {
            ordered = false;
            report.add(diagnostic(drafts, links, &members));
        }
    }
    ordered
}

fn diagnostic(drafts: &Drafts<'_>, links: &[Vec<Link>], members: &[usize]) -> Diagnostic {
    let round = shortest_round(links, members);
    let first = round.first().map_or(members[0], |(from, _)| *from);
    let names: Vec<&str> = round
        .iter()
        .map(|(from, _)| *from)
        .chain([first])
        .map(|position| drafts.all[position].id())
        .collect();
    let mut diagnostic = Diagnostic::new(
        "rekindle::runbook::cycle",
        format!("steps wait for each other: {}", names.join(" → ")),
    );
    for (from, link) in round.iter().take(LABELS) {
        let (from, to) = (drafts.all[*from].id(), drafts.all[link.to].id());
        let label = match &link.reason {
            EdgeReason::Declared => format!("`{from}` needs `{to}`"),
            EdgeReason::Inferred { .. } => format!("`{from}` uses an output of `{to}`"),
            EdgeReason::Order => format!("`{from}` stands after `{to}`"),
        };
        diagnostic = diagnostic.label(&link.at, label);
    }
    diagnostic.help("remove one of these, so that one step can be the first")
}

/// Finds the shortest way from the first member back to itself.
fn shortest_round<'l>(links: &'l [Vec<Link>], members: &[usize]) -> Vec<(usize, &'l Link)> {
    let inside: HashSet<usize> = members.iter().copied().collect();
    let start = members[0];
    let mut came_by: HashMap<usize, (usize, &Link)> = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(from) = open.pop_front() {
        for link in links[from].iter().filter(|link| inside.contains(&link.to)) {
            if link.to == start {
                let mut round = vec![(from, link)];
                let mut at = from;
                while let Some((before, link)) = came_by.get(&at).filter(|_| at != start) {
                    round.push((*before, *link));
                    at = *before;
                }
                round.reverse();
                return round;
            }
            if let Entry::Vacant(entry) = came_by.entry(link.to) {
                entry.insert((from, link));
                open.push_back(link.to);
            }
        }
    }
    Vec::new()
}
