//! `rekindle check RUNBOOK -e ENV`

use rekindle_engine::compile::{CompileInput, compile};

use super::plan::{What, load};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
}

pub(crate) fn check(args: &Args) -> Result<Exit, Failure> {
    let (runbook, environment) = load(&args.what)?;
    let overrides = args.what.values.read()?;
    let registry = world::registry();
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
