//! Throw-away servers on this machine: for drills, demos and tests.
//!
//! Receives a [`SandboxSpec`]; yields a server that listens on the loopback address only, has one account with
//! the target's password, keeps everything below one directory, and outlives this program. [`up`] and [`down`]
//! can be repeated and survive a crash at any point: what was half made is made anew, what runs is left alone.

mod commands;
mod directory;
mod error;
mod server_process;
mod spec;
mod step;
pub mod testing;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::{Processes, Secret};
use tokio_util::sync::CancellationToken;

pub use self::error::SandboxError;
pub use self::server_process::Ending;
pub use self::spec::{ReplicationLogin, SandboxSpec};
pub(crate) use self::step::Sandbox;
pub use self::step::{SandboxOutputs, SandboxParams, SandboxState};

use self::commands::{Programs, RunsAs};
use self::directory::{Found, Marker, SandboxDirectory};
use self::spec::{program, run_to_end};
use crate::connection::Login;
use crate::error::ServerError;

/// How long a server may take from its start to its first answer.
pub const START_TIMEOUT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);
const MOST_MISSES: u32 = 3;

/// A sandbox that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The server's process.
    pub pid: i32,
    /// Its port.
    pub port: u16,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// `VERSION()`.
    pub version: String,
}

/// A sandbox as [`list`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Which server it is.
    pub flavour: Flavour,
    /// The port it was made for.
    pub port: u16,
    /// `server_id`.
    pub server_id: u32,
    /// The server's process, when it runs.
    pub pid: Option<i32>,
}

/// Brings a sandbox up and proves that it answers: leaves it alone when it runs, starts it again when it is
/// dead, makes it anew when its making was interrupted.
///
/// # Errors
/// As [`SandboxSpec::check`]; also when the server dies, or does not answer within [`START_TIMEOUT`].
pub async fn up(
    spec: &SandboxSpec,
    processes: &Arc<dyn Processes>,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    spec.check(processes).await?;
    let directory = SandboxDirectory::at(&spec.directory)?;
    directory.create()?;
    let _lock = directory.lock()?;
    let found = directory.look()?;
    match found {
        Found::Foreign => Err(SandboxError::ForeignDirectory { directory: directory.path().to_owned() }),
        Found::Sandbox(marker) if marker.initialised => {
            if server_process::find(&directory).is_empty() {
                start(spec, &directory, processes, None).await?;
            }
            wait_until_ready(spec, &directory, cancel).await
        }
        Found::Nothing | Found::Sandbox(_) => make(spec, &directory, processes, cancel).await,
    }
}

async fn make(
    spec: &SandboxSpec,
    directory: &SandboxDirectory,
    processes: &Arc<dyn Processes>,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    let marker = Marker {
        format: 1,
        initialised: false,
        port: spec.login.port,
        server_id: spec.server_id,
        flavour: spec.flavour,
    };
    directory.mark(&marker)?;
    server_process::end(directory, Ending::Kill).await?;
    directory.wipe()?;
    let made = install_and_start(spec, directory, processes, cancel).await;
    match made {
        Ok(running) => {
            directory.mark(&Marker { initialised: true, ..marker })?;
            Ok(running)
        }
        Err(error) => {
            // A server whose accounts are not proven to be in place must not stay.
            server_process::end(directory, Ending::Kill).await?;
            Err(error)
        }
    }
}

async fn install_and_start(
    spec: &SandboxSpec,
    directory: &SandboxDirectory,
    processes: &Arc<dyn Processes>,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    directory.create_folders()?;
    let programs = Programs::of(spec.flavour);
    let installer = program(processes.as_ref(), programs.installer, programs)?;
    let install = commands::install_command(&installer, directory, spec.flavour, runs_as());
    let end = run_to_end(processes, install, cancel).await?;
    if !end.report.success() {
        let why = format!("{}\n{}", end.stdout.trim(), end.report.stderr.trim());
        return Err(SandboxError::Install {
            program: programs.installer,
            end: end.report.describe(),
            why: why.trim().to_owned(),
        });
    }
    start_with(spec, directory, commands::first_statements(spec), processes, cancel).await
}

