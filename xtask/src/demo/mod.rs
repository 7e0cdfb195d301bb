//! `cargo xtask demo`: the main job, end to end, on throw-away MariaDB servers and a local store.

mod cluster;
mod data;
mod evidence;
mod program;
mod story;

use std::path::PathBuf;

use anyhow::Result;

use self::program::Program;
use crate::stage::Failure;

/// Backs up a primary with a replica, destroys the primary, kills the recovery half way, resumes it, and proves
/// that every row and object is back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave servers, backups and reports where they are
    #[arg(long)]
    keep: bool,
    /// Where to work; a temporary folder otherwise
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The rekindle program; built otherwise
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub(crate) fn demo(args: &Args) -> Result<(), Failure> {
    crate::apt::ensure(&crate::apt::MARIADB)?;
    show(args).map_err(|error| Failure::new(format!("{error:#}")))
}

fn show(args: &Args) -> Result<()> {
    let program = args.program.as_deref().map_or_else(program::build, Program::at)?;
    let place = cluster::Place::new(args.dir.as_deref(), args.keep)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(story::tell(&program, &place));
    let cleaned = place.clean_up(&program);
    told.and(cleaned)
}
