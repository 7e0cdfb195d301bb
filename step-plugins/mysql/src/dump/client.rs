//! The client program that dumps: which one fits a server, and which version it is.

use std::sync::Arc;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::{CommandSpec, Processes};
use rekindle_engine::step::{Problem, StepError};
use tokio_util::sync::CancellationToken;

use crate::flavour::{ServerVersion, flavour_name};
use crate::tool::{ToolError, run_tool};

/// The version from which on MariaDB dumps old rows and takes them back.
const DUMPS_HISTORY: (u16, u16, u16) = (10, 11, 0);

/// A client program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its name on `PATH`.
    pub(crate) program: &'static str,
    /// Whose it is.
    pub(crate) flavour: Flavour,
    /// Its version. MariaDB's is the one of the distribution, not the `10.19` of the program itself.
    pub(super) number: (u16, u16, u16),
    /// What it says of itself.
    pub(super) text: String,
}

impl Client {
    /// Finds the client of a flavour. `mysqldump` is MariaDB's on many systems: its own word decides.
    pub(crate) async fn find(
        processes: &Arc<dyn Processes>,
        flavour: Flavour,
        cancel: &CancellationToken,
    ) -> Result<Self, ClientError> {
        let programs: &[&'static str] = match flavour {
            Flavour::Mariadb => &["mariadb-dump", "mysqldump"],
            Flavour::Mysql => &["mysqldump"],
        };
        let mut other = None;
        for program in programs {
            if processes.find(program).is_none() {
                continue;
            }
            let end = run_tool(processes, CommandSpec::new(*program).arg("--version"), cancel).await?;
            let said = end.stdout.trim().to_owned();
            match Self::read(program, &said) {
                Some(client) if client.flavour == flavour => return Ok(client),
                Some(_) => other = Some((*program, said)),
                None => return Err(ClientError::Unreadable { program, said }),
            }
        }
        Err(match other {
            Some((program, said)) => ClientError::Foreign { program, flavour, said },
            None => ClientError::Missing { program: programs[0], flavour },
        })
    }

    /// Tells whether it dumps old rows of system-versioned tables (MariaDB manual, "mariadb-dump", `--dump-history`), in
    /// words that this server has and takes.
    pub(crate) fn dumps_history(&self, server: &ServerVersion) -> bool {
        self.flavour == Flavour::Mariadb
            && self.number >= DUMPS_HISTORY
            && server.is_at_least(Flavour::Mariadb, DUMPS_HISTORY)
    }

    /// Reads `mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for …`, `mariadb-dump from 11.4.2-MariaDB, …`,
    /// `mysqldump  Ver 8.0.36 for Linux …` or `mysqldump  Ver 10.13 Distrib 5.7.44, for Linux …`.
    pub(super) fn read(program: &'static str, said: &str) -> Option<Self> {
        let flavour = if said.contains("MariaDB") { Flavour::Mariadb } else { Flavour::Mysql };
        let words: Vec<&str> = said.split_whitespace().collect();
        let after = |word: &str| {
            words.iter().position(|w| *w == word).and_then(|at| words.get(at + 1)).and_then(|w| number(w))
        };
        let number = after("Distrib").or_else(|| after("from")).or_else(|| after("Ver"))?;
        Some(Self { program, flavour, number, text: said.to_owned() })
    }
}

fn number(word: &str) -> Option<(u16, u16, u16)> {
    let plain = word.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = plain.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Why there is no client to dump with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("there is no program `{program}` on PATH, and {} is dumped with it", flavour_name(*flavour))]
    Missing { program: &'static str, flavour: Flavour },
    #[error("`{program}` is of the other flavour ({said}), and {} is dumped with its own", flavour_name(*flavour))]
    Foreign { program: &'static str, flavour: Flavour, said: String },
    #[error("`{program} --version` says nothing known: `{said}`")]
    Unreadable { program: &'static str, said: String },
    #[error(transparent)]
    Run(#[from] ToolError),
}

impl ClientError {
    fn help(&self) -> Option<String> {
        let package = match self {
            Self::Missing { flavour, .. } | Self::Foreign { flavour, .. } => match flavour {
                Flavour::Mariadb => "mariadb-client",
                Flavour::Mysql => "mysql-client",
            },
            Self::Unreadable { .. } | Self::Run(_) => return None,
        };
        Some(format!("install the client programs: package `{package}` on Debian and Ubuntu"))
    }

    pub(super) fn problem(self) -> Problem {
        Problem {
            code: "rekindle::tool::missing",
            help: self.help(),
            message: self.to_string(),
            pointer: Some("/target"),
        }
    }
}

impl From<ClientError> for StepError {
    fn from(error: ClientError) -> Self {
        if matches!(error, ClientError::Run(ToolError::Cancelled)) {
            return Self::cancelled();
        }
        let step_error = Self::permanent(error.to_string());
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
    fn the_version_of_the_distribution_counts() {
        let read = |said| Client::read("mysqldump", said).map(|client| (client.flavour, client.number));
        assert_eq!(
            read("mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)"),
            Some((Flavour::Mariadb, (10, 11, 19)))
        );
        assert_eq!(
            read("mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)"),
            Some((Flavour::Mariadb, (11, 4, 2)))
        );
        assert_eq!(
            read("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)"),
            Some((Flavour::Mysql, (8, 0, 36)))
        );
        assert_eq!(
            read("mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)"),
            Some((Flavour::Mysql, (5, 7, 44)))
        );
        assert_eq!(read("sh: not found"), None);
    }

    #[tokio::test]
    async fn a_mysqldump_that_is_mariadbs_does_not_dump_mysql() {
        let world = rekindle_engine::testing::world();
        let said = "mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)";
        world.processes.answer("mysqldump", rekindle_engine::testing::Answer::success(said));
        let find = |flavour| {
            let processes = Arc::clone(&world.world.processes);
            async move { Client::find(&processes, flavour, &CancellationToken::new()).await }
        };
        assert_eq!(find(Flavour::Mariadb).await.unwrap().program, "mysqldump");
        let problem = find(Flavour::Mysql).await.unwrap_err().problem();
        assert_eq!(problem.code, "rekindle::tool::missing");
        insta::assert_snapshot!(problem.message, @"`mysqldump` is of the other flavour (mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)), and MySQL is dumped with its own");
        insta::assert_snapshot!(problem.help.unwrap(), @"install the client programs: package `mysql-client` on Debian and Ubuntu");
    }
}
