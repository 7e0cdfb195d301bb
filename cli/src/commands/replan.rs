//! `rekindle resume RUN --replan`: today's plan beside the stored one, what of the run still counts, and the question.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use rekindle_engine::environment::SavedPlan;
use rekindle_engine::host::World;
use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Record, RunDirectory};
use rekindle_engine::plan::{self, Inputs, Plan, Style};
use rekindle_engine::preview;
use rekindle_engine::run::{self, Had, Proposal, Resume, Reuse};
use rekindle_engine::step::{Effect, Registry};

use super::drive::{self, Options};
use super::place::Place;
use super::plan::{What, make};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::project::{EnvironmentArg, ValueArgs};

/// What is to be planned again, by whom and how.
pub(crate) struct Asked<'a> {
    pub(crate) place: &'a Place,
    pub(crate) directory: &'a RunDirectory,
    pub(crate) by: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) yes: bool,
}

/// A new plan that was agreed to.
pub(crate) struct Replanned {
    plan: Plan,
    reuse: Reuse,
}

/// Plans again, shows what changes, and asks. Gives nothing when today's plan is the stored one.
pub(crate) async fn propose(
    asked: &Asked<'_>,
    resume: &Resume,
    registry: &Registry,
    world: &World,
) -> Result<Option<Replanned>, Failure> {
    let unusable = |error: &dyn std::fmt::Display| Failure::input(error.to_string());
    let plans = asked.directory.plans().map_err(|error| unusable(&error))?;
    let records = asked.directory.records().map_err(|error| unusable(&error))?;
    let Some(old) = plans.last() else { return Ok(None) };
    refuse_alive(asked.directory, &records)?;
    let new = make(&what(old), registry, world).await?;
    let difference = plan::diff(old, &new);
    if difference.is_empty() {
        output::error("today's plan is the one that is stored: going on with it\n");
        return Ok(None);
    }
    refuse_other_group(old, &new)?;
    refuse_where_plans_are_saved(&new)?;
    let decisions = &resume.decisions;
    let proposal = Proposal { run: asked.directory.id(), plans: &plans, new: &new, registry, decisions };
    let reuse = proposal.look(&records).map_err(|error| {
        let failure = Failure::input(error.to_string());
        match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    let style = if output::colours() { Style::Ansi } else { Style::Plain };
    output::print(&format!("{}\n{}", difference.text(style), consequences(&reuse)));
    refuse_what_would_fail(&new, &reuse, registry, world).await?;
    if !asked.yes {
        ask()?;
    }
    Ok(Some(Replanned { plan: new, reuse }))
}

impl Replanned {
    /// Goes on with the run under the new plan.
    pub(crate) async fn go(
        self,
        asked: &Asked<'_>,
        resume: Resume,
        world: World,
        registry: Registry,
    ) -> Result<Exit, Failure> {
        let Asked { place, directory, by, options, .. } = *asked;
        let Self { plan, reuse } = self;
        let ready = drive::ready(place, directory, plan, world, registry, options).await?;
        // Under the run's lock, and durable before the event that names it. Without the event it is nothing.
        if let Err(error) = place.add_plan(directory, &ready.request.plan).await {
            ready.give_up().await;
            return Err(Failure::failed(error.to_string()).help("nothing was changed"));
        }
        ready.drive(|request| async move { run::replan(request, resume, &reuse, by).await }).await
    }
}

/// Gives what the run was asked to do, in the words of whoever asked.
fn what(plan: &Plan) -> What {
    let Inputs { runbook, environment, values, set } = plan.origin.inputs.clone().unwrap_or_else(|| Inputs {
        runbook: plan.runbook.name.clone(),
        environment: plan.settings.name.clone(),
        ..Inputs::default()
    });
    let values = ValueArgs { set, values: values.into_iter().map(PathBuf::from).collect() };
    What { runbook, environment: EnvironmentArg { environment }, values }
}

fn refuse_alive(directory: &RunDirectory, records: &[Record]) -> Result<(), Failure> {
    if let Some(Event::RunFinished { .. }) = records.last().map(|record| &record.event) {
        return Ok(());
    }
    let last = records.iter().rev().find_map(|record| match &record.event {
        Event::RunStarted { runner, .. } | Event::RunResumed { runner, .. } => Some(runner),
        _ => None,
    });
    match last.filter(|runner| rekindle_host::is_alive(runner)) {
        Some(runner) => Err(Failure::input(format!(
            "the run {} is still driven by pid {} on host {}",
            directory.id(),
            runner.pid,
            runner.host
        ))
        .help("wait for it, or cancel it first")),
        None => Ok(()),
    }
}

/// The lock that the run has, or had, must be the one that keeps others out under the new plan.
fn refuse_other_group(old: &Plan, new: &Plan) -> Result<(), Failure> {
    let name = |plan: &Plan| plan.concurrency.as_ref().map(|group| group.name.clone());
    if name(old) == name(new) {
        return Ok(());
    }
    Err(Failure::input("the new plan is of another concurrency group, so it is not this run's to take up")
        .help("cancel this run, and start a new one"))
}

/// Where only saved plans may be run, nobody may slip another one under a run.
fn refuse_where_plans_are_saved(new: &Plan) -> Result<(), Failure> {
    match new.settings.policy.saved_plan {
        SavedPlan::Optional => return Ok(()),
        SavedPlan::Required => {}
    }
    let name = &new.settings.name;
    Err(Failure::input(format!(
        "the environment `{name}` wants a saved plan, so a run can't take up another one"
    ))
    .help("cancel this run, save a new plan with `rekindle plan -o FILE`, and run that"))
}

/// Looks whether the steps that are due can work. Those that count are not asked: their effect is there.
async fn refuse_what_would_fail(
    new: &Plan,
    reuse: &Reuse,
    registry: &Registry,
    world: &World,
) -> Result<(), Failure> {
    let mut due = new.clone();
    due.steps.retain(|step| !reuse.reused.contains(&step.id));
    let problems = preview::preflight(&due, registry, world).await.problems;
    if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
}

/// Says what of the run still counts, and what does not.
fn consequences(reuse: &Reuse) -> String {
    let mut text = String::new();
    let names: Vec<_> = reuse.reused.iter().map(StepId::as_str).collect();
    let counts = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let _ = writeln!(text, "still counts: {counts}");
    if !reuse.again.is_empty() {
        text.push_str("runs again:\n");
    }
    for again in &reuse.again {
        let _ = writeln!(text, "  {} ({}): {}", again.step, again.effect, again.why);
        if again.effect == Effect::Destroy {
            let _ = writeln!(text, "    WARNING: it {} and replaces or removes data again", had(again.had));
        }
    }
    if !reuse.left.is_empty() {
        text.push_str("no more in the plan, what they did stays:\n");
    }
    for left in &reuse.left {
        let _ = writeln!(text, "  {} ({}): it {}", left.step, left.effect, had(left.had));
    }
    text
}

fn had(had: Had) -> &'static str {
    match had {
        Had::Succeeded => "was done before",
        Had::Begun => "had begun before",
    }
}

fn ask() -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::input("there is no terminal to ask on whether to go on like this")
            .help("look at the changes above, then resume with --replan --yes"));
    }
    output::error("\nGo on with the run under the new plan? Type yes: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::input("not agreed to: nothing was changed"))
}
