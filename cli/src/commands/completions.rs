//! `rekindle completions SHELL`

use clap::CommandFactory as _;

use super::Cli;
use crate::exit::Exit;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell to complete in
    shell: clap_complete::Shell,
}

pub(crate) fn completions(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rekindle", &mut script);
    output::print(&String::from_utf8_lossy(&script));
    Exit::Done
}
