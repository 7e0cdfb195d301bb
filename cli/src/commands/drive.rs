//! Drives a run in this process: locks, signals, progress, and what is said at the end.

use std::fmt::Write as _;
use std::sync::Arc;

use rekindle_engine::host::World;
use rekindle_engine::journal::{Fence, GroupLease, Lock, LockOwner, NoFence, Outcome, RunDirectory};
use rekindle_engine::plan::{Plan, printable};
use rekindle_engine::run::{
    Cancellation, FileLogs, Inbox, InboxApprovals, RunEnd, RunError, RunOptions, RunRequest,
};
use rekindle_engine::step::Registry;
use rekindle_host::RecordedProcesses;
use tokio::signal::unix::{SignalKind, signal};

use super::group;
use super::others::Others;
use super::place::Place;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::person::Person;
use crate::terminal::{self, LogFormat, words};

/// How a run is driven, from the command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How many steps may run at once
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// How progress is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// How long running steps may take to stop when the run is cancelled
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) grace: std::time::Duration,
    /// Who you are, where several people share an account; kept with the account's number
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: 4, log_format: LogFormat::Text, grace: RunOptions::GRACE, name: None }
    }
}

fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    rekindle_engine::values::parse_duration(text).map_err(|error| error.to_string())
}

/// A run that is ready to be driven, its locks held until this is dropped.
pub(crate) struct Ready {
    pub(crate) request: RunRequest,
    heard: Heard,
    place: Place,
    lease: Option<GroupLease>,
    // Dropped last: nobody else may drive the run while we do.
    _lock: Lock,
}

/// Takes the locks of a run and puts everything together that drives it.
pub(crate) async fn ready(
    place: &Place,
    directory: &RunDirectory,
    plan: Plan,
    world: World,
    registry: Registry,
    options: &Options,
) -> Result<Ready, Failure> {
    let runner = rekindle_host::identity(env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::failed(format!("failed to find out who I am: {error}")))?;
    let owner = LockOwner { run: directory.id().clone(), runner: runner.clone() };
    let person = Person::here(options.name.as_deref())?;
    let cancellation = Cancellation::default();
    // A run that is under its second plan began with the first.
    let mut earlier = directory.plans().map_err(|error| Failure::input(error.to_string()))?;
    earlier.pop_if(|last| last.hash == plan.hash);
    let lock = directory.lock(&owner).map_err(|error| group::locked(&error))?;
    refuse_beside_children(directory).await?;
    place.prove_conditions().await?;
    let world = Others::known_to(&recorded(world, directory)?, place.runs());
    let heard = Heard::listen(&cancellation);
    let lease = match &place.group(&plan, directory.id()) {
        Some(wanted) => Some(
            group::take(place, wanted, &owner, &world.clock, cancellation.graceful())
                .await
                .map_err(|failure| failure.ending(heard.first()))?,
        ),
        None => None,
    };
    let plan = Arc::new(plan);
    let inbox = InboxApprovals::new(Inbox::of(directory), Arc::clone(&world.clock));
    let view = terminal::view(directory.id(), &plan, options.log_format, person, inbox);
    let fence = lease.as_ref().map_or_else(|| Arc::new(NoFence) as Arc<dyn Fence>, GroupLease::fence);
    let journal = match place.journal(directory, Arc::clone(&fence), &world).await {
        Ok(journal) => journal,
        Err(error) => {
            group::give_back(place.runs(), lease, directory.id()).await;
            return Err(Failure::failed(error.to_string()));
        }
    };
    let request = RunRequest {
        observer: view.observer,
        plan,
        earlier,
        run: directory.id().clone(),
        registry,
        journal,
        fence,
        logs: Arc::new(FileLogs::new(directory.clone(), Arc::clone(&world.clock))),
        world,
        approvals: view.approvals,
        cancellation: cancellation.clone(),
        options: RunOptions { jobs: usize::from(options.jobs), grace: options.grace, runner, commit: None },
    };
    Ok(Ready { request, heard, place: place.clone(), lease, _lock: lock })
}

impl Ready {
    /// Lets go of the run without having driven it.
    pub(crate) async fn give_up(self) {
        group::give_back(self.place.runs(), self.lease, &self.request.run).await;
    }

