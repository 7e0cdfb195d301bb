//! `rekindle resume RUN [--resolve STEP=done|rerun|fail] [--replan]`

use std::path::Path;
use std::sync::Arc;

use rekindle_engine::id::StepId;
use rekindle_engine::journal::Resolution;
use rekindle_engine::run::{self, Decision, Resume};

use super::drive::{self, Options};
use super::place::{Elsewhere, Found, find};
use super::replan::{self, Asked};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::person::Person;
use crate::world;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, the beginning of one, or `latest`
    run: String,
    /// Decide on a step that was under way: STEP=done, STEP=rerun or STEP=fail (repeatable)
    #[arg(long, value_name = "STEP=DECISION", value_parser = parse_resolution)]
    resolve: Vec<(StepId, Resolution)>,
    /// Why it was decided so; kept in the journal
    #[arg(long, value_name = "TEXT", default_value = "", requires = "resolve")]
    because: String,
    /// Plan again with today's runbook and environment, show what changes, and go on under the new plan
    #[arg(long)]
    replan: bool,
    /// Do not ask before going on under a new plan; nothing is asked without `--replan`
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    options: Options,
}

fn parse_resolution(text: &str) -> Result<(StepId, Resolution), String> {
    let (step, decision) = text.rsplit_once('=').ok_or("expected STEP=done, STEP=rerun or STEP=fail")?;
    let resolution = match decision {
        "done" => Resolution::Done,
        "rerun" => Resolution::Rerun,
        "fail" => Resolution::Fail,
        other => return Err(format!("`{other}` is no decision: expected done, rerun or fail")),
    };
    Ok((step.into(), resolution))
}

pub(crate) async fn resume(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    let (world, registry) = (world::world()?, world::registry());
    let Found { place, directory } = find(state_dir, &args.run, &args.elsewhere, &world).await?;
    let by = Person::here(args.options.name.as_deref())?.name;
    let decisions = args
        .resolve
        .iter()
        .map(|(step, resolution)| Decision {
            step: step.clone(),
            resolution: *resolution,
            by: by.clone(),
            why: args.because.clone(),
        })
        .collect();
    let resume = Resume { decisions, verdicts: Vec::new(), is_alive: Arc::new(rekindle_host::is_alive) };
    if args.replan {
        let asked =
            Asked { place: &place, directory: &directory, by: &by, options: &args.options, yes: args.yes };
        if let Some(replanned) = replan::propose(&asked, &resume, &registry, &world).await? {
            return replanned.go(&asked, resume, world, registry).await;
        }
    }
    let plan = directory.plan().map_err(|error| Failure::input(error.to_string()))?;
    let ready = drive::ready(&place, &directory, plan, world, registry, &args.options).await?;
    ready.drive(|request| run::resume(request, resume)).await
}
