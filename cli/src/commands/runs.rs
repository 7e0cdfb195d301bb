//! `rekindle runs [list|show RUN|diff A B|logs RUN [STEP]|report RUN]`

use std::fmt::Write as _;
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Liveness, Record, RunDirectory, RunnerIdentity, Runs};
use rekindle_engine::plan::{Style, short_hash};
use rekindle_engine::report;
use rekindle_engine::run::{Awaited, RunState};
use serde_json::json;

use super::compare;
use super::place::{self, Elsewhere};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::terminal::words;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all runs, oldest first
    List,
    /// Show what a run was made of and what happened in it
    Show {
        /// The run's id, the beginning of one, or `latest`
        run: String,
    },
    /// Show what differs between two runs: runbook, values, steps, outcomes, durations
    Diff {
        /// One run: its id, the beginning of one, or `latest`
        old: String,
        /// The other run
        new: String,
    },
    /// Show what the steps of a run said
    Logs {
        /// The run's id, the beginning of one, or `latest`
        run: String,
        /// Only this step
        step: Option<String>,
    },
    /// Print the report of a run
    Report {
        /// The run's id, the beginning of one, or `latest`
        run: String,
        /// How
        #[arg(long, default_value = "text")]
        format: Format,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// Markdown
    Md,
    /// JSON
    Json,
}

pub(crate) async fn runs(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    let find = async |run: &str| place::look(state_dir, run, &args.elsewhere).await;
    match args.command.as_ref().unwrap_or(&Command::List) {
        Command::List => {
            let all = place::list(state_dir, &args.elsewhere).await?;
            list(&all, &Runs::new(state_dir), args.json)
        }
        Command::Show { run } => show(&find(run).await?, args.json),
        Command::Diff { old, new } => compare::diff(&find(old).await?, &find(new).await?, args.json),
        Command::Logs { run, step } => logs(&find(run).await?, step.as_deref()),
        Command::Report { run, format } => {
            let format = if args.json { Format::Json } else { *format };
            print_report(&find(run).await?, format)
        }
    }
}

struct Summary {
    status: &'static str,
    what: String,
    started: String,
    /// The steps that wait for approval.
    awaited: Vec<Awaited>,
}

impl Summary {
    /// `waiting for approval: restore (1 of 2)`
    fn words(&self) -> String {
        let awaited: Vec<_> = self.awaited.iter().map(Awaited::words).collect();
        if awaited.is_empty() {
            self.status.to_owned()
        } else {
            format!("{}: {}", self.status, awaited.join(", "))
        }
    }
}

fn summarise(run: &RunDirectory) -> Summary {
    let unreadable = |why: String| Summary {
        status: "unreadable",
        what: why,
        started: String::new(),
        awaited: Vec::new(),
    };
    let records = match run.records() {
        Ok(records) => records,
        Err(error) => return unreadable(error.to_string()),
    };
    let Some(Record { at, event: Event::RunStarted { runbook, runbook_version, environment, .. }, .. }) =
        records.first()
    else {
        return Summary { status: status(run, &records, &[]), ..unreadable("no step has begun".to_owned()) };
    };
    let awaited = awaited(run, &records);
    Summary {
        status: status(run, &records, &awaited),
        awaited,
        what: format!("{runbook} {runbook_version} in {environment}"),
        started: format!("{at:.0}"),
    }
}

fn status(run: &RunDirectory, records: &[Record], awaited: &[Awaited]) -> &'static str {
    match records.last().map(|record| &record.event) {
        None if is_driven(run) => "starting",
        None => "not started",
        Some(Event::RunFinished { outcome }) => words::outcome(*outcome),
        Some(Event::RunPaused { .. }) => "paused",
        Some(_) if is_overdue(awaited) => "too few approved in time",
        Some(_) if !awaited.is_empty() => "waiting for approval",
        Some(_) => last_runner(records).map_or("interrupted", driven),
    }
}

/// Says how a run stands that has not come to an end.
fn driven(runner: &RunnerIdentity) -> &'static str {
    match rekindle_host::liveness(runner) {
        Liveness::Alive => "running",
        Liveness::Gone => "interrupted",
        // After a reboot of this machine nothing goes on.
        Liveness::Elsewhere if rekindle_host::is_of_this_host(runner) => "interrupted",
        Liveness::Elsewhere => ELSEWHERE,
    }
}

/// Only the lease of its group can tell whether it goes on.
const ELSEWHERE: &str = "driven elsewhere";

/// Says whether the time for an approval is over, and nobody has looked since.
fn is_overdue(awaited: &[Awaited]) -> bool {
    awaited.iter().any(|awaited| awaited.expires_at.is_some_and(|at| at <= jiff::Timestamp::now()))
}

/// Says whether a process of this machine has the run in hand, also before its first event.
pub(super) fn is_driven(run: &RunDirectory) -> bool {
    run.locked_by().is_some_and(|runner| rekindle_host::is_alive(&runner))
}

/// Gives who drove a run last.
pub(super) fn last_runner(records: &[Record]) -> Option<&RunnerIdentity> {
    records.iter().rev().find_map(|record| match &record.event {
        Event::RunStarted { runner, .. } | Event::RunResumed { runner, .. } => Some(runner),
        _ => None,
    })
}

