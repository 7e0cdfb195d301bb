//! What steps say about each other: ids that are given once, `needs` that exist.

use std::collections::{HashMap, HashSet};

use super::Spanned;
use super::step::Section;
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Node, NodeValue, Reader};

/// The ids of a section, also those of steps that are wrong in other ways: one mistake must not look like two.
struct Steps {
    section: Section,
    ids: Vec<Spanned<String>>,
    known: HashSet<String>,
}

/// Checks ids and `needs` over all sections.
pub(super) fn check(reader: &mut Reader, sections: [(Section, Option<&Node>); 3]) {
    let all = sections.map(|(section, node)| {
        let ids: Vec<_> =
            written(node).filter_map(|step| step.get("id").and_then(Spanned::of_text)).collect();
        let known = ids.iter().map(|id| id.value.clone()).collect();
        Steps { section, ids, known }
    });
    check_unique(reader, &all);
    for ((_, node), own) in sections.iter().zip(&all) {
        for step in written(*node) {
            let Some(needs) = step.get("needs") else { continue };
            let items = match &needs.value {
                NodeValue::String { .. } => std::slice::from_ref(needs),
                _ => needs.items().unwrap_or_default(),
            };
            for need in items.iter().filter_map(Spanned::of_text) {
                check_need(reader, &need, own, &all);
            }
        }
    }
}

fn written(section: Option<&Node>) -> impl Iterator<Item = &Node> {
    section.and_then(Node::items).unwrap_or_default().iter()
}

/// Templates may write `wait_ready` for `wait-ready`, so two ids that meet after `-` → `_` are one.
fn check_unique(reader: &mut Reader, all: &[Steps; 3]) {
    let mut seen: HashMap<String, &Spanned<String>> = HashMap::new();
    for id in all.iter().flat_map(|section| &section.ids) {
        let Some(first) = seen.get(&id.value.replace('-', "_")) else {
            seen.insert(id.value.replace('-', "_"), id);
            continue;
        };
        let message = if first.value == id.value {
            format!("two steps have the id `{}`", id.value)
        } else {
            format!("the ids `{}` and `{}` are the same in templates", first.value, id.value)
        };
        reader.report(
            Diagnostic::new("rekindle::runbook::duplicate_id", message)
                .label(&id.location, "used again")
                .label(&first.location, "first used here")
                .help("give one of them another id; ids are unique in the whole runbook"),
        );
    }
}

fn check_need(reader: &mut Reader, need: &Spanned<String>, own: &Steps, all: &[Steps; 3]) {
    if own.known.contains(&need.value) {
        return;
    }
    let section = own.section.field();
    let message = format!("there is no step `{}` in `{section}`", need.value);
    let help = if let Some(other) = all.iter().find(|other| other.known.contains(&need.value)) {
        format!("it is in `{}`; sections run one after the other, so remove it here", other.section.field())
    } else {
        match nearest(&need.value, own.ids.iter().map(|id| id.value.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`needs` lists ids of steps of the same section".to_owned(),
        }
    };
    reader.report(
        Diagnostic::new("rekindle::runbook::unknown_step", message)
            .label(&need.location, "no such step")
            .help(help),
    );
}
