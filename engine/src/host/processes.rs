//! Child processes: one process group each, both pipes drained, no child left behind.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::host::Secret;

/// What a child reads.
#[derive(Debug, Clone, Default)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// These bytes; a child that exits early without reading them is no error of itself.
    Bytes(Vec<u8>),
    /// What is written to [`RunningProcess::take_stdin`], until that is dropped.
    Piped,
}

/// A command line without a shell. Secrets never stand in it: they go into a private file.
#[derive(Debug, Clone, Default)]
pub struct CommandSpec {
    /// A program name looked up on `PATH`, or a path.
    pub program: OsString,
    /// The arguments.
    pub args: Vec<OsString>,
    /// Variables to add to the (short) inherited environment: `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR`.
    pub env: Vec<(OsString, OsString)>,
    /// Where to run; the runner's own directory when absent.
    pub cwd: Option<PathBuf>,
    /// What it reads.
    pub stdin: Stdin,
}

impl CommandSpec {
    /// Starts a command line.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = A>, A: Into<OsString>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Gives the command line as a person would type it, quoted where needed.
    pub fn display(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|word| quote(&word.to_string_lossy()))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitReport {
    /// The exit code, absent when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The first and last 64 KiB of its standard error, lossily decoded; a gap is marked.
    pub stderr: String,
    /// Whether members of its group were still there when it ended; they were ended then.
    pub left_children: bool,
}

impl ExitReport {
    /// Tells whether it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Says how it ended: `exit code 2`, `signal 9`.
    pub fn describe(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        }
    }
}

/// Why a process could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("there is no program `{program}` on PATH")]
    NotFound {
        /// What was looked for.
        program: String,
    },
    /// The operating system refused.
    #[error("failed to run `{program}`: {source}")]
    Io {
        /// What was to run.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Why a process is being ended, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminateReason {
    /// The operator cancelled.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// What it was for has failed.
    Abandoned,
}

/// A child that runs. Dropping it terminates its whole process group.
pub trait RunningProcess: Send {
    /// Takes the reading end of its standard output; `None` when taken before.
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>>;

    /// Takes the writing end of its standard input, when that is [`Stdin::Piped`]; `None` when taken before.
    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        None
    }

    /// Gives its process group id.
    fn process_group(&self) -> i32;

    /// Gives a handle that ends the whole group from another thread: TERM, `grace`, KILL. Returns when it is gone.
    fn terminator(&self) -> Arc<dyn Fn(TerminateReason, Duration) + Send + Sync>;

    /// Waits for its end (blocking), sweeps what it left behind in its group, and reports.
    fn wait(self: Box<Self>) -> Result<ExitReport, ProcessError>;
}

/// Starts children. All calls may block: use them from `spawn_blocking`.
pub trait Processes: Send + Sync {
    /// Starts a child in its own process group with its standard output piped.
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError>;

    /// Starts a server that outlives this program, in its own session, its output appended to `log`.
    /// Returns its pid.
    fn start_detached(&self, spec: &CommandSpec, log: &std::path::Path) -> Result<i32, ProcessError>;

    /// Finds a program on `PATH`.
    fn find(&self, program: &str) -> Option<PathBuf>;

    /// Puts a secret text into a new file that only this user can read (0600) and that is removed when the
    /// guard is dropped, and by the reaper when this program dies first.
    fn private_file(&self, contents: &Secret) -> std::io::Result<Box<dyn PrivateFile>>;

    /// Has a command run by the reaper when this program is killed before the guard is dropped: to start what was
    /// stopped for a while. Where there is no reaper, nothing does.
    fn if_killed(&self, _spec: &CommandSpec) -> Box<dyn Standby> {
        Box::new(NoStandby)
    }
}

/// A command that is called off when this guard is dropped.
pub trait Standby: Send {}

struct NoStandby;

impl Standby for NoStandby {}

/// A private file that goes away with this guard.
pub trait PrivateFile: Send {
    /// Where it is.
    fn path(&self) -> &std::path::Path;
}
