//! Which documents and kinds a plan was made from.

use std::collections::BTreeMap;

use super::CompileInput;
use crate::plan::{KindIdentity, Origin, Plan, PlanSource, SourceRole};
use crate::step::Registry;
use crate::values::Override;

/// Gives what is known of a plan's origin from what it was compiled from. What the user asked for and the files
/// that it refers to are for the caller to add ([`Plan::set_origin`]): compiling reads no files.
pub(super) fn of(input: &CompileInput<'_>, plan: &Plan) -> Origin {
    let mut sources = vec![PlanSource::of(SourceRole::Runbook, &input.runbook.source)];
    sources.extend(input.environment.sources.iter().map(|source| PlanSource {
        role: SourceRole::Environment,
        name: source.name.clone(),
        sha256: source.sha256.clone(),
    }));
    sources.extend(input.overrides.iter().filter_map(|given| match given {
        Override::File(node) => Some(PlanSource::of(SourceRole::Values, &node.location.source)),
        Override::Set { .. } => None,
    }));
    Origin { inputs: None, sources, kinds: kinds(plan, input.registry), files: Vec::new() }
}

fn kinds(plan: &Plan, registry: &Registry) -> BTreeMap<String, KindIdentity> {
    let pinned = plan.pinned.iter().map(|step| &step.kind);
    let steps = plan.unpinned.iter().chain(&plan.steps).map(|step| &step.kind);
    let identity = |name: &String| {
        let kind = registry.get(name)?.info();
        let identity = KindIdentity { version: kind.version.clone(), digest: kind.digest.clone() };
        Some((name.clone(), identity))
    };
    pinned.chain(steps).filter_map(identity).collect()
}
