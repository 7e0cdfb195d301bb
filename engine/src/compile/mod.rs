//! Runbook + environment + values + registry → plan. Pure; every mistake is collected.
//!
//! The stages, each a file: `draft` parses the templates of every step, `kinds`, `parameters` and `references`
//! check what can be checked without rendering, `edges` and `cycle` order the steps, `knowledge` and `instances`
//! say what is known and how often a step runs, `render`, `fit` and `steps` make the steps of the plan.

mod cycle;
mod draft;
mod edges;
mod fit;
mod instances;
mod kinds;
mod knowledge;
mod names;
mod origin;
mod parameters;
mod references;
mod render;
mod report;
mod schema;
mod spans;
mod steps;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::plan::{Group, Origin, PLAN_FORMAT, PinnedStep, Plan, RunbookIdentity};
use crate::runbook::Runbook;
use crate::step::Registry;
use crate::values::{self, Override};

use draft::Drafts;
use knowledge::Knowledge;
use report::Report;

/// Everything a plan is made from.
#[derive(Clone, Copy)]
pub struct CompileInput<'a> {
    /// The procedure.
    pub runbook: &'a Runbook,
    /// Where.
    pub environment: &'a Environment,
    /// Values files and `--set`s, weakest first.
    pub overrides: &'a [Override],
    /// The step kinds there are.
    pub registry: &'a Registry,
    /// What steps with `phase: plan` have found already.
    pub pinned: &'a [PinnedStep],
}

/// Compiles a runbook to a plan.
///
/// A `phase: plan` step without a result in `pinned` goes to [`Plan::unpinned`]. It can run as soon as its
/// parameters are a [`crate::plan::Param::Value`] and it has no `when`; then compile again with its result.
/// Until then a `for_each` over its outputs is one step `restore[…]`.
///
/// # Errors
/// Every mistake in source order, each once.
pub fn compile(input: &CompileInput<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut report = Report::default();
    let resolved = values::resolve(input.runbook, input.environment, input.overrides)
        .map_err(|errors| report.extend(errors))
        .ok();
    let mut drafts = Drafts::read(input, &mut report);
    let group = draft::group(input.runbook, &mut report);
    kinds::check(&drafts, input.registry, &mut report);
    references::check(&mut drafts, input.runbook, group.as_ref(), &mut report);
    parameters::check(&drafts, &mut report);
    let edges = edges::connect(&drafts, &mut report);
    let ordered = cycle::check(&drafts, &edges, &mut report);
    let (Some(resolved), true) = (resolved, ordered) else {
        return Err(report.into_diagnostics(&input.runbook.source));
    };
    let knowledge = Knowledge::gather(input, &resolved.values, &drafts, &mut report);
    let (unpinned, steps) = steps::make(input, &drafts, &edges, &knowledge, &mut report);
    let concurrency = group.and_then(|group| {
        let name = knowledge.render_group(&group, &mut report)?;
        Some(Group { name, on_conflict: input.runbook.concurrency.as_ref()?.on_conflict })
    });
    if !report.is_empty() {
        return Err(report.into_diagnostics(&input.runbook.source));
    }
    let mut plan = Plan {
        format: PLAN_FORMAT,
        hash: String::new(),
        runbook: identity(input.runbook),
        origin: Origin::default(),
        settings: input.environment.settings.clone(),
        values: resolved.values,
        concurrency,
        pinned: knowledge.pinned_in_order(&drafts),
        unpinned,
        steps,
    };
    plan.origin = origin::of(input, &plan);
    plan.hash = plan.compute_hash();
    Ok(plan)
}

fn identity(runbook: &Runbook) -> RunbookIdentity {
    RunbookIdentity {
        name: runbook.name.value.clone(),
        version: runbook.version.to_string(),
        summary: runbook.summary.clone(),
        sha256: hex::encode(Sha256::digest(runbook.source.text.as_bytes())),
        requires: runbook.requires.clone(),
    }
}
