//! Runbook + environment + values + registry → plan. Pure; every mistake is collected.
//!
//! The stages, each a file: `draft` parses the templates of every step, `kinds`, `parameters` and `references`
//! check what can be checked without rendering, `edges` and `cycle` order the steps, `knowledge` and `instances`
//! say what is known and how often a step runs, `render`, `fit` and `steps` make the steps of the plan;
//! `approval` says who must agree before each.
//!
//! A `body` is a list of steps that see each other: the runbook's, or that of a composite kind. All that needs no
//! rendering is checked once for each body. A `frame` is one use of a body; `group` opens one for each step that
//! uses a composite, with the values `given` to it, and makes its steps in the same way.

mod absent;
mod approval;
mod body;
mod cycle;
mod draft;
mod edges;
mod fit;
mod frame;
mod given;
mod group;
mod instances;
mod kinds;
mod knowledge;
mod names;
mod origin;
mod outputs;
mod parameters;
mod references;
mod render;
mod report;
mod schema;
mod spans;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use outputs::{UnknownType, UnknownTypes, unknown_types};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::plan::{Group, Origin, PLAN_FORMAT, PinnedStep, Plan, RunbookIdentity};
use crate::runbook::{Doubtful, Runbook, not_said_yet};
use crate::step::Registry;
use crate::values::{self, Override};

use body::Bodies;
use frame::Frame;
use knowledge::{Knowledge, Shared};
use report::Report;
use steps::Made;

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
    compile_around(input, &Doubtful::default())
}

/// Finds every mistake of a runbook of which some could not be read: those of reading it, and those that compiling
/// finds in the rest.
pub fn mistakes(input: &CompileInput<'_>, doubtful: &Doubtful, reading: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let found = compile_around(input, doubtful).err().unwrap_or_default();
    let mut report = Report::default();
    let more = not_said_yet(&reading, found);
    report.extend(reading);
    report.extend(more);
    report.into_diagnostics(&input.runbook.source)
}

/// Compiles around what must not be relied on.
fn compile_around(input: &CompileInput<'_>, doubtful: &Doubtful) -> Result<Plan, Vec<Diagnostic>> {
    let mut report = Report::default();
    let (resolved, wrong) = values::resolve_partly(input.runbook, input.environment, input.overrides);
    report.extend(wrong);
    let group = draft::group(input.runbook, &mut report);
    let bodies = Bodies::check(input, doubtful, group.as_ref(), &mut report);
    if !bodies.are_composites_ordered() {
        return Err(report.into_diagnostics(&input.runbook.source));
    }
    let shared = Shared::new(input, &bodies);
    let unknown = unknown_values(input.runbook, &resolved.values, doubtful);
    let frame = Frame::top(resolved.values, unknown);
    let knowledge = Knowledge::gather(&shared, &frame, &bodies.runbook.drafts, &mut report);
    let mut made = Made::default();
    steps::make(&shared, &bodies.runbook, &frame, &knowledge, &mut made, &mut report);
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
        values: frame.values,
        concurrency,
        pinned: made.pinned,
        unpinned: made.unpinned,
        steps: made.steps,
        groups: made.groups,
    };
    plan.origin = origin::of(input, &plan);
    plan.hash = plan.compute_hash();
    Ok(plan)
}

/// Gives the pointers of values that are declared, and wrong somewhere.
fn unknown_values(runbook: &Runbook, values: &Value, doubtful: &Doubtful) -> BTreeMap<String, String> {
    let declared = runbook.values.iter().map(|declaration| &declaration.name.value);
    let wrong = declared.filter(|name| values.get(name.as_str()).is_none());
    wrong.chain(&doubtful.values).map(|name| (format!("/{name}"), knowledge::MENDED.to_owned())).collect()
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
