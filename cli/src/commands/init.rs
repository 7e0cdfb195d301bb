//! `rekindle init [DIR]`

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{embedded, output};

const ENVIRONMENT: &str = include_str!("../../../examples/quickstart/environments/local.yaml");
const GITIGNORE: &str = include_str!("../../../examples/quickstart/gitignore");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write; made if missing
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(crate) fn init(args: &Args) -> Result<Exit, Failure> {
    for (name, text) in files() {
        let path = args.dir.join(&name);
        match write_new(&path, &text) {
            Ok(()) => output::line(&format!("wrote  {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                output::line(&format!("kept   {} (it was there)", path.display()));
            }
            Err(error) => {
                return Err(Failure::input(format!("failed to write {}: {error}", path.display())));
            }
        }
    }
    output::print(
        "\nnext: describe your servers and stores in environments/local.yaml, then\n  \
         rekindle check backup -e local\n  rekindle plan backup -e local\n  rekindle run backup -e local\n",
    );
    Ok(Exit::Done)
}

/// Gives everything that is written, by path.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut files = vec![
        ("environments/local.yaml".to_owned(), ENVIRONMENT.to_owned()),
        (".gitignore".to_owned(), GITIGNORE.to_owned()),
    ];
    for (name, text) in embedded::RUNBOOKS {
        files.push((format!("runbooks/{name}.yaml"), text.to_owned()));
    }
    for (name, schema) in super::schema::documents() {
        files.push((format!("schemas/{name}.schema.json"), format!("{schema:#}\n")));
    }
    files
}

/// Writes a file that is not there yet: what a user has written is never replaced.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
