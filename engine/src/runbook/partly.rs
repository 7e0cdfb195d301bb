//! A runbook with mistakes → as much of it as can be read, so that one look finds the mistakes of all stages.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::read::read_partly;
use super::{Runbook, Spanned};
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Source, parse_partly as parse_document};

/// What could be read of a runbook.
#[derive(Debug)]
pub struct Partly {
    /// All that could be read; nothing when too little could. With mistakes it is good for looking only.
    pub runbook: Option<Runbook>,
    /// What must not be relied on.
    pub doubtful: Doubtful,
    /// Every mistake, in the order of the text.
    pub mistakes: Vec<Diagnostic>,
}

/// Names that stand in the runbook, with something wrong: what refers to them is not wrong for that reason.
#[derive(Debug, Default)]
pub struct Doubtful {
    /// Ids of steps that could not be read, or are given twice; with `_` for `-`, as templates may write them.
    pub steps: BTreeSet<String>,
    /// Values whose declaration has a mistake.
    pub values: BTreeSet<String>,
}

/// Parses and reads as much of a runbook as can be.
pub fn parse_partly(source: &Arc<Source>) -> Partly {
    let nothing = |mistakes| Partly { runbook: None, doubtful: Doubtful::default(), mistakes };
    let (root, mut mistakes) = parse_document(source);
    let Some(root) = root else { return nothing(mistakes) };
    let (runbook, more) = read_partly(&root);
    mistakes.extend(not_said_yet(&mistakes, more));
    crate::document::in_source_order(&mut mistakes);
    let unlisted = |field| root.get(field).is_some_and(|section| section.items().is_none());
    if SECTIONS.into_iter().any(unlisted)
        || root.get("values").is_some_and(|values| values.entries().is_none())
    {
        // Nobody knows which names there are.
        return nothing(mistakes);
    }
    let Some(runbook) = runbook else { return nothing(mistakes) };
    let doubtful = Doubtful {
        steps: doubtful_steps(&root, &runbook, &mistakes),
        values: doubtful_values(&root, &mistakes),
    };
    Partly { runbook: Some(runbook), doubtful, mistakes }
}

const SECTIONS: [&str; 3] = ["steps", "on_failure", "finally"];

/// Leaves out what points at a place that something was said about: one mistake must not look like two.
pub(crate) fn not_said_yet(said: &[Diagnostic], more: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Some(source) = said.iter().find_map(|diagnostic| diagnostic.source.clone()) else { return more };
    let place = |diagnostic: &Diagnostic| {
        let here = diagnostic.source.as_ref().is_some_and(|own| Arc::ptr_eq(own, &source));
        let (span, _) = diagnostic.labels.first().filter(|_| here)?;
        // A point counts as the byte after it.
        Some((span.start, span.end.max(span.start + 1)))
    };
    let mut places: Vec<(usize, usize)> = said.iter().filter_map(place).collect();
    places.sort_unstable();
    // Each with the furthest end up to there, so that one look tells whether any of them reaches a place.
    let mut furthest = 0;
    for (_, end) in &mut places {
        furthest = furthest.max(*end);
        *end = furthest;
    }
    let is_new = |diagnostic: &Diagnostic| {
        let Some((start, end)) = place(diagnostic) else { return true };
        let before = places.partition_point(|(other, _)| *other < end);
        before == 0 || places[before - 1].1 <= start
    };
    more.into_iter().filter(is_new).collect()
}

fn doubtful_steps(root: &Node, runbook: &Runbook, mistakes: &[Diagnostic]) -> BTreeSet<String> {
    let written = SECTIONS.into_iter().filter_map(|field| root.get(field)?.items()).flatten();
    let read: HashSet<&str> = [&runbook.steps, &runbook.on_failure, &runbook.finally]
        .into_iter()
        .flatten()
        .map(|step| step.id.value.as_str())
        .collect();
    let (mut seen, mut doubtful) = (HashSet::new(), BTreeSet::new());
    for step in written {
        let Some(id) = step.get("id").and_then(Spanned::of_text) else { continue };
        let name = id.value.replace('-', "_");
        // Whether it runs while planning, and how often, decides what others may say of it.
        let unclear = ["phase", "for_each"]
            .into_iter()
            .filter_map(|field| step.get(field))
            .any(|node| hit(node, mistakes));
        if !read.contains(id.value.as_str()) || unclear || !seen.insert(name.clone()) {
            doubtful.insert(name);
        }
    }
    doubtful
}

fn doubtful_values(root: &Node, mistakes: &[Diagnostic]) -> BTreeSet<String> {
    let declarations = root.get("values").and_then(Node::entries).unwrap_or_default();
    let wrong = declarations.iter().filter(|entry| {
        let at_key = |mistake: &Diagnostic| mistake.location().is_some_and(|at| at.span == entry.key_span);
        hit(&entry.value, mistakes) || mistakes.iter().any(at_key)
    });
    wrong.map(|entry| entry.key.clone()).collect()
}

fn hit(node: &Node, mistakes: &[Diagnostic]) -> bool {
    let own = node.location.span;
    mistakes.iter().filter_map(Diagnostic::location).any(|at| {
        at.source == node.location.source
            && own.start <= at.span.start
            && at.span.start < own.end.max(own.start + 1)
    })
}