    /// Drives the run to its end, hearing the operator's signals, and says how it ended.
    pub(crate) async fn drive<F>(self, drive: impl FnOnce(RunRequest) -> F) -> Result<Exit, Failure>
    where
        F: Future<Output = Result<RunEnd, RunError>>,
    {
        let run = self.request.run.clone();
        let ended = drive(self.request.clone()).await;
        let heard = self.heard.first();
        group::give_back(self.place.runs(), self.lease, &run).await;
        let end = ended.map_err(|error| {
            let help = error.help().map_or(format!("`rekindle resume {run}` goes on"), str::to_owned);
            let failure = match error {
                RunError::AlreadyFinished { .. }
                | RunError::StillRunning { .. }
                | RunError::NotAwaited { .. }
                | RunError::NeverStarted(_)
                | RunError::Undecided { .. }
                | RunError::Outdated(_)
                | RunError::NothingToDecide { .. } => Failure::input(error.to_string()),
                RunError::Journal(_)
                | RunError::Fence(_)
                | RunError::Replay(_)
                | RunError::Defect(_)
                | RunError::NotPlanned { .. }
                | RunError::UnknownKind { .. }
                | RunError::RefusedKind { .. }
                | RunError::AlreadyStarted(_)
                | RunError::Stuck { .. } => Failure::failed(error.to_string()),
            };
            failure.help(help)
        })?;
        Ok(say_end(&run, &end, heard))
    }
}

/// How long the reaper of a runner that was just killed may take to end its children.
const REAPER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(6);

/// A child of a runner that was killed may still be at work: going on beside it would do things twice.
async fn refuse_beside_children(directory: &RunDirectory) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("failed to read {}: {error}", directory.children_path().display()))
    };
    let look = || rekindle_host::living_children(&directory.children_path()).map_err(failed);
    let begun = std::time::Instant::now();
    let mut living = look()?;
    while !living.is_empty() && begun.elapsed() < REAPER_PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        living = look()?;
    }
    let Some(child) = living.first() else { return Ok(()) };
    let (run, group, program) = (directory.id(), child.group, printable(&child.program));
    Err(Failure::input(format!(
        "`{program}`, started by the last runner of run {run}, still runs (process group {group})"
    ))
    .help(format!("wait for its end, or end it with `kill -- -{group}`; then go on")))
}

/// Writes down what the run starts.
fn recorded(world: World, directory: &RunDirectory) -> Result<World, Failure> {
    let path = directory.children_path();
    let processes = RecordedProcesses::begin(Arc::clone(&world.processes), &path)
        .map_err(|error| Failure::failed(format!("failed to write {}: {error}", path.display())))?;
    Ok(World { processes: Arc::new(processes), ..world })
}

/// The operator's signals, from the time a run is taken up.
struct Heard {
    first: Arc<std::sync::OnceLock<Exit>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Heard {
    fn listen(cancellation: &Cancellation) -> Self {
        let first = Arc::new(std::sync::OnceLock::new());
        let listening = tokio::spawn(listen(cancellation.clone(), Arc::clone(&first)));
        Self { first, listening }
    }

    /// Gives how the program ends when a signal has ended the run.
    fn first(&self) -> Option<Exit> {
        self.first.get().copied()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// First signal: stop in order. Second: stop at once.
async fn listen(cancellation: Cancellation, heard: Arc<std::sync::OnceLock<Exit>>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        output::error("warning: signals can't be heard; use kill -9 and `rekindle resume`\n");
        return;
    };
    loop {
        let (name, exit) = tokio::select! {
            _ = interrupt.recv() => ("SIGINT", Exit::Interrupted),
            _ = terminate.recv() => ("SIGTERM", Exit::Terminated),
        };
        let _ = heard.set(exit);
        cancellation.request(name);
    }
}

fn say_end(run: &rekindle_engine::id::RunId, end: &RunEnd, heard: Option<Exit>) -> Exit {
    match end {
        RunEnd::Finished { outcome, failure } => {
            let mut text = format!("run {run} {}\n", words::outcome(*outcome));
            if let Some((step, error)) = failure {
                let _ = writeln!(text, "  {step}: {error}");
                if let Some(help) = &error.help {
                    let _ = writeln!(text, "  help: {help}");
                }
                let _ = writeln!(text, "  once it is mended, `rekindle resume {run}` goes on from there");
                let _ = writeln!(text, "  with --replan, where the runbook or environment had to be mended");
            }
            output::error(&text);
            match outcome {
                Outcome::Succeeded | Outcome::SucceededWithWarnings => Exit::Done,
                Outcome::Failed => Exit::Failed,
                Outcome::Cancelled => heard.unwrap_or(Exit::Failed),
            }
        }
        RunEnd::Waiting { awaited } => {
            let mut text = format!("run {run} is waiting for approval:\n");
            for awaited in awaited {
                let _ = writeln!(text, "  {}", words::awaited(awaited));
                let _ = writeln!(text, "    rekindle approve {run} {}", awaited.step);
            }
            output::error(&text);
            Exit::Waiting
        }
        RunEnd::Paused { questions } => {
            let mut text = format!("run {run} is paused, a decision is needed:\n");
            for question in questions {
                let _ = writeln!(text, "  {}: {}", question.step, question.question);
                let _ =
                    writeln!(text, "    rekindle resume {run} --resolve {}=done|rerun|fail", question.step);
            }
            output::error(&text);
            Exit::Paused
        }
    }
}