/// Starts the server, which runs these statements first.
async fn start_with(
    spec: &SandboxSpec,
    directory: &SandboxDirectory,
    statements: Secret,
    processes: &Arc<dyn Processes>,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    // They hold the password: they lie in a private file, and only until the server has read them.
    let writer = Arc::clone(processes);
    let file = tokio::task::spawn_blocking(move || writer.private_file(&statements))
        .await
        .map_err(std::io::Error::other)
        .and_then(|written| written)
        .map_err(SandboxError::io("write a private file for", directory.path()))?;
    start(spec, directory, processes, Some(file.path().to_owned())).await?;
    wait_until_ready(spec, directory, cancel).await
}

/// Finds the sandbox that was made in a directory, to be started anew on other files; nothing when there is none.
///
/// # Errors
/// When the directory can't be read.
pub(crate) fn made_in(
    directory: &Path,
    login: Login,
    options: &[String],
) -> Result<Option<SandboxSpec>, SandboxError> {
    Ok(match SandboxDirectory::at(directory)?.look()? {
        Found::Sandbox(marker) if marker.initialised => Some(SandboxSpec {
            flavour: marker.flavour,
            server_id: marker.server_id,
            options: options.to_vec(),
            ..SandboxSpec::new(directory, login)
        }),
        Found::Sandbox(_) | Found::Nothing | Found::Foreign => None,
    })
}

/// Gives where the server of a sandbox has its files.
///
/// # Errors
/// When the path can't be found.
pub(crate) fn data_directory(directory: &Path) -> Result<PathBuf, SandboxError> {
    Ok(SandboxDirectory::at(directory)?.data())
}

/// Starts the server of a sandbox on files that were put in the place of its own; the target's account is added to
/// theirs. One that runs is left alone.
///
/// # Errors
/// As [`up`].
pub(crate) async fn start_on_files(
    spec: &SandboxSpec,
    processes: &Arc<dyn Processes>,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    let directory = SandboxDirectory::at(&spec.directory)?;
    let _lock = directory.lock()?;
    if !server_process::find(&directory).is_empty() {
        return wait_until_ready(spec, &directory, cancel).await;
    }
    let mut on_files = spec.clone();
    on_files.options.extend(commands::ON_FILES.map(str::to_owned));
    start_with(&on_files, &directory, commands::account_statements(spec), processes, cancel).await
}

async fn start(
    spec: &SandboxSpec,
    directory: &SandboxDirectory,
    processes: &Arc<dyn Processes>,
    init_file: Option<PathBuf>,
) -> Result<(), SandboxError> {
    let programs = Programs::of(spec.flavour);
    let server = program(processes.as_ref(), programs.server, programs)?;
    let command = commands::server_command(&server, directory, spec, runs_as(), init_file.as_deref());
    // No server is on this directory: this was looked at. MySQL would take any process that has got the number of the one
    // that was killed for it.
    let left = directory.data().join(format!("{}.lock", commands::SOCKET));
    match fs::remove_file(&left) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(SandboxError::io("remove the lock that a killed server left in", directory.path())(
                error,
            ));
        }
        _ => {}
    }
    let (handle, log) = (Arc::clone(processes), directory.log());
    let begun = tokio::task::spawn_blocking(move || handle.start_detached(&command, &log)).await;
    let joined = begun.map_err(|error| {
        SandboxError::io("start the server in", directory.path())(std::io::Error::other(error))
    })?;
    match joined {
        Ok(_) => Ok(()),
        Err(error) => Err(match directory.errors_in_log() {
            Some(why) => SandboxError::Died { directory: directory.path().to_owned(), why },
            None => error.into(),
        }),
    }
}

/// Waits until the server of this directory, and no other one on its port, lets the account in.
async fn wait_until_ready(
    spec: &SandboxSpec,
    directory: &SandboxDirectory,
    cancel: &CancellationToken,
) -> Result<Running, SandboxError> {
    let started = Instant::now();
    let mut misses = 0;
    loop {
        let Some(pid) = server_process::find(directory).first().copied() else {
            // A process that is just becoming the server has no command line for an instant.
            misses += 1;
            if misses < MOST_MISSES {
                tokio::time::sleep(POLL).await;
                continue;
            }
            let why = directory.errors_in_log().unwrap_or_else(|| "its log is empty".to_owned());
            return Err(SandboxError::Died { directory: directory.path().to_owned(), why });
        };
        let last = match ask(spec, directory).await {
            Ok(version) => {
                let directory = directory.path().to_owned();
                return Ok(Running { pid, port: spec.login.port, directory, version });
            }
            Err(SandboxError::Server(error)) if error.is_passing() => error,
            Err(error) => return Err(error),
        };
        if started.elapsed() >= START_TIMEOUT {
            return Err(SandboxError::NotReady {
                directory: directory.path().to_owned(),
                seconds: START_TIMEOUT.as_secs(),
                why: last.to_string(),
            });
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = cancel.cancelled() => return Err(SandboxError::Cancelled),
        }
    }
}

