//! What can go wrong with a sandbox.

use std::path::PathBuf;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{Problem, StepError};

use crate::error::ServerError;
use crate::flavour::flavour_name;

/// Why a sandbox could not be brought up or taken down. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The target is not on this machine.
    #[error("a sandbox only runs on this machine, but `{target}` is at `{host}`")]
    NotLoopback {
        /// The target's name.
        target: String,
        /// Its host.
        host: String,
    },
    /// The directory has something in it that rekindle did not put there.
    #[error("`{}` is not empty and is no sandbox of rekindle", directory.display())]
    ForeignDirectory {
        /// Which.
        directory: PathBuf,
    },
    /// Somebody else is bringing it up or down right now.
    #[error("another program is working on the sandbox `{}`", directory.display())]
    Busy {
        /// Which.
        directory: PathBuf,
    },
    /// A program is not installed.
    #[error("there is no program `{program}` on PATH")]
    MissingTool {
        /// Which.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program of this name is of the other flavour.
    #[error("`{program}` on PATH is not MySQL's ({said})")]
    ForeignTool {
        /// Which.
        program: &'static str,
        /// The Debian package that has MySQL's.
        package: &'static str,
        /// What it says of itself.
        said: String,
    },
    /// The directory holds a sandbox of the other flavour.
    #[error("the sandbox `{}` is of {}, not of {}", directory.display(), flavour_name(*found), flavour_name(*wanted))]
    OtherFlavour {
        /// Which.
        directory: PathBuf,
        /// What it is of.
        found: Flavour,
        /// What it was to be of.
        wanted: Flavour,
    },
    /// Another program listens on the port.
    #[error("port {port} of this machine is taken by another program")]
    PortTaken {
        /// Which.
        port: u16,
    },
    /// An option that the sandbox sets by itself, or no option at all.
    #[error("the option `{option}` can't be given to a sandbox: {why}")]
    Option {
        /// Which.
        option: String,
        /// Why not.
        why: &'static str,
    },
    /// The data directory could not be made.
    #[error("`{program}` failed to make the data directory ({end}): {why}")]
    Install {
        /// The program.
        program: &'static str,
        /// How it ended.
        end: String,
        /// The last it said.
        why: String,
    },
    /// The server ended while it was starting.
    #[error("the server in `{}` ended while starting: {why}", directory.display())]
    Died {
        /// Where.
        directory: PathBuf,
        /// The errors in its log.
        why: String,
    },
    /// The server did not answer in time.
    #[error("the server in `{}` did not answer within {seconds} s: {why}", directory.display())]
    NotReady {
        /// Where.
        directory: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// What the last try said.
        why: String,
    },
    /// The server did not end.
    #[error("the server in `{}` (pid {pid}) does not end", directory.display())]
    DoesNotEnd {
        /// Where.
        directory: PathBuf,
        /// Its process.
        pid: i32,
    },
    /// Something else answers on the port.
    #[error("port {port} is answered by a server with its data in `{found}`, not by the one in `{}`", directory.display())]
    OtherServer {
        /// The port.
        port: u16,
        /// The data directory of who answers.
        found: String,
        /// The sandbox.
        directory: PathBuf,
    },
    /// The server runs and can't be entered.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The operating system refused.
    #[error("failed to {what} `{}`: {source}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A child process could not be run.
    #[error(transparent)]
    Process(#[from] rekindle_engine::host::ProcessError),
    /// The operator cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl SandboxError {
    /// Wraps an error of the operating system.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// Gives the stable code for diagnostics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback { .. } => "rekindle::sandbox::not_loopback",
            Self::ForeignDirectory { .. } => "rekindle::sandbox::foreign_directory",
            Self::Busy { .. } => "rekindle::sandbox::busy",
            Self::MissingTool { .. } | Self::ForeignTool { .. } => "rekindle::tool::missing",
            Self::OtherFlavour { .. } => "rekindle::sandbox::other_flavour",
            Self::PortTaken { .. } | Self::OtherServer { .. } => "rekindle::sandbox::port_taken",
            Self::Option { .. } => "rekindle::sandbox::option",
            Self::Server(error) => error.code(),
            Self::Install { .. }
            | Self::Died { .. }
            | Self::NotReady { .. }
            | Self::DoesNotEnd { .. }
            | Self::Io { .. }
            | Self::Process(_)
            | Self::Cancelled => "rekindle::sandbox::failed",
        }
    }

    /// Says what to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotLoopback { target, .. } => {
                Some(format!("set `host: 127.0.0.1` in `targets.{target}`, or name another target"))
            }
            Self::ForeignDirectory { .. } => {
                Some("name a directory that does not exist yet, or an empty one".to_owned())
            }
            Self::Busy { .. } => Some("wait for it to end, then try again".to_owned()),
            Self::MissingTool { package, .. } => {
                Some(format!("install it: on Debian and Ubuntu it is in the package `{package}`"))
            }
            Self::ForeignTool { package, .. } => Some(format!(
                "put the folder of MySQL's programs first on PATH; on Debian and Ubuntu they are in the package `{package}`"
            )),
            Self::OtherFlavour { .. } => {
                Some("name another directory, or remove this one with `state: absent` first".to_owned())
            }
            Self::PortTaken { .. } | Self::OtherServer { .. } => {
                Some("choose another port for the target, or stop what listens there".to_owned())
            }
            Self::Option { .. } => Some("write options as the server takes them: `--name=value`".to_owned()),
            Self::Died { directory, .. } | Self::NotReady { directory, .. } => {
                Some(format!("see `{}`", directory.join(super::directory::LOG).display()))
            }
            Self::Server(error) => error.help(),
            Self::Install { .. }
            | Self::DoesNotEnd { .. }
            | Self::Io { .. }
            | Self::Process(_)
            | Self::Cancelled => None,
        }
    }

    /// Gives the JSON pointer of the step's parameter that is to blame.
    pub(crate) fn parameter(&self) -> &'static str {
        match self {
            Self::Option { .. } => "/options",
            Self::ForeignDirectory { .. }
            | Self::OtherFlavour { .. }
            | Self::Busy { .. }
            | Self::Io { .. } => "/directory",
            Self::NotLoopback { .. }
            | Self::MissingTool { .. }
            | Self::ForeignTool { .. }
            | Self::PortTaken { .. }
            | Self::Install { .. }
            | Self::Died { .. }
            | Self::NotReady { .. }
            | Self::DoesNotEnd { .. }
            | Self::OtherServer { .. }
            | Self::Server(_)
            | Self::Process(_)
            | Self::Cancelled => "/target",
        }
    }

    /// Makes it a finding of a preflight.
    pub fn problem(&self, pointer: &'static str) -> Problem {
        Problem { code: self.code(), message: self.to_string(), help: self.help(), pointer: Some(pointer) }
    }
}

