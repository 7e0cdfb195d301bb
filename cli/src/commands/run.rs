//! `rekindle run RUNBOOK|PLAN -e ENV`

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use rekindle_engine::host::World;
use rekindle_engine::journal::Runs;
use rekindle_engine::plan::{Plan, PlanStep};
use rekindle_engine::run::execute;
use rekindle_engine::step::{Effect, Registry};

use super::commit;
use super::drive::{self, Options};
use super::place::Place;
use super::plan::{Looked, What, as_text, look, see};
use super::saved::{self, Saved};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::project::{self, EnvironmentArg, ValueArgs};
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runbook: a name or a path; or a plan that `plan -o` saved
    #[arg(value_name = "RUNBOOK|PLAN")]
    what: String,
    /// The environment: NAME for environments/NAME.yaml, or a path; a saved plan has its own
    #[arg(short, long, value_name = "ENV", env = "REKINDLE_ENVIRONMENT")]
    environment: Option<String>,
    #[command(flatten)]
    values: ValueArgs,
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
    let consent = if args.yes { Consent::Given } else { Consent::Ask };
    let (world, registry) = (world::world()?, world::registry());
    let runs = Runs::new(state_dir);
    let looked = if saved::is_plan(&args.what) {
        let saved = Saved::open(&args.what)?;
        saved.accept(args.environment.as_deref(), &args.values)?;
        let plan = saved.check(&registry, &world).await?;
        see(plan, &registry, &world, &runs).await
    } else {
        let what = named(args)?;
        // What is wrong with the environment itself is told together with the runbook's mistakes.
        if let (false, Ok(environment)) = (args.dry_run, project::load_environment(&what.environment)) {
            saved::refuse_unsaved(&what, &environment)?;
        }
        look(&what, &registry, &world, &runs).await?
    };
    if args.dry_run {
        return Ok(super::plan::show(&looked));
    }
    go(looked, Begin { state_dir, consent, options: &args.options }, world, registry).await
}

fn named(args: &Args) -> Result<What, Failure> {
    let Some(environment) = args.environment.clone() else {
        return Err(Failure::input("which environment?").help("name it with -e ENV"));
    };
    let environment = EnvironmentArg { environment };
    Ok(What { runbook: args.what.clone(), environment, values: args.values.clone() })
}

/// Plans, asks, and runs. What the program itself starts needs no saved plan.
pub(crate) async fn begin(
    what: &What,
    state_dir: &Path,
    consent: Consent,
    options: &Options,
) -> Result<Exit, Failure> {
    let (world, registry) = (world::world()?, world::registry());
    let looked = look(what, &registry, &world, &Runs::new(state_dir)).await?;
    go(looked, Begin { state_dir, consent, options }, world, registry).await
}

/// How a run is begun.
struct Begin<'a> {
    state_dir: &'a Path,
    consent: Consent,
    options: &'a Options,
}

/// Asks, and runs.
async fn go(looked: Looked, begin: Begin<'_>, world: World, registry: Registry) -> Result<Exit, Failure> {
    if !looked.preview.problems.is_empty() {
        return Err(looked.preview.problems.into());
    }
    if begin.consent == Consent::Ask && destroys(&looked.plan) {
        ask(&as_text(&looked))?;
    }
    let commit = commit::of(&looked.plan, &world).await;
    let place = Place::of(begin.state_dir, &looked.plan.settings, &world).await?;
    let directory = place.create(&looked.plan, &world).await?;
    let ready = drive::ready(&place, &directory, looked.plan, world, registry, begin.options).await;
    if ready.is_err() {
        // Nothing was begun: the run never existed.
        place.forget(&directory).await;
    }
    let mut ready = ready?;
    ready.request.options.commit = commit;
    ready.drive(execute).await
}

/// Steps that people must approve ask for themselves.
fn asks_for_consent(step: &PlanStep) -> bool {
    step.effect == Effect::Destroy && !step.skipped && step.approval.is_none()
}

fn destroys(plan: &Plan) -> bool {
    plan.steps.iter().any(asks_for_consent)
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
