//! The program that reads binary logs: which one fits a server, and what it was told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rekindle_backup::manifest::{Flavour, Tool};
use rekindle_engine::host::{CommandSpec, Processes};
use rekindle_engine::step::StepError;
use tokio_util::sync::CancellationToken;

use crate::client_options::ClientOptions;
use crate::connection::Login;
use crate::flavour::flavour_name;
use crate::tool::{ToolError, run_tool};

/// How much of a program's standard error a message shows.
const SHOWN_STDERR_BYTES: usize = 1000;

/// A program that reads binary logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogProgram {
    flavour: Flavour,
    /// Its name on `PATH`.
    pub(crate) name: &'static str,
    /// What it says of itself.
    pub(crate) version: String,
}

impl LogProgram {
    /// Finds the one of a flavour. `mysqlbinlog` is MariaDB's on many systems: its own word decides.
    pub(crate) async fn find(
        processes: &Arc<dyn Processes>,
        flavour: Flavour,
        cancel: &CancellationToken,
    ) -> Result<Self, StepError> {
        let names: &[&'static str] = match flavour {
            Flavour::Mariadb => &["mariadb-binlog", "mysqlbinlog"],
            Flavour::Mysql => &["mysqlbinlog"],
        };
        let (name, version) = of_flavour(processes, names, flavour, "the binary logs", cancel).await?;
        Ok(Self { flavour, name, version })
    }

    /// Gives the command that copies a log from its server, through the replication protocol: an encrypted log comes
    /// as plain text. `folder` ends with `/`.
    pub(crate) fn fetch(&self, login: &Path, folder: &Path, log: &str, from: u64) -> CommandSpec {
        let mut spec = CommandSpec::new(self.name)
            .arg(format!("--defaults-file={}", login.display()))
            .args(["--read-from-remote-server", "--raw"])
            .arg(format!("--result-file={}/", folder.display()));
        if from > 4 {
            spec = spec.arg(format!("--start-position={from}"));
        }
        spec.arg("--").arg(log)
    }

    /// Gives the command as people and entries see it.
    pub(crate) fn shown_fetch(&self, log: &str, from: u64) -> String {
        self.fetch(Path::new("LOGIN"), Path::new("FOLDER"), log, from).display()
    }

    /// Gives the command that writes the statements of the logs that it reads from its standard input.
    pub(crate) fn statements(&self) -> CommandSpec {
        let mut spec = CommandSpec::new(self.name).args(["--no-defaults", "-"]);
        // Times in its comments, and nothing else, depend on it.
        spec.env.push(("TZ".into(), "UTC".into()));
        spec
    }

    /// Says which program it was, for an entry.
    pub(crate) fn tool(&self, command: String) -> Tool {
        Tool { name: self.name.to_owned(), version: self.version.clone(), command }
    }
}

