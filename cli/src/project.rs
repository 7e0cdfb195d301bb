//! Finds and reads what the user named: runbooks, environments, values files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rekindle_engine::diagnostic::nearest;
use rekindle_engine::document::{self, Source};
use rekindle_engine::environment::{self, Environment};
use rekindle_engine::runbook::{self, Runbook};
use rekindle_engine::values::{self, Override};

use crate::embedded;
use crate::failure::Failure;

/// Which environment to work in.
#[derive(Debug, Clone, Args)]
pub(crate) struct EnvironmentArg {
    /// The environment: NAME for environments/NAME.yaml, or a path
    #[arg(short, long, value_name = "ENV", env = "REKINDLE_ENVIRONMENT")]
    pub(crate) environment: String,
}

/// Values on the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct ValueArgs {
    /// Set a value: `retention.keep_last=3` (repeatable, the last one wins)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Read values from a YAML file (repeatable; --set wins over files)
    #[arg(long = "values", value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
}

impl ValueArgs {
    /// Reads all of them, in order of precedence.
    pub(crate) fn read(&self) -> Result<Vec<Override>, Failure> {
        let mut overrides = Vec::new();
        let mut mistakes = Vec::new();
        for path in &self.values {
            match document::parse(&read_source(path)?) {
                Ok(node) => overrides.push(Override::File(node)),
                Err(found) => mistakes.extend(found),
            }
        }
        for text in &self.set {
            match values::parse_set(text) {
                Ok(set) => overrides.push(set),
                Err(found) => mistakes.push(found),
            }
        }
        if mistakes.is_empty() { Ok(overrides) } else { Err(mistakes.into()) }
    }
}

/// Reads a runbook by name or path.
pub(crate) fn load_runbook(name: &str) -> Result<Runbook, Failure> {
    Ok(runbook::parse(&runbook_source(name)?)?)
}

/// Reads an environment by name or path.
pub(crate) fn load_environment(arg: &EnvironmentArg) -> Result<Environment, Failure> {
    let path = environment_path(&arg.environment)?;
    Ok(environment::parse(&read_source(&path)?)?)
}

fn is_path(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension().is_some_and(|ext| ext == "yaml" || ext == "yml")
}

fn runbook_source(name: &str) -> Result<Arc<Source>, Failure> {
    if is_path(name) {
        return read_source(Path::new(name));
    }
    let local = Path::new("runbooks").join(format!("{name}.yaml"));
    if local.is_file() {
        return read_source(&local);
    }
    if let Some(text) = embedded::runbook(name) {
        return Ok(Source::new(format!("{name}.yaml (shipped)"), text));
    }
    let mut known = names_in("runbooks");
    known.extend(embedded::RUNBOOKS.iter().map(|(name, _)| (*name).to_owned()));
    Err(no_such("runbook", name, &known, "`rekindle init` writes the shipped runbooks into runbooks/"))
}

fn environment_path(name: &str) -> Result<PathBuf, Failure> {
    if is_path(name) {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new("environments").join(format!("{name}.yaml"));
    if path.is_file() {
        return Ok(path);
    }
    let known = names_in("environments");
    Err(no_such("environment", name, &known, "`rekindle init` writes environments/local.yaml to start from"))
}

fn no_such(what: &str, name: &str, known: &[String], otherwise: &str) -> Failure {
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => otherwise.to_owned(),
        None => format!("there are {}; {otherwise}", known.join(", ")),
    };
    Failure::input(format!("there is no {what} `{name}` in {what}s/")).help(help)
}

fn names_in(folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn read_source(path: &Path) -> Result<Arc<Source>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::input(format!("failed to read {}: {error}", path.display())))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::input(format!("{} is not UTF-8: byte {at} is none", path.display()))
            .help("save the file as UTF-8")
    })?;
    Ok(Source::new(path.display().to_string(), text))
}
