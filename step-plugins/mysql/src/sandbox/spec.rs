//! What a sandbox is to be like, and whether it can be: receives a login and options, yields a checked [`SandboxSpec`].

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::{CommandSpec, Processes, Secret};
use tokio_util::sync::CancellationToken;

use super::commands::{self, Programs};
use super::directory::{Found, SandboxDirectory};
use super::error::SandboxError;
use super::{POLL, server_process};
use crate::connection::Login;
use crate::tool::{ToolEnd, ToolError, find_tool, run_tool};

const PORT_TRIES: u32 = 10;

/// What sandbox to bring up.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// Where everything of it lies; made when absent, refused when it holds something else.
    pub directory: PathBuf,
    /// The port it listens on, and the account that it gets with all privileges. The host is a loopback one.
    pub login: Login,
    /// Which server.
    pub flavour: Flavour,
    /// `server_id`; a replica's must differ from its source's.
    pub server_id: u32,
    /// More options for the server, each `--name=value`.
    pub options: Vec<String>,
    /// An account that replicas of it use.
    pub replication: Option<ReplicationLogin>,
}

/// The account that replicas use, with its password.
#[derive(Debug, Clone)]
pub struct ReplicationLogin {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

impl SandboxSpec {
    /// Describes a plain one of MariaDB. Its `server_id` is the port: different for every server of this machine.
    pub fn new(directory: impl Into<PathBuf>, login: Login) -> Self {
        let server_id = u32::from(login.port);
        Self {
            directory: directory.into(),
            login,
            flavour: Flavour::Mariadb,
            server_id,
            options: Vec::new(),
            replication: None,
        }
    }

    /// Looks, without touching anything, for what would make [`up`](super::up) fail.
    ///
    /// # Errors
    /// The first such thing.
    pub async fn check(&self, processes: &Arc<dyn Processes>) -> Result<(), SandboxError> {
        if !is_loopback(&self.login.host) {
            let (target, host) = (self.login.target.clone(), self.login.host.clone());
            return Err(SandboxError::NotLoopback { target, host });
        }
        for option in &self.options {
            if let Some(why) = commands::refuse_option(option) {
                return Err(SandboxError::Option { option: option.clone(), why });
            }
        }
        self.check_programs(processes).await?;
        let directory = SandboxDirectory::at(&self.directory)?;
        match directory.look()? {
            Found::Foreign => {
                return Err(SandboxError::ForeignDirectory { directory: directory.path().to_owned() });
            }
            Found::Sandbox(marker) if marker.initialised && marker.flavour != self.flavour => {
                return Err(SandboxError::OtherFlavour {
                    directory: directory.path().to_owned(),
                    found: marker.flavour,
                    wanted: self.flavour,
                });
            }
            Found::Sandbox(_) | Found::Nothing => {}
        }
        if server_process::find(&directory).is_empty() {
            self.check_port().await?;
        }
        Ok(())
    }

    /// `mysqld` is MariaDB's on many systems: its own word decides.
    async fn check_programs(&self, processes: &Arc<dyn Processes>) -> Result<(), SandboxError> {
        let programs = Programs::of(self.flavour);
        program(processes.as_ref(), programs.installer, programs)?;
        let server = program(processes.as_ref(), programs.server, programs)?;
        if self.flavour == Flavour::Mariadb {
            return Ok(());
        }
        let ask = CommandSpec::new(server).arg("--version");
        let said = run_to_end(processes, ask, &CancellationToken::new()).await?.stdout;
        if said.contains("MariaDB") {
            let (program, package) = (programs.server, programs.package);
            return Err(SandboxError::ForeignTool { program, package, said: said.trim().to_owned() });
        }
        Ok(())
    }

    async fn check_port(&self) -> Result<(), SandboxError> {
        let host = if self.login.host == "localhost" { "127.0.0.1" } else { &self.login.host };
        // A server that was just killed keeps its port for a moment after it has lost its command line.
        for _ in 0..PORT_TRIES {
            if TcpListener::bind((host, self.login.port)).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(SandboxError::PortTaken { port: self.login.port })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn program(
    processes: &dyn Processes,
    name: &'static str,
    of: Programs,
) -> Result<PathBuf, SandboxError> {
    find_tool(processes, name).ok_or(SandboxError::MissingTool { program: name, package: of.package })
}

pub(super) async fn run_to_end(
    processes: &Arc<dyn Processes>,
    command: CommandSpec,
    cancel: &CancellationToken,
) -> Result<ToolEnd, SandboxError> {
    run_tool(processes, command, cancel).await.map_err(|error| match error {
        ToolError::Process(error) => error.into(),
        ToolError::Cancelled => SandboxError::Cancelled,
    })
}