impl From<SandboxError> for StepError {
    fn from(error: SandboxError) -> Self {
        let step_error = match &error {
            SandboxError::Cancelled => return Self::cancelled(),
            SandboxError::NotReady { .. } | SandboxError::Busy { .. } => Self::transient(error.to_string()),
            SandboxError::Server(server) if server.is_passing() => Self::transient(error.to_string()),
            SandboxError::Server(_)
            | SandboxError::NotLoopback { .. }
            | SandboxError::ForeignDirectory { .. }
            | SandboxError::OtherFlavour { .. }
            | SandboxError::MissingTool { .. }
            | SandboxError::ForeignTool { .. }
            | SandboxError::PortTaken { .. }
            | SandboxError::Option { .. }
            | SandboxError::Install { .. }
            | SandboxError::Died { .. }
            | SandboxError::DoesNotEnd { .. }
            | SandboxError::OtherServer { .. }
            | SandboxError::Io { .. }
            | SandboxError::Process(_) => Self::permanent(error.to_string()),
        };
        match error.help() {
            Some(help) => step_error.help(help),
            None => step_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code_and_its_help() {
        let directory = || PathBuf::from("box");
        let errors = [
            SandboxError::NotLoopback { target: "primary".to_owned(), host: "db-1".to_owned() },
            SandboxError::ForeignDirectory { directory: directory() },
            SandboxError::Busy { directory: directory() },
            SandboxError::PortTaken { port: 3306 },
            SandboxError::ForeignTool {
                program: "mysqld",
                package: "mysql-server",
                said: "mysqld  Ver 10.11.19-MariaDB".to_owned(),
            },
            SandboxError::OtherFlavour {
                directory: directory(),
                found: Flavour::Mariadb,
                wanted: Flavour::Mysql,
            },
            SandboxError::Option { option: "--datadir=x".to_owned(), why: "the sandbox sets it" },
            SandboxError::Died { directory: directory(), why: "no space left on device".to_owned() },
        ];
        let told: Vec<_> = errors.iter().map(|error| error.problem(error.parameter()).to_string()).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        rekindle::sandbox::not_loopback: a sandbox only runs on this machine, but `primary` is at `db-1` (/target)
          help: set `host: 127.0.0.1` in `targets.primary`, or name another target
        rekindle::sandbox::foreign_directory: `box` is not empty and is no sandbox of rekindle (/directory)
          help: name a directory that does not exist yet, or an empty one
        rekindle::sandbox::busy: another program is working on the sandbox `box` (/directory)
          help: wait for it to end, then try again
        rekindle::sandbox::port_taken: port 3306 of this machine is taken by another program (/target)
          help: choose another port for the target, or stop what listens there
        rekindle::tool::missing: `mysqld` on PATH is not MySQL's (mysqld  Ver 10.11.19-MariaDB) (/target)
          help: put the folder of MySQL's programs first on PATH; on Debian and Ubuntu they are in the package `mysql-server`
        rekindle::sandbox::other_flavour: the sandbox `box` is of MariaDB, not of MySQL (/directory)
          help: name another directory, or remove this one with `state: absent` first
        rekindle::sandbox::option: the option `--datadir=x` can't be given to a sandbox: the sandbox sets it (/options)
          help: write options as the server takes them: `--name=value`
        rekindle::sandbox::failed: the server in `box` ended while starting: no space left on device (/target)
          help: see `box/server.log`
        ");
    }
}