/// Gives the steps that wait for approval. The plan is read only when people were asked at all.
fn awaited(run: &RunDirectory, records: &[Record]) -> Vec<Awaited> {
    if !records.iter().any(|record| matches!(record.event, Event::ApprovalRequested { .. })) {
        return Vec::new();
    }
    let state = run.plans().ok().and_then(|plans| RunState::replay(&plans, records).ok());
    state.filter(|state| state.outcome().is_none()).map(|state| state.awaited()).unwrap_or_default()
}

fn list(all: &[RunDirectory], runs: &Runs, json: bool) -> Result<Exit, Failure> {
    if json {
        let rows: Vec<_> = all
            .iter()
            .map(|run| {
                let summary = summarise(run);
                let awaited: Vec<_> = summary.awaited.iter().map(as_json).collect();
                let Summary { status, what, started, .. } = summary;
                json!({ "run": run.id(), "status": status, "what": what, "started": started, "awaited": awaited })
            })
            .collect();
        output::json(&rows)?;
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output::line(&format!("no runs under {}", runs.folder().display()));
    }
    for run in all {
        let summary = summarise(run);
        let (status, Summary { what, started, .. }) = (summary.words(), summary);
        output::line(&format!("{}  {started:20}  {status:23}  {what}", run.id()));
    }
    Ok(Exit::Done)
}

fn as_json(awaited: &Awaited) -> serde_json::Value {
    json!({
        "step": awaited.step,
        "what": awaited.what,
        "needed": awaited.needed,
        "approved_by": awaited.approved_by,
        "expires_at": awaited.expires_at,
    })
}

fn read(run: &RunDirectory) -> Result<Vec<Record>, Failure> {
    run.records().map_err(|error| Failure::input(error.to_string()))
}

fn show(run: &RunDirectory, json: bool) -> Result<Exit, Failure> {
    let records = read(run)?;
    let plan = run.plan().map_err(|error| Failure::input(error.to_string()))?;
    let mut awaited = awaited(run, &records);
    let status = status(run, &records, &awaited);
    if json {
        output::json(&compare::as_json(run, status, &plan, &records))?;
        return Ok(Exit::Done);
    }
    let mut text = format!("run {}: {status}\n", run.id());
    text.push_str(&compare::heading(&plan, &records));
    text.push_str(&plans(&records));
    for record in &records {
        if let Some(event) = words::event(&record.event) {
            let _ = writeln!(text, "{:>4}  {:.3}  {event}", record.seq, record.at);
            text.extend(words::help(&record.event).map(|help| format!("{help}\n")));
        }
    }
    if is_overdue(&awaited) {
        let _ =
            writeln!(text, "the time for an approval is over: `rekindle resume {}` ends the run", run.id());
        awaited.clear();
    }
    for awaited in &awaited {
        let _ = writeln!(text, "waits for {}", words::awaited(awaited));
        let _ = writeln!(text, "  rekindle approve {} {}", run.id(), awaited.step);
    }
    if let (ELSEWHERE, Some(runner)) = (status, last_runner(&records)) {
        let (pid, host, run) = (runner.pid, &runner.host, run.id());
        let _ = writeln!(
            text,
            "pid {pid} on host {host} drives it, or did: if that machine is gone, `rekindle resume {run}` waits for \
             its lease to run out, and goes on"
        );
    }
    if status == "interrupted" {
        let _ = writeln!(text, "its runner is gone: `rekindle resume {}` goes on", run.id());
    }
    output::print(&text);
    Ok(Exit::Done)
}

/// Says under which plans a run went on, when there was more than one.
fn plans(records: &[Record]) -> String {
    let hashes: Vec<&str> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::RunStarted { plan_hash, .. } | Event::RunReplanned { plan_hash, .. } => {
                Some(short_hash(plan_hash))
            }
            _ => None,
        })
        .collect();
    let times = match hashes.len() {
        0 | 1 => return String::new(),
        2 => "once".to_owned(),
        3 => "twice".to_owned(),
        more => format!("{} times", more - 1),
    };
    format!("  replanned    {times}: {}\n", hashes.join(" → "))
}

fn logs(run: &RunDirectory, step: Option<&str>) -> Result<Exit, Failure> {
    let plan = run.plan().map_err(|error| Failure::input(error.to_string()))?;
    let steps: Vec<StepId> = match step {
        Some(step) if plan.steps.iter().any(|known| known.id.as_str() == step) => vec![step.into()],
        Some(step) => {
            let known: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
            return Err(Failure::input(format!("run {} has no step `{step}`", run.id()))
                .help(format!("it has {}", known.join(", "))));
        }
        None => plan.steps.iter().map(|step| step.id.clone()).collect(),
    };
    for id in steps {
        let Ok(text) = std::fs::read_to_string(run.log_path(&id)) else { continue };
        for line in text.lines() {
            output::line(&if step.is_some() { line.to_owned() } else { format!("{id}: {line}") });
        }
    }
    Ok(Exit::Done)
}

fn print_report(run: &RunDirectory, format: Format) -> Result<Exit, Failure> {
    let plan = run.plan().map_err(|error| Failure::input(error.to_string()))?;
    let report = report::report(&plan, &read(run)?);
    let style = if output::colours() { Style::Ansi } else { Style::Plain };
    match format {
        Format::Text => output::line(&report::text(&report, style)),
        Format::Md => output::line(&report::markdown(&report)),
        Format::Json => output::json(&report)?,
    }
    Ok(Exit::Done)
}
