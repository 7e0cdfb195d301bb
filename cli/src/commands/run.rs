//! `rekindle run RUNBOOK -e ENV`

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use rekindle_engine::journal::Runs;
use rekindle_engine::plan::Plan;
use rekindle_engine::run::execute;
use rekindle_engine::step::Effect;

use super::drive::{self, Options};
use super::plan::{What, as_text, look};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    options: Options,
    /// Show what would be done, and stop
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before data are replaced or removed
    #[arg(short, long)]
    yes: bool,
}

/// Whether the user has agreed to steps that replace or remove data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`
    Given,
    /// To be asked for on the terminal.
    Ask,
}

pub(crate) async fn run(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    if args.dry_run {
        return super::plan::show(&args.what, state_dir).await;
    }
    let consent = if args.yes { Consent::Given } else { Consent::Ask };
    begin(&args.what, state_dir, consent, &args.options).await
}

/// Plans, asks, and runs.
pub(crate) async fn begin(
    what: &What,
    state_dir: &Path,
    consent: Consent,
    options: &Options,
) -> Result<Exit, Failure> {
    let (world, registry) = (world::world()?, world::registry());
    let runs = Runs::new(state_dir);
    let looked = look(what, &registry, &world, &runs).await?;
    if !looked.preview.problems.is_empty() {
        return Err(looked.preview.problems.into());
    }
    if consent == Consent::Ask && destroys(&looked.plan) {
        ask(&as_text(&looked))?;
    }
    let directory = runs
        .create(&looked.plan, world.clock.as_ref())
        .map_err(|error| Failure::input(error.to_string()).help("choose another place with --state-dir"))?;
    let ready = drive::ready(state_dir, &directory, looked.plan, world, registry, options).await;
    if ready.is_err() {
        // Nothing was begun: the run never existed.
        let _ = std::fs::remove_dir_all(directory.path());
    }
    ready?.drive(execute).await
}

fn destroys(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.effect == Effect::Destroy && !step.skipped)
}

fn ask(plan: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::input("the plan replaces or removes data, and there is no terminal to ask on")
            .help("look at `rekindle plan` first, then run with --yes"));
    }
    output::print(plan);
    output::error("\nThis replaces or removes data. Type yes to go on: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::input("not agreed to: nothing was changed"))
}
