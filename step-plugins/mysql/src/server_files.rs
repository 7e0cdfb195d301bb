//! A server on this machine: its data directory, who works on it, and how it is stopped and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::{CommandSpec, Processes, Standby};
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{StepContext, StepError};
use tokio_util::sync::CancellationToken;

use crate::connection::{Login, Server};
use crate::error::ServerError;
use crate::physical_tool::{said, tool_error};
use crate::sandbox::{self, Ending, SandboxSpec};
use crate::tool::run_tool;

/// How long a server may take to come up or to go down: a large buffer pool is written out first.
const PATIENCE: Duration = Duration::from_mins(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a start is tried, and how long its process may take to be there.
const MOST_STARTS: u32 = 3;
const LOOK_FOR_PROCESS: Duration = Duration::from_secs(5);
/// `USER_HZ`, in which proc(5) gives start times; 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;
/// How much later than its process a server may begin to count its uptime: it may have recovered before.
const LATEST_START_SECONDS: u64 = 600;

/// A target whose files are here.
#[derive(Debug, Clone)]
pub(crate) struct ServerFiles {
    target: String,
    /// Free of symbolic links, so that it is what the system says of a process.
    data_dir: PathBuf,
    way: Way,
}

/// How it is stopped and started.
#[derive(Debug, Clone)]
enum Way {
    /// By what the environment says.
    Commands { stop: Vec<String>, start: Vec<String> },
    /// It is a throw-away server of ours.
    Sandbox(Box<SandboxSpec>),
}

impl ServerFiles {
    /// Finds what the environment says of a target.
    ///
    /// # Errors
    /// When it says nothing of its files, or its data directory is not there.
    pub(crate) fn of(cx: &StepContext, name: &TargetName) -> Result<Self, StepError> {
        let Some(local) = &cx.target(name)?.local else {
            return Err(StepError::permanent(format!("the environment does not say where the files of `{name}` are"))
                .help(format!(
                    "give the target `{name}` a `local:` with its `data_dir`, `stop` and `start`, and run where the \
                     server is"
                )));
        };
        Ok(Self {
            target: name.to_string(),
            data_dir: real(Path::new(&local.data_dir))?,
            way: Way::Commands { stop: local.stop.clone(), start: local.start.clone() },
        })
    }

    /// Finds the throw-away server that `mysql.sandbox` made for a target.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn of_sandbox(
        cx: &StepContext,
        name: &TargetName,
        directory: &str,
        options: &[String],
    ) -> Result<Self, StepError> {
        let login = Login::of(cx, name).await?;
        let Some(spec) = sandbox::made_in(Path::new(directory), login, options)? else {
            return Err(StepError::permanent(format!("there is no throw-away server in {directory}"))
                .help("make it by a step `mysql.sandbox` before this one, with the same `directory`"));
        };
        let data_dir = real(&sandbox::data_directory(&spec.directory)?)?;
        Ok(Self { target: name.to_string(), data_dir, way: Way::Sandbox(Box::new(spec)) })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Gives the command that starts it; a throw-away server has none.
    pub(crate) fn start_command(&self) -> Option<CommandSpec> {
        match &self.way {
            Way::Commands { start, .. } => Some(command(start)),
            Way::Sandbox(_) => None,
        }
    }

    /// Gives the command that stops it; a throw-away server has none.
    pub(crate) fn stop_command(&self) -> Option<CommandSpec> {
        match &self.way {
            Way::Commands { stop, .. } => Some(command(stop)),
            Way::Sandbox(_) => None,
        }
    }

    /// Gives both for people, in this order.
    pub(crate) fn shown_commands(&self) -> Vec<String> {
        [self.stop_command(), self.start_command()].iter().flatten().map(CommandSpec::display).collect()
    }

    /// Gives the process that works on the files.
    pub(crate) fn process(&self) -> Option<i32> {
        server_process(&self.data_dir)
    }

    /// Stops it, and returns when nobody works on its files any more.
    ///
    /// Not to be cancelled: whoever starts a server that is still going down finds it running, and then it is gone.
    pub(crate) async fn stop(&self, cx: &StepContext) -> Result<(), StepError> {
        match &self.way {
            Way::Commands { stop, .. } => self.run(&cx.world().processes, command(stop), "stop").await?,
            Way::Sandbox(spec) => sandbox::stop(&spec.directory, Ending::Orderly).await?,
        }
        let began = Instant::now();
        while let Some(pid) = self.process() {
            if began.elapsed() > PATIENCE {
                return Err(StepError::permanent(format!(
                    "`{}` was told to stop, and its process {pid} still works on {}",
                    self.target,
                    self.data_dir.display()
                ))
                .help("look at the server's log; `stop` of the target's `local:` has to end it"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Starts it and waits until it answers.
    ///
    /// The command itself is never cut off: a server that is half started is no better than one that is not. It is
    /// given again when no server works on the files: a server that was going down when it was told to start.
    pub(crate) async fn start(
        &self,
        cx: &StepContext,
        login: &Login,
        cancel: &CancellationToken,
    ) -> Result<Server, StepError> {
        let began = Instant::now();
        for _ in 0..MOST_STARTS {
            match &self.way {
                Way::Commands { start, .. } => {
                    self.run(&cx.world().processes, command(start), "start").await?;
                }
                Way::Sandbox(spec) => {
                    sandbox::start_on_files(spec, &cx.world().processes, cancel).await?;
                }
            }
            let started = Instant::now();
            while started.elapsed() < LOOK_FOR_PROCESS || self.process().is_some() {
                match login.connect().await {
                    Ok(server) => return Ok(server),
                    Err(error @ ServerError::Unreachable { .. }) if began.elapsed() > PATIENCE => {
                        return Err(error.into());
                    }
                    Err(ServerError::Unreachable { .. } | ServerError::Refused { passing: true, .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                if cancel.is_cancelled() {
                    return Err(StepError::cancelled());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Err(StepError::permanent(format!(
            "`{}` was started {MOST_STARTS} times, and no server works on {}",
            self.target,
            self.data_dir.display()
        ))
        .help("look at the server's log"))
    }

    async fn run(
        &self,
        processes: &Arc<dyn Processes>,
        spec: CommandSpec,
        word: &str,
    ) -> Result<(), StepError> {
        let line = spec.display();
        let end = run_tool(processes, spec, &CancellationToken::new()).await.map_err(tool_error)?.report;
        if end.success() {
            return Ok(());
        }
        Err(StepError::permanent(format!(
            "`{line}`, which is to {word} `{}`, failed with {}{}",
            self.target,
            end.describe(),
            said(&end.stderr)
        ))
        .help(format!(
            "check `{word}` in the `local:` of the target; it must also succeed when there is nothing to do"
        )))
    }

    /// Proves that a server that answers is the one whose files are here, by how long both have been up.
    pub(crate) async fn check_is_here(server: &mut Server, data_dir: &Path) -> Result<(), StepError> {
        let target = server.session.target().to_owned();
        let elsewhere = |why: String| {
            StepError::permanent(format!("the files of `{target}` are not on this machine: {why}"))
                .help("a physical backup copies the server's files: run it where the server is, as a user that may read them")
        };
        let Some(pid) = server_process(data_dir) else {
            return Err(elsewhere(format!("no server here works on {}", data_dir.display())));
        };
        let now = jiff::Timestamp::now().as_second();
        let started = started_at(server).await?;
        let up = u64::try_from(now - started).unwrap_or(0);
        let Some(age) = age_seconds(pid) else {
            return Err(elsewhere(format!("the process {pid} can't be looked at")));
        };
        if up <= age + 5 && age.saturating_sub(up) <= LATEST_START_SECONDS {
            return Ok(());
        }
        Err(elsewhere(format!(
            "the process {pid} that works on {} began {age} s ago, and the server {up} s ago",
            data_dir.display()
        )))
    }
}

/// Asks a server when it began, in seconds since 1970 (UTC).
///
/// By the clock of its session, by which it counts its uptime: a session of MariaDB keeps the time of the newest event
/// that was replayed in it when that lies in the future, and so do those after it that are given its thread.
async fn started_at(server: &mut Server) -> Result<i64, StepError> {
    let what = "tell how long it is up";
    let (_, up): (String, i64) = server.session.row(what, "SHOW GLOBAL STATUS LIKE 'Uptime'").await?;
    let now: i64 = server.session.row(what, "SELECT UNIX_TIMESTAMP()").await?;
    Ok(now - up)
}

/// Starts a server when it is dropped before the server has been started; in time also when this program is killed.
pub(crate) struct StartAgain {
    processes: Arc<dyn Processes>,
    files: Option<ServerFiles>,
    _if_killed: Option<Box<dyn Standby>>,
}

impl StartAgain {
    /// Takes care from now on.
    pub(crate) fn begin(processes: &Arc<dyn Processes>, files: &ServerFiles) -> Self {
        let standby = files.start_command().map(|command| processes.if_killed(&command));
        Self { processes: Arc::clone(processes), files: Some(files.clone()), _if_killed: standby }
    }

    /// The server runs again.
    pub(crate) fn done(mut self) {
        self.files = None;
    }
}

impl Drop for StartAgain {
    fn drop(&mut self) {
        let Some(files) = self.files.take() else { return };
        let Some(command) = files.start_command() else { return };
        let processes = Arc::clone(&self.processes);
        // Not on a thread of the runtime, which may be ending.
        std::thread::spawn(move || {
            for _ in 0..MOST_STARTS {
                match processes.start(&command).map(rekindle_engine::host::RunningProcess::wait) {
                    Ok(Ok(end)) if end.success() => {}
                    other => tracing::error!(?other, "a server that was stopped could not be started again"),
                }
                // One that was still going down is gone by now.
                std::thread::sleep(LOOK_FOR_PROCESS);
                if files.process().is_some() {
                    return;
                }
            }
        });
    }
}

/// Makes a path absolute and free of symbolic links.
pub(crate) fn real(path: &Path) -> Result<PathBuf, StepError> {
    fs::canonicalize(path).map_err(|error| {
        StepError::permanent(format!("the data directory {} can't be found: {error}", path.display())).help(
            "make it, empty and owned by the server's account, or correct `data_dir` in the environment",
        )
    })
}

/// Finds the server that works on a data directory: servers change into it when they start.
pub(crate) fn server_process(data_dir: &Path) -> Option<i32> {
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd == data_dir)
            && fs::read(folder.join("cmdline")).is_ok_and(|line| is_server(&line))
    })
}

/// The first word is the program, unless a loader or a checker is: `ld-linux.so --library-path … mysqld`.
fn is_server(line: &[u8]) -> bool {
    let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.take(5).any(|word| ["mariadbd", "mysqld"].iter().any(|server| word.ends_with(server)))
}

/// Tells how long ago a process began.
fn age_seconds(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may have blanks; the start time is the 20th field after it (proc(5)).
    let started: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let up = fs::read_to_string("/proc/uptime").ok()?;
    let up: u64 = up.split(['.', ' ']).next()?.parse().ok()?;
    Some(up.saturating_sub(started / TICKS_PER_SECOND))
}

fn command(words: &[String]) -> CommandSpec {
    let (program, arguments) =
        words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    CommandSpec::new(program).args(arguments)
}