/// Logs in, and compares the data directory of who answers: another server may sit on the port.
async fn ask(spec: &SandboxSpec, directory: &SandboxDirectory) -> Result<String, SandboxError> {
    let mut server = spec.login.connect().await?;
    let what = "tell its data directory";
    let found: Result<String, ServerError> = server.session.row(what, "SELECT @@datadir").await;
    let version = server.version.text.clone();
    server.session.close().await;
    let found = found?;
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if real(Path::new(&found)) == real(&directory.data()) {
        Ok(version)
    } else {
        let directory = directory.path().to_owned();
        Err(SandboxError::OtherServer { port: spec.login.port, found, directory })
    }
}

/// Tells whether the sandbox of this spec runs and answers, without touching anything.
///
/// # Errors
/// When its server can't be entered, or another server answers on its port.
pub async fn running(spec: &SandboxSpec) -> Result<Option<Running>, SandboxError> {
    let directory = SandboxDirectory::at(&spec.directory)?;
    let is_made = matches!(directory.look()?, Found::Sandbox(marker) if marker.initialised);
    let Some(pid) = server_process::find(&directory).first().copied().filter(|_| is_made) else {
        return Ok(None);
    };
    let version = ask(spec, &directory).await?;
    let directory = directory.path().to_owned();
    Ok(Some(Running { pid, port: spec.login.port, directory, version }))
}

/// Stops a sandbox and removes its directory. One that is not there is no error.
///
/// # Errors
/// When the directory holds something else, or its server does not end.
pub async fn down(directory: &Path) -> Result<(), SandboxError> {
    let directory = SandboxDirectory::at(directory)?;
    match directory.look()? {
        Found::Nothing => Ok(()),
        Found::Foreign => Err(SandboxError::ForeignDirectory { directory: directory.path().to_owned() }),
        Found::Sandbox(_) => {
            let _lock = directory.lock()?;
            server_process::end(&directory, Ending::Orderly).await?;
            directory.remove()
        }
    }
}

/// Ends the server of a sandbox and leaves its directory: [`up`] starts it again.
///
/// # Errors
/// When the directory is no sandbox, or its server does not end.
pub async fn stop(directory: &Path, ending: Ending) -> Result<(), SandboxError> {
    let directory = SandboxDirectory::at(directory)?;
    match directory.look()? {
        Found::Sandbox(_) => server_process::end(&directory, ending).await,
        Found::Nothing | Found::Foreign => {
            Err(SandboxError::ForeignDirectory { directory: directory.path().to_owned() })
        }
    }
}

/// Gives the process of a sandbox's server, when it runs.
pub fn server_pid(directory: &Path) -> Option<i32> {
    server_process::find(&SandboxDirectory::at(directory).ok()?).first().copied()
}

/// Lists the sandboxes directly below a directory, by name.
///
/// # Errors
/// When the directory is there and can't be read.
pub fn list(below: &Path) -> Result<Vec<Listed>, SandboxError> {
    let entries = match fs::read_dir(below) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(SandboxError::io("read", below)(error)),
    };
    let mut listed = Vec::new();
    for entry in entries.flatten() {
        let directory = SandboxDirectory::at(&entry.path())?;
        if let Ok(Found::Sandbox(marker)) = directory.look() {
            let pid = server_process::find(&directory).first().copied();
            let directory = directory.path().to_owned();
            listed.push(Listed {
                directory,
                flavour: marker.flavour,
                port: marker.port,
                server_id: marker.server_id,
                pid,
            });
        }
    }
    listed.sort_by(|a, b| a.directory.cmp(&b.directory));
    Ok(listed)
}

/// Gives a loopback port that nothing listens on at this moment.
///
/// # Errors
/// When there is none left.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn runs_as() -> RunsAs {
    if rustix::process::geteuid().is_root() { RunsAs::Root } else { RunsAs::User }
}
