//! `rekindle approve RUN [STEP]` and `rekindle reject RUN [STEP]`

mod elsewhere;

use std::path::Path;
use std::sync::Arc;

use rekindle_engine::id::StepId;
use rekindle_engine::journal::RunDirectory;
use rekindle_engine::plan::{Plan, Style, short_hash};
use rekindle_engine::run::{self, Answer, Awaited, Resume, RunState, Verdict};

use super::drive::{self, Options};
use super::place::{Elsewhere, Found, find};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::person::Person;
use crate::terminal::{missing, question};
use crate::{output, world};

/// Fewer digits of a hash may fit several plans by chance.
const SHORTEST_HASH: usize = 6;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, the beginning of one, or `latest`
    run: String,
    /// The step; may be left out when only one waits
    step: Option<StepId>,
    /// The plan you looked at: its hash or the beginning of it; another one is refused
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Why; kept in the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn approve(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    answer(args, Answer::Approve, state_dir).await
}

pub(crate) async fn reject(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    // Failed is what was asked for.
    Ok(match answer(args, Answer::Reject, state_dir).await? {
        Exit::Failed => Exit::Done,
        exit @ (Exit::Done
        | Exit::Input
        | Exit::Waiting
        | Exit::Paused
        | Exit::Interrupted
        | Exit::Terminated) => exit,
    })
}

async fn answer(args: &Args, answer: Answer, state_dir: &Path) -> Result<Exit, Failure> {
    let world = world::world()?;
    let Found { place, directory } = find(state_dir, &args.run, &args.elsewhere, &world).await?;
    let plan = directory.plan().map_err(|error| Failure::input(error.to_string()))?;
    check_hash(args.plan.as_deref(), &plan)?;
    let person = Person::here(args.options.name.as_deref())?;
    let awaited = choose(&directory, args.step.as_ref())?;
    let style = if output::colours() { Style::Ansi } else { Style::Plain };
    output::print(&question(directory.id(), &plan, &awaited, style));
    if answer == Answer::Approve && awaited.has_approved(&person.name) {
        let text = format!("{} has approved {} already; {}\n", person.name, awaited.step, missing(&awaited));
        output::error(&text);
        return Ok(Exit::Waiting);
    }
    let verdict = Verdict {
        step: awaited.step.clone(),
        request: awaited.request,
        plan_hash: plan.hash.clone(),
        answer,
        by: person.name,
        why: args.because.clone(),
        from: person.from,
    };
    if let Some(exit) = elsewhere::leave(&directory, &verdict).await? {
        return Ok(exit);
    }
    let ready = drive::ready(&place, &directory, plan, world, world::registry(), &args.options).await?;
    let resume = Resume {
        decisions: Vec::new(),
        verdicts: vec![verdict],
        is_alive: Arc::new(rekindle_host::is_alive),
    };
    ready.drive(|request| run::resume(request, resume)).await
}

fn check_hash(seen: Option<&str>, plan: &Plan) -> Result<(), Failure> {
    let Some(seen) = seen else { return Ok(()) };
    if seen.len() < SHORTEST_HASH {
        return Err(Failure::input(format!("`{seen}` is too short to tell plans apart"))
            .help(format!("give at least {SHORTEST_HASH} digits of the hash")));
    }
    if plan.hash.starts_with(&seen.to_lowercase()) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the run has the plan {}, not {seen}: nothing was recorded",
        short_hash(&plan.hash)
    ))
    .help("look at the plan that it runs: `rekindle runs show RUN`"))
}

/// Folds the journal as it is now.
fn replay(directory: &RunDirectory) -> Result<RunState, Failure> {
    let plans = directory.plans().map_err(|error| Failure::input(error.to_string()))?;
    let records = directory.records().map_err(|error| Failure::input(error.to_string()))?;
    RunState::replay(&plans, &records).map_err(|error| Failure::input(error.to_string()))
}

/// Finds the question that is answered.
fn choose(directory: &RunDirectory, step: Option<&StepId>) -> Result<Awaited, Failure> {
    let state = replay(directory)?;
    let mut awaited = state.awaited();
    if let Some(step) = step {
        awaited.retain(|awaited| awaited.step == *step);
    }
    let run = directory.id();
    match (awaited.len(), step) {
        (1, _) => Ok(awaited.remove(0)),
        (0, Some(step)) => {
            let why = match state.status(step) {
                None => format!("run {run} has no step `{step}`"),
                Some(status) => {
                    format!("step `{step}` of run {run} does not wait for approval: it is {}", status.word())
                }
            };
            Err(Failure::input(why).help(format!("`rekindle runs show {run}` says what it waits for")))
        }
        (0, None) => Err(Failure::input(format!("no step of run {run} waits for approval"))),
        (_, _) => {
            let steps: Vec<_> = awaited.iter().map(Awaited::words).collect();
            Err(Failure::input(format!("several steps of run {run} wait for approval"))
                .help(format!("name one of {}", steps.join(", "))))
        }
    }
}
