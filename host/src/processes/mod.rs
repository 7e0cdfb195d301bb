//! Children through duct: receives a [`CommandSpec`], yields a process in its own group with both pipes
//! drained, or a server that outlives this program.

mod capture;
mod detached;
mod ledger;
mod private_file;
mod running;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rekindle_engine::host::{
    CommandSpec, PrivateFile, ProcessError, Processes, RunningProcess, Secret, Standby, Stdin,
};

pub use self::ledger::{LivingChild, RecordedProcesses, living_children};
use self::private_file::GuardedFile;
use self::running::Running;
use crate::reaper::Reaper;

/// The variables a child gets from us; everything else (credentials above all) stays here.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Gives the short environment that children inherit: `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR`.
pub(crate) fn inherited_environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
        })
        .collect()
}

/// Runs children of this program. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SystemProcesses {
    environment: Vec<(OsString, OsString)>,
    private_dir: PathBuf,
    reaper: Option<Arc<Reaper>>,
}

impl SystemProcesses {
    /// Takes the short environment of this program; private files go to `$XDG_RUNTIME_DIR` when that is a
    /// folder, else to the temporary folder.
    ///
    /// Without a reaper, children and private files survive when this program is killed with SIGKILL.
    pub fn new(reaper: Option<Arc<Reaper>>) -> Self {
        let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let private_dir =
            runtime_dir.filter(|dir| dir.is_absolute() && dir.is_dir()).unwrap_or_else(std::env::temp_dir);
        Self { environment: inherited_environment(), private_dir, reaper }
    }

    /// Puts private files into this folder instead, which only this user should be able to write to.
    #[must_use]
    pub fn private_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.private_dir = dir.into();
        self
    }

    /// Finds the file of a program: a name on `PATH`, a path as it is, from `cwd` when it is relative.
    fn locate(&self, program: &OsStr, cwd: Option<&Path>) -> Option<PathBuf> {
        if Path::new(program).components().count() > 1 || program.to_string_lossy().contains('/') {
            let path = cwd.map_or_else(|| PathBuf::from(program), |cwd| cwd.join(program));
            return std::path::absolute(path).ok().filter(|path| is_executable(path));
        }
        let path = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value)?;
        std::env::split_paths(path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(program))
            .find(|file| is_executable(file))
    }

    /// Makes the expression of a command line, without its pipes.
    fn expression(&self, spec: &CommandSpec, wrapper: &[PathBuf]) -> Result<duct::Expression, ProcessError> {
        if let Some(cwd) = &spec.cwd
            && !cwd.is_dir()
        {
            let why = format!("there is no folder {} to run it in", cwd.display());
            return Err(failed(spec, io::Error::new(io::ErrorKind::NotADirectory, why)));
        }
        let program = self
            .locate(&spec.program, spec.cwd.as_deref())
            .ok_or_else(|| ProcessError::NotFound { program: spec.program.to_string_lossy().into_owned() })?;
        let mut words = wrapper.iter().cloned().chain([program]).map(PathBuf::into_os_string);
        let first = words.next().unwrap_or_default();
        let args: Vec<OsString> = words.chain(spec.args.iter().cloned()).collect();
        let environment = self.environment.iter().chain(&spec.env).cloned();
        let expression = duct::cmd(first, args).full_env(environment).unchecked();
        Ok(match &spec.cwd {
            Some(cwd) => expression.dir(cwd),
            None => expression,
        })
    }
}

/// A child that was just started, and our ends of its pipes.
struct Started {
    handle: duct::Handle,
    stdin: Option<os_pipe::PipeWriter>,
    stdout: os_pipe::PipeReader,
    stderr: os_pipe::PipeReader,
}

/// Starts a child in its own process group, its output piped, its input fed.
///
/// The expressions made here hold the child's ends of the pipes: they must be gone when somebody reads, or
/// the reader never sees an end. They go with this function.
fn start_piped(expression: &duct::Expression, stdin: &Stdin) -> io::Result<Started> {
    let (stdout, stdout_writer) = os_pipe::pipe()?;
    let (stderr, stderr_writer) = os_pipe::pipe()?;
    let (expression, stdin_writer) = match stdin {
        Stdin::Null => (expression.stdin_null(), None),
        Stdin::Bytes(_) | Stdin::Piped => {
            let (reader, writer) = os_pipe::pipe()?;
            (expression.stdin_file(reader), Some(writer))
        }
    };
    let own_group = |command: &mut std::process::Command| {
        command.process_group(0);
        Ok(())
    };
    let expression = expression.stdout_file(stdout_writer).stderr_file(stderr_writer).before_spawn(own_group);
    let handle = expression.start()?;
    let stdin = match (stdin, stdin_writer) {
        (Stdin::Bytes(bytes), Some(mut writer)) => {
            let bytes = bytes.clone();
            // A child that exits without reading is normal (BrokenPipe): its exit code is the news.
            thread::spawn(move || drop(writer.write_all(&bytes)));
            None
        }
        (Stdin::Null | Stdin::Bytes(_) | Stdin::Piped, writer) => writer,
    };
    Ok(Started { handle, stdin, stdout, stderr })
}

impl Processes for SystemProcesses {
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError> {
        let expression = self.expression(spec, &[])?;
        let started = start_piped(&expression, &spec.stdin).map_err(|error| failed(spec, error))?;
        let program = spec.program.to_string_lossy().into_owned();
        let running = Running::follow(program, started, self.reaper.clone());
        Ok(Box::new(running.map_err(|error| failed(spec, error))?))
    }

    fn start_detached(&self, spec: &CommandSpec, log: &Path) -> Result<i32, ProcessError> {
        let setsid =
            self.find("setsid").ok_or_else(|| ProcessError::NotFound { program: "setsid".to_owned() })?;
        let expression = self.expression(spec, &[setsid])?;
        detached::start(&expression, log).map_err(|error| failed(spec, error))
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        self.locate(OsStr::new(program), None)
    }

    fn private_file(&self, contents: &Secret) -> io::Result<Box<dyn PrivateFile>> {
        let file = GuardedFile::create(&self.private_dir, contents, self.reaper.clone())?;
        Ok(Box::new(file))
    }

    fn if_killed(&self, spec: &CommandSpec) -> Box<dyn Standby> {
        // The reaper has our `PATH`, but runs in `/`: a program that is named by a relative path is found here.
        let program = self.locate(&spec.program, spec.cwd.as_deref());
        let program = program.map_or_else(|| spec.program.clone(), PathBuf::into_os_string);
        let words = std::iter::once(&program).chain(&spec.args);
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        if let Some(reaper) = &self.reaper {
            reaper.add_command(&words);
        }
        Box::new(StandbyCommand { words, reaper: self.reaper.clone() })
    }
}

/// Called off when dropped.
struct StandbyCommand {
    words: Vec<String>,
    reaper: Option<Arc<Reaper>>,
}

impl Standby for StandbyCommand {}

impl Drop for StandbyCommand {
    fn drop(&mut self) {
        if let Some(reaper) = &self.reaper {
            reaper.remove_command(&self.words);
        }
    }
}

fn failed(spec: &CommandSpec, source: io::Error) -> ProcessError {
    ProcessError::Io { program: spec.program.to_string_lossy().into_owned(), source }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
