//! `rekindle lifecycle import FILE`

use std::path::PathBuf;

use rekindle_engine::environment::Provider;
use rekindle_storage::lifecycle::import;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the declaration that says what a lifecycle document of S3 or Google Cloud Storage says
    Import {
        /// The document, in JSON; comments from `//` to the end of a line are passed over
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(crate) fn lifecycle(args: &Args) -> Result<Exit, Failure> {
    let Command::Import { file } = &args.command;
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("failed to read {}: {error}", file.display()))
            .help("name a lifecycle document")
    })?;
    let imported = import(&text)
        .map_err(|error| Failure::input(format!("{}: {}", file.display(), error.message)).help(error.help))?;
    if imported.had_comments {
        output::error("comments are no part of JSON, and were passed over\n");
    }
    let scheme = match imported.provider {
        Provider::S3 => "s3",
        Provider::Gcs => "gs",
    };
    output::print(&format!(
        "# Put it under a store with an `{scheme}:` URL. Its `prefix` counts from that URL: without one, it is the \
         whole store.\n{}",
        imported.to_yaml()
    ));
    Ok(Exit::Done)
}
