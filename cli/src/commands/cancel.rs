//! `rekindle cancel RUN`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::World;
use rekindle_engine::journal::{Event, RunDirectory, RunnerIdentity};
use rekindle_engine::run::{self, Resume};
use rustix::process::{Pid, Signal, kill_process};

use super::drive::{self, Options};
use super::place::{Elsewhere, Found, find, find_here};
use super::runs::last_runner;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, the beginning of one, or `latest`
    run: String,
    /// How long to wait until it has stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait_seconds: u64,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

pub(crate) async fn cancel(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    // Most of what is to be known of a run takes no world: no store, and no reaper for children.
    let (found, world) = if let Some(here) = find_here(state_dir, &args.run, &args.elsewhere)? {
        (here, None)
    } else {
        let world = world::world()?;
        (find(state_dir, &args.run, &args.elsewhere, &world).await?, Some(world))
    };
    let directory = &found.directory;
    let records = directory.records().map_err(|error| Failure::input(error.to_string()))?;
    if let Some(Event::RunFinished { .. }) = records.last().map(|record| &record.event) {
        return Err(Failure::input(format!("run {} has finished already", directory.id())));
    }
    let driver = directory.locked_by().filter(rekindle_host::is_alive);
    if records.is_empty() && driver.is_none() {
        found.place.forget(directory).await;
        output::line(&format!("run {} had not started; it is gone", directory.id()));
        return Ok(Exit::Done);
    }
    // Before its first event a run may wait for its group: only the lock tells who drives it.
    match last_runner(&records).filter(|runner| rekindle_host::is_alive(runner)).or(driver.as_ref()) {
        Some(runner) => ask_runner(directory, runner, Duration::from_secs(args.wait_seconds)).await,
        None => cancel_here(&found, world.map_or_else(world::world, Ok)?).await,
    }
}

/// The process that drives it lives: it is asked to stop in order, as by Ctrl-C.
async fn ask_runner(
    directory: &RunDirectory,
    runner: &RunnerIdentity,
    wait: Duration,
) -> Result<Exit, Failure> {
    let pid = i32::try_from(runner.pid).ok().and_then(Pid::from_raw);
    let asked = pid.map(|pid| kill_process(pid, Signal::TERM));
    if !matches!(asked, Some(Ok(()))) {
        return Err(Failure::failed(format!("failed to signal pid {}", runner.pid)).help("are you its user?"));
    }
    output::error(&format!("asked pid {} to stop; its `finally` steps still run\n", runner.pid));
    let begun = Instant::now();
    while rekindle_host::is_alive(runner) {
        if begun.elapsed() > wait {
            return Err(Failure::failed(format!("pid {} has not stopped yet", runner.pid))
                .help("`rekindle cancel` again stops it at once"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    output::line(&format!("run {} has stopped", directory.id()));
    Ok(Exit::Done)
}

/// Nobody drives it: this process takes it over, only to end it in order.
async fn cancel_here(found: &Found, world: World) -> Result<Exit, Failure> {
    let Found { place, directory } = found;
    let plan = directory.plan().map_err(|error| Failure::input(error.to_string()))?;
    let ready = drive::ready(place, directory, plan, world, world::registry(), &Options::default()).await?;
    ready.request.cancellation.request("rekindle cancel");
    let resume =
        Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive: Arc::new(rekindle_host::is_alive) };
    let exit = ready.drive(|request| run::resume(request, resume)).await?;
    // Cancelled is what was asked for.
    Ok(if exit == Exit::Failed { Exit::Done } else { exit })
}
