//! `rekindle check RUNBOOK -e ENV`

use rekindle_engine::compile::{CompileInput, compile, mistakes};
use rekindle_engine::step::Registry;

use super::plan::{What, load};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, project, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
}

pub(crate) fn check(args: &Args) -> Result<Exit, Failure> {
    let registry = world::registry();
    let (runbook, environment) = match load(&args.what) {
        Ok(both) => both,
        Err(failure) => return Err(with_all_stages(failure, &args.what, &registry)),
    };
    let overrides = args.what.values.read()?;
    let plan = compile(&CompileInput {
        runbook: &runbook,
        environment: &environment,
        overrides: &overrides,
        registry: &registry,
        pinned: &[],
    })?;
    output::line(&format!(
        "{} {} is sound for {}: {} steps",
        plan.runbook.name,
        plan.runbook.version,
        plan.settings.name,
        plan.steps.len() + plan.unpinned.len()
    ));
    Ok(Exit::Done)
}

/// Adds what compiling finds in the parts of a runbook that could be read: one look should find everything.
fn with_all_stages(failure: Failure, what: &What, registry: &Registry) -> Failure {
    let (Failure::Mistakes(_), Ok(environment), Ok(overrides), Ok(partly)) = (
        &failure,
        project::load_environment(&what.environment),
        what.values.read(),
        project::load_runbook_partly(&what.runbook),
    ) else {
        return failure;
    };
    let Some(runbook) = &partly.runbook else { return failure };
    if environment.patches.contains_key(&runbook.name.value) {
        // What the patches would make of it can't be told before it is sound.
        return failure;
    }
    let input =
        CompileInput { runbook, environment: &environment, overrides: &overrides, registry, pinned: &[] };
    let mut known = partly.mistakes;
    known.extend(project::misspelt_runbooks(&runbook.name.value, &environment));
    let all = mistakes(&input, &partly.doubtful, known);
    // What is not found again by looking more closely is told all the same.
    if all.is_empty() { failure } else { all.into() }
}
