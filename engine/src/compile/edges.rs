//! Which steps wait for which, and why.

use std::collections::HashSet;

use crate::diagnostic::{Diagnostic, nearest};
use crate::document::Location;
use crate::id::StepId;
use crate::plan::{Edge, EdgeReason, Section};
use crate::runbook::Phase;

use super::draft::Drafts;
use super::frame::Frame;
use super::instances::Instances;
use super::report::Report;

/// An edge between steps of the runbook, before `for_each`.
pub(super) struct Link {
    /// The step that must end first.
    pub(super) to: usize,
    pub(super) reason: EdgeReason,
    pub(super) at: Location,
}

/// Gives each step's edges: declared ones first, then those its templates imply, then the order of
/// `on_failure` and `finally`.
pub(super) fn connect(drafts: &Drafts<'_>, report: &mut Report) -> Vec<Vec<Link>> {
    let mut all = Vec::with_capacity(drafts.all.len());
    for (position, draft) in drafts.all.iter().enumerate() {
        let mut links: Vec<Link> = Vec::new();
        let mut seen = HashSet::new();
        for need in &draft.definition.needs {
            match drafts.find(&need.value).filter(|&to| drafts.all[to].id() == need.value) {
                None if drafts.is_doubtful(&need.value) => {}
                None => report.add(unknown_need(drafts, &need.value, &need.location)),
                Some(to) if drafts.all[to].section != draft.section => {
                    report.add(other_section(draft.id(), &need.value, &need.location));
                }
                Some(to) if is_too_early(drafts, position, to) => {
                    report.add(too_early(draft.id(), &need.value, &need.location));
                }
                Some(to) if seen.insert(to) => {
                    links.push(Link { to, reason: EdgeReason::Declared, at: need.location.clone() });
                }
                Some(_) => {}
            }
        }
        for used in &draft.uses {
            let [root, name, ..] = used.path.as_slice() else { continue };
            let to = if root == "steps" { drafts.find(name) } else { None };
            if let Some(to) = to
                && drafts.all[to].section == draft.section
                && !is_too_early(drafts, position, to)
                && seen.insert(to)
            {
                let reason = EdgeReason::Inferred { reference: used.path.join(".") };
                links.push(Link { to, reason, at: used.at.clone() });
            }
        }
        if draft.section != Section::Main
            && let Some(before) = position.checked_sub(1)
            && drafts.all[before].section == draft.section
            && seen.insert(before)
        {
            let at = draft.definition.id.location.clone();
            links.push(Link { to: before, reason: EdgeReason::Order, at });
        }
        all.push(links);
    }
    all
}

fn is_too_early(drafts: &Drafts<'_>, from: usize, to: usize) -> bool {
    let phase = |position: usize| drafts.all[position].definition.phase;
    phase(from) == Phase::Plan && phase(to) != Phase::Plan
}

fn unknown_need(drafts: &Drafts<'_>, name: &str, at: &Location) -> Diagnostic {
    let help = match nearest(name, drafts.all.iter().map(super::draft::Draft::id)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a step of this runbook by its id".to_owned(),
    };
    Diagnostic::new("rekindle::runbook::unknown_step", format!("there is no step `{name}`"))
        .label(at, "not a step")
        .help(help)
}

fn other_section(id: &str, need: &str, at: &Location) -> Diagnostic {
    Diagnostic::new(
        "rekindle::runbook::out_of_scope",
        format!("`{id}` and `{need}` are in different sections"),
    )
    .label(at, "not in this section")
    .help("`on_failure` and `finally` start when `steps` has ended: remove it")
}

fn too_early(id: &str, need: &str, at: &Location) -> Diagnostic {
    Diagnostic::new(
        "rekindle::runbook::plan_phase",
        format!("`{id}` runs while planning, `{need}` only later"),
    )
    .label(at, "not run while planning")
    .help(format!("remove it, or give `{need}` `phase: plan`"))
}

/// Gives the edges of a step between the steps of the plan: to every instance of what it needs.
///
/// A step that runs for no item passes its own needs on, so that order is kept through it. What ran while
/// planning needs no edge.
pub(super) fn between_instances(
    position: usize,
    drafts: &Drafts<'_>,
    links: &[Vec<Link>],
    instances: &[Instances],
    frame: &Frame,
) -> Vec<Edge> {
    let planning = drafts.all[position].definition.phase == Phase::Plan;
    let mut edges = Vec::new();
    let mut visited = HashSet::new();
    let mut open: Vec<(usize, EdgeReason)> =
        links[position].iter().rev().map(|link| (link.to, link.reason.clone())).collect();
    while let Some((to, reason)) = open.pop() {
        if !visited.insert(to) || (drafts.all[to].definition.phase == Phase::Plan) != planning {
            continue;
        }
        let ids: Vec<StepId> = instances[to].ids(&frame.id(drafts.all[to].id()));
        if ids.is_empty() {
            open.extend(links[to].iter().rev().map(|link| (link.to, reason.clone())));
        }
        edges.extend(ids.into_iter().map(|step| Edge { step, reason: reason.clone() }));
    }
    edges
}
