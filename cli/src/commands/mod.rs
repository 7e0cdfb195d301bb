//! One file per command: its arguments and what it does.

mod approve;
mod backups;
mod cancel;
mod check;
mod commit;
mod compare;
mod completions;
mod drive;
mod explain;
mod group;
mod init;
mod lifecycle;
mod others;
mod place;
mod plan;
mod plugin;
mod replan;
mod resume;
mod run;
mod runs;
mod sandbox;
mod saved;
mod schema;
mod steps;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::world;

/// Backs up MySQL and MariaDB clusters and brings them back.
///
/// A runbook says what to do, an environment says where. `plan` shows what would be done and changes nothing;
/// `run` does it and keeps a journal; `resume` goes on after a crash.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where runs keep their plans and journals
    #[arg(long, global = true, value_name = "DIR", env = "REKINDLE_STATE_DIR", default_value = ".rekindle")]
    pub(crate) state_dir: PathBuf,
    /// Folders with step kinds of your own, joined by `:` [default: plugins, when it is there]
    #[arg(long, global = true, value_name = "DIRS", env = "REKINDLE_PLUGIN_PATH")]
    pub(crate) plugin_path: Option<OsString>,
    /// Say more on standard error (repeat for even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write runbooks and an environment to start from
    Init(init::Args),
    /// Find every mistake in a runbook and its environment; touches nothing
    Check(check::Args),
    /// Show what a run would do; changes nothing
    Plan(plan::Args),
    /// Run a runbook
    Run(run::Args),
    /// Go on with a run that was killed, paused or failed
    Resume(resume::Args),
    /// Agree to a step that waits for approval; the last one needed makes the run go on
    Approve(approve::Args),
    /// Refuse a step that waits for approval: it fails
    Reject(approve::Args),
    /// Stop a run: nothing new starts, `finally` steps still run
    Cancel(cancel::Args),
    /// Look at runs
    Runs(runs::Args),
    /// Look at the backups in a store
    Backups(backups::Args),
    /// Read the lifecycle rules of buckets
    Lifecycle(lifecycle::Args),
    /// List the step kinds, or describe one
    Steps(steps::Args),
    /// List step kinds of your own, and test them
    Plugin(plugin::Args),
    /// Print a JSON Schema
    Schema(schema::Args),
    /// Start and stop throw-away servers
    Sandbox(sandbox::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command.
pub(crate) async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    world::use_plugins(cli.plugin_path.as_deref())?;
    let state_dir = cli.state_dir;
    match cli.command {
        Command::Init(args) => init::init(&args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args, &state_dir).await,
        Command::Run(args) => run::run(&args, &state_dir).await,
        Command::Resume(args) => resume::resume(&args, &state_dir).await,
        Command::Approve(args) => approve::approve(&args, &state_dir).await,
        Command::Reject(args) => approve::reject(&args, &state_dir).await,
        Command::Cancel(args) => cancel::cancel(&args, &state_dir).await,
        Command::Runs(args) => runs::runs(&args, &state_dir).await,
        Command::Backups(args) => backups::backups(&args, &state_dir).await,
        Command::Lifecycle(args) => lifecycle::lifecycle(&args),
        Command::Steps(args) => steps::steps(&args),
        Command::Plugin(args) => plugin::plugin(&args).await,
        Command::Schema(args) => schema::schema(&args),
        Command::Sandbox(args) => sandbox::sandbox(&args).await,
        Command::Completions(args) => Ok(completions::completions(&args)),
    }
}
