//! Finds and reads what the user named: runbooks, environments, values files.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rekindle_engine::diagnostic::{Diagnostic, nearest};
use rekindle_engine::document::{self, Node, Source};
use rekindle_engine::environment::{self, Environment, NotFound};
use rekindle_engine::plan::{PlanSource, SourceRole};
use rekindle_engine::runbook::{self, Partly, Runbook};
use rekindle_engine::values::{self, Override};

use crate::failure::Failure;
use crate::{embedded, output};

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

/// A runbook in the environment it is for.
pub(crate) struct Project {
    /// The runbook as it stands in its file.
    pub(crate) document: Node,
    /// The runbook with the environment's patches.
    pub(crate) runbook: Runbook,
    /// The environment with all that it extends.
    pub(crate) environment: Environment,
}

/// Reads runbook and environment, and complains about both at once.
pub(crate) fn load(runbook: &str, environment: &EnvironmentArg) -> Result<Project, Failure> {
    match (load_document(runbook), load_environment(environment)) {
        (Ok(document), Ok(environment)) => {
            let name = document.get("name").and_then(Node::text).unwrap_or_default();
            let patches = environment.patches.get(name).map_or(&[][..], Vec::as_slice);
            let runbook = runbook::read_patched(&document, patches)?;
            hint_at_runbooks_elsewhere(&runbook.name.value, &environment);
            let misspelt = misspelt_runbooks(&runbook.name.value, &environment);
            if !misspelt.is_empty() {
                return Err(misspelt.into());
            }
            Ok(Project { document, runbook, environment })
        }
        (Err(Failure::Mistakes(mut mistakes)), Err(Failure::Mistakes(more))) => {
            mistakes.extend(more);
            Err(mistakes.into())
        }
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

/// Reads the document of a runbook that is right by itself.
fn load_document(name: &str) -> Result<Node, Failure> {
    let document = document::parse(&runbook_source(name)?)?;
    runbook::read(&document)?;
    Ok(document)
}

/// Reads as much of a runbook as can be.
pub(crate) fn load_runbook_partly(name: &str) -> Result<Partly, Failure> {
    Ok(runbook::parse_partly(&runbook_source(name)?))
}

/// Reads an environment by name or path, with all that it extends.
pub(crate) fn load_environment(arg: &EnvironmentArg) -> Result<Environment, Failure> {
    let path = environment_path(&arg.environment)?;
    Ok(environment::load(&read_source(&path)?, extended)?)
}

/// Finds what stands after `extends:` in a file: NAME.yaml beside it, or a path that counts from its folder.
fn extended(name: &str, by: &Source) -> Result<Arc<Source>, NotFound> {
    let folder = Path::new(&by.name).parent().unwrap_or(Path::new(""));
    let path = plain(&if is_path(name) { folder.join(name) } else { folder.join(format!("{name}.yaml")) });
    if path.is_file() {
        return read_source(&path).map_err(|failure| match failure {
            Failure::Plain { message, help, .. } => NotFound { message, help },
            Failure::Mistakes(_) => {
                NotFound { message: format!("failed to read {}", path.display()), help: None }
            }
        });
    }
    let known = names_in(folder);
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "write the NAME of NAME.yaml beside this file, or a path that counts from its folder".to_owned()
        }
    };
    Err(NotFound {
        message: format!("there is no environment `{name}`: {} is no file", path.display()),
        help: Some(help),
    })
}

/// Takes `.` and `x/..` out, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let goes_down = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if goes_down => {
                plain.pop();
            }
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                plain.push(part);
            }
        }
    }
    plain
}

/// Tells of patches of a runbook whose name is a slip of the fingers: what was meant would silently not be done.
pub(crate) fn misspelt_runbooks(loaded: &str, environment: &Environment) -> Vec<Diagnostic> {
    let misspelt = |(name, near): (&String, Option<String>)| {
        let near = near?;
        let mistake = Diagnostic::new("rekindle::patch::unknown_runbook", is_not_there(environment, name));
        let mistake = match environment.patches[name].first() {
            Some(patch) => mistake.label(&patch.location, format!("never applied to `{near}`")),
            None => mistake,
        };
        Some(mistake.help(format!("did you mean `{near}`?")))
    };
    unknown_runbooks(loaded, environment).into_iter().filter_map(misspelt).collect()
}

/// An environment may serve runbooks of other folders too: patches of one that is not here are only pointed out.
fn hint_at_runbooks_elsewhere(loaded: &str, environment: &Environment) {
    for (name, near) in unknown_runbooks(loaded, environment) {
        if near.is_none() {
            output::error(&format!("hint: {}\n", is_not_there(environment, name)));
        }
    }
}

fn is_not_there(environment: &Environment, name: &str) -> String {
    format!("environment `{}` patches a runbook `{name}` that is not there", environment.settings.name)
}

/// Gives the runbooks that are patched and not there, each with one of a similar name that is.
fn unknown_runbooks<'a>(loaded: &str, environment: &'a Environment) -> Vec<(&'a String, Option<String>)> {
    let mut known = names_in(Path::new("runbooks"));
    known.extend(embedded::RUNBOOKS.iter().map(|(name, _)| (*name).to_owned()));
    known.push(loaded.to_owned());
    let unknown = environment.patches.keys().filter(|name| !known.contains(name));
    unknown.map(|name| (name, nearest(name, known.iter().map(String::as_str)).map(str::to_owned))).collect()
}

/// What stands after the name of a runbook that is part of this program.
pub(crate) const SHIPPED: &str = " (shipped)";

/// Computes the sha256 (hex) of a text file, when it can be read.
pub(crate) fn sha256(path: &Path) -> Option<String> {
    let source = read_source(path).ok()?;
    Some(PlanSource::of(SourceRole::Runbook, &source).sha256)
}

/// Reads the composite step kinds of the project: each under the name of its file in `kinds/`, or why it can't be read.
pub(crate) fn composites() -> Vec<(String, Result<Arc<Source>, String>)> {
    let folder = Path::new("kinds");
    let read = |name: String| {
        let source = read_source(&folder.join(format!("{name}.yaml")));
        (name, source.map_err(|failure| failure.message()))
    };
    names_in(folder).into_iter().map(read).collect()
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
        return Ok(Source::new(format!("{name}.yaml{SHIPPED}"), text));
    }
    let mut known = names_in(Path::new("runbooks"));
    known.extend(embedded::RUNBOOKS.iter().map(|(name, _)| (*name).to_owned()));
    Err(no_such("runbook", name, &known, "`rekindle init` writes the shipped runbooks into runbooks/"))
}

/// Finds the file of an environment.
pub(crate) fn environment_path(name: &str) -> Result<PathBuf, Failure> {
    if is_path(name) {
        return Ok(PathBuf::from(name));
    }
    let path = Path::new("environments").join(format!("{name}.yaml"));
    if path.is_file() {
        return Ok(path);
    }
    let known = names_in(Path::new("environments"));
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

fn names_in(folder: &Path) -> Vec<String> {
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
