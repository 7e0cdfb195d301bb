//! `cargo xtask`: what a person or a CI machine does with this repository. One file per subcommand.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod apt;
mod audit;
mod bench;
mod cache;
mod cargo;
mod demo;
#[cfg(test)]
mod diagnostics;
mod lanes;
mod mysql;
mod python;
mod schemas;
mod stage;
mod test;

use std::process::ExitCode;

use clap::Parser;

use crate::stage::Failure;

/// Tasks of the rekindle repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Checks format, lints and docs, and runs every test, installing what is missing
    Test(test::Args),
    /// Shows the main job end to end on throw-away MariaDB servers
    Demo(demo::Args),
    /// Checks licences, sources, banned crates and known vulnerabilities
    Audit,
    /// Measures rekindle beside the programs that do the same, in one run
    Bench(bench::Args),
    /// Writes schemas/ from what the program prints
    Schemas,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test(args) => test::test(&args),
        Task::Demo(args) => demo::demo(&args),
        Task::Audit => audit::audit(),
        Task::Bench(args) => bench::bench(&args),
        Task::Schemas => schemas::schemas(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}