/// Finds the program of a flavour among these names, and what it says of itself. `what` is done with it.
pub(crate) async fn of_flavour(
    processes: &Arc<dyn Processes>,
    names: &[&'static str],
    flavour: Flavour,
    what: &str,
    cancel: &CancellationToken,
) -> Result<(&'static str, String), StepError> {
    let mut other = None;
    for name in names {
        if processes.find(name).is_none() {
            continue;
        }
        let version = said(processes, name, "--version", cancel).await?;
        // MariaDB's reader of binary logs does not name its family there, but does in its help.
        let is_mariadb =
            version.contains("MariaDB") || said(processes, name, "--help", cancel).await?.contains("MariaDB");
        let its_own = if is_mariadb { Flavour::Mariadb } else { Flavour::Mysql };
        if its_own == flavour {
            return Ok((*name, version));
        }
        other = Some((*name, version));
    }
    let family = flavour_name(flavour);
    let missing = match other {
        Some((name, said)) => {
            format!("`{name}` is of the other flavour ({said}), and {what} of {family} are read with its own")
        }
        None => format!(
            "there is no program `{}` on PATH, and {what} of {family} are read with it",
            names.first().copied().unwrap_or_default()
        ),
    };
    let package = match flavour {
        Flavour::Mariadb => "mariadb-client",
        Flavour::Mysql => "mysql-client",
    };
    Err(StepError::permanent(missing)
        .help(format!("install the client programs: package `{package}` on Debian and Ubuntu")))
}

/// Gives what a program says to one option.
async fn said(
    processes: &Arc<dyn Processes>,
    program: &str,
    option: &str,
    cancel: &CancellationToken,
) -> Result<String, StepError> {
    let spec = CommandSpec::new(program).args(["--no-defaults", option]);
    Ok(run_tool(processes, spec, cancel).await.map_err(tool_error)?.stdout.trim().to_owned())
}

/// A program with a login that it may use.
pub(crate) struct Fetcher {
    pub(crate) program: LogProgram,
    login: Login,
    processes: Arc<dyn Processes>,
}

impl Fetcher {
    pub(crate) fn new(program: LogProgram, login: Login, processes: &Arc<dyn Processes>) -> Self {
        Self { program, login, processes: Arc::clone(processes) }
    }

    /// Copies a log, from a position to what is its end now, into a folder. Gives the file.
    pub(crate) async fn fetch(
        &self,
        folder: &Path,
        log: &str,
        from: u64,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, FetchError> {
        let path = folder.join(log);
        // Left by an earlier copy.
        let _ = std::fs::remove_file(&path);
        let options = ClientOptions::new(&self.login, self.program.flavour)
            .map_err(|error| StepError::permanent(error.to_string()))?;
        let writing = Arc::clone(&self.processes);
        let file = tokio::task::spawn_blocking(move || writing.private_file(options.text()))
            .await
            .map_err(|error| StepError::permanent(error.to_string()))?
            .map_err(|error| StepError::permanent(format!("failed to write the client's login: {error}")))?;
        let spec = self.program.fetch(file.path(), folder, log, from);
        let end = run_tool(&self.processes, spec, cancel).await.map_err(tool_error)?;
        if !end.report.success() {
            return Err(FetchError::Refused {
                said: last_of(&end.report.stderr),
                how: end.report.describe(),
            });
        }
        Ok(path)
    }
}

/// Why a log was not copied.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The program failed: also when the server has no event at that position.
    Refused {
        /// The last it said.
        said: String,
        /// How it ended.
        how: String,
    },
    /// It could not be run.
    Other(StepError),
}

impl From<StepError> for FetchError {
    fn from(error: StepError) -> Self {
        Self::Other(error)
    }
}

impl FetchError {
    /// Makes it the error of the step.
    pub(crate) fn step_error(self, program: &str, log: &str) -> StepError {
        match self {
            Self::Other(error) => error,
            Self::Refused { said, how } => {
                let text = format!("{program} failed to copy {log} with {how}: {said}");
                if said.contains("Access denied") || said.contains("REPLICATION") {
                    return StepError::permanent(text)
                        .help("grant REPLICATION SLAVE to the account; binary logs are read with it");
                }
                StepError::transient(text)
            }
        }
    }
}

pub(crate) fn last_of(stderr: &str) -> String {
    let text = stderr.trim();
    let from = text.len().saturating_sub(SHOWN_STDERR_BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(from..).unwrap_or_default().replace('\n', "; ")
}

pub(crate) fn tool_error(error: ToolError) -> StepError {
    match error {
        ToolError::Cancelled => StepError::cancelled(),
        ToolError::Process(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_fetched_raw_and_read_without_any_option_file() {
        for (flavour, name) in [(Flavour::Mariadb, "mariadb-binlog"), (Flavour::Mysql, "mysqlbinlog")] {
            let program = LogProgram { flavour, name, version: String::new() };
            let shown = |from| program.shown_fetch("bin.000002", from).replace(name, "PROGRAM");
            insta::allow_duplicates! {
                insta::assert_snapshot!(shown(4), @"PROGRAM --defaults-file=LOGIN --read-from-remote-server --raw --result-file=FOLDER/ -- bin.000002");
                insta::assert_snapshot!(shown(400), @"PROGRAM --defaults-file=LOGIN --read-from-remote-server --raw --result-file=FOLDER/ --start-position=400 -- bin.000002");
                insta::assert_snapshot!(program.statements().display().replace(name, "PROGRAM"), @"PROGRAM --no-defaults -");
            }
            let env = program.statements().env;
            assert!(matches!(&env[..], [(name, value)] if name == "TZ" && value == "UTC"), "{env:?}");
        }
    }
}
