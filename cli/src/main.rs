//! The command line: reads arguments, prints, picks exit codes. Everything else is a library.

mod bounds;
mod commands;
mod embedded;
mod exit;
mod failure;
mod output;
mod person;
mod project;
mod terminal;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use crate::commands::Cli;
use crate::failure::Failure;

/// What the program calls itself with to be its own reaper (see `rekindle_host`).
const REAPER: &str = "__reaper";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == REAPER) {
        return match rekindle_host::reaper_main(std::io::stdin().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    bounds::apply();
    let cli = Cli::parse();
    init_log(cli.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("failed to start: {error}")).report().into(),
    };
    let ended = runtime.block_on(commands::dispatch(cli));
    // Threads that feed children may still wait on pipes; what they hold is swept by the reaper.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

fn init_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // Other crates' chatter can hold what they were given; only ours is masked.
    let ours = ["rekindle", "rekindle_engine", "rekindle_host", "rekindle_storage"];
    let filter = ours.iter().fold("off".to_owned(), |filter, name| format!("{filter},{name}={level}"));
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}
