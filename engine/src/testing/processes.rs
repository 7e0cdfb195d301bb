//! Child processes that are only answers.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::locked;
use crate::host::{
    CommandSpec, ExitReport, PrivateFile, ProcessError, Processes, RunningProcess, Secret, TerminateReason,
};

/// What a fake child does.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    stdout: Vec<u8>,
    stderr: String,
    code: i32,
    signal: Option<i32>,
    hangs: bool,
}

impl Answer {
    /// Writes this to its standard output and exits with 0.
    pub fn success(stdout: impl Into<Vec<u8>>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    /// Writes this to its standard error and exits with `code`.
    pub fn failure(code: i32, stderr: impl Into<String>) -> Self {
        Self { code, stderr: stderr.into(), ..Self::default() }
    }

    /// Is ended by this signal.
    pub fn killed(signal: i32) -> Self {
        Self { signal: Some(signal), ..Self::default() }
    }

    /// Keeps its standard output open and never ends until it is terminated (then by signal 15).
    pub fn hang() -> Self {
        Self { hangs: true, ..Self::default() }
    }

    /// Writes this to its standard output before whatever else it does.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Writes this to its standard error.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<String>) -> Self {
        self.stderr = stderr.into();
        self
    }
}

type Responder = Arc<dyn Fn(&CommandSpec) -> Answer + Send + Sync>;

#[derive(Default)]
struct Program {
    queued: VecDeque<Answer>,
    last: Answer,
    responder: Option<Responder>,
}

#[derive(Default)]
struct State {
    programs: BTreeMap<String, Program>,
    commands: Vec<CommandSpec>,
    detached: Vec<(CommandSpec, PathBuf)>,
    private_files: Vec<String>,
    open_private_files: usize,
    terminated: Vec<TerminateReason>,
    next_pid: i32,
}

/// Processes that answer from a script and remember every command line.
///
/// A program without an answer does not exist: [`Processes::find`] gives nothing and starting it fails.
#[derive(Clone, Default)]
pub struct FakeProcesses {
    state: Arc<Mutex<State>>,
}

impl FakeProcesses {
    /// Queues an answer of a program; the last one is repeated.
    pub fn answer(&self, program: &str, answer: Answer) {
        let mut state = locked(&self.state);
        let entry = state.programs.entry(program.to_owned()).or_default();
        entry.last = answer.clone();
        entry.queued.push_back(answer);
    }

    /// Answers every start of a program by what `respond` makes of its command line.
    pub fn respond(&self, program: &str, respond: impl Fn(&CommandSpec) -> Answer + Send + Sync + 'static) {
        let mut state = locked(&self.state);
        state.programs.entry(program.to_owned()).or_default().responder = Some(Arc::new(respond));
    }

    /// Gives every command line that was started, oldest first.
    pub fn commands(&self) -> Vec<CommandSpec> {
        locked(&self.state).commands.clone()
    }

    /// Gives every command line that was started, as a person would type it.
    pub fn command_lines(&self) -> Vec<String> {
        self.commands().iter().map(CommandSpec::display).collect()
    }

    /// Gives the servers that were started detached, with their log files.
    pub fn detached(&self) -> Vec<(CommandSpec, PathBuf)> {
        locked(&self.state).detached.clone()
    }

    /// Gives the contents of every private file that was made. The files themselves do not exist.
    pub fn private_files(&self) -> Vec<String> {
        locked(&self.state).private_files.clone()
    }

    /// Gives how many private files have not been removed.
    pub fn open_private_files(&self) -> usize {
        locked(&self.state).open_private_files
    }

    /// Gives why children were terminated, oldest first.
    pub fn terminated(&self) -> Vec<TerminateReason> {
        locked(&self.state).terminated.clone()
    }

    fn next_answer(&self, spec: &CommandSpec) -> Result<(Answer, i32), ProcessError> {
        let program = spec.program.to_string_lossy().into_owned();
        let mut state = locked(&self.state);
        let Some(entry) = state.programs.get_mut(&program) else {
            return Err(ProcessError::NotFound { program });
        };
        let responder = entry.responder.clone();
        let queued = entry.queued.pop_front().unwrap_or_else(|| entry.last.clone());
        state.next_pid += 1;
        let pid = 1000 + state.next_pid;
        drop(state);
        // Called without the lock: a responder may look at what was recorded.
        Ok((responder.map_or(queued, |respond| respond(spec)), pid))
    }
}

impl Processes for FakeProcesses {
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError> {
        let (answer, pid) = self.next_answer(spec)?;
        locked(&self.state).commands.push(spec.clone());
        let ending = Arc::new(Ending { done: Mutex::new(!answer.hangs), changed: Condvar::new() });
        Ok(Box::new(FakeChild { answer, pid, ending, taken: false, state: Arc::clone(&self.state) }))
    }

    fn start_detached(&self, spec: &CommandSpec, log: &Path) -> Result<i32, ProcessError> {
        let (_, pid) = self.next_answer(spec)?;
        locked(&self.state).detached.push((spec.clone(), log.to_owned()));
        Ok(pid)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let known = locked(&self.state).programs.contains_key(program);
        known.then(|| Path::new("/usr/bin").join(program))
    }

    fn private_file(&self, contents: &Secret) -> std::io::Result<Box<dyn PrivateFile>> {
        let mut state = locked(&self.state);
        state.private_files.push(contents.expose().to_owned());
        state.open_private_files += 1;
        let path = PathBuf::from(format!("/private/{}", state.private_files.len()));
        drop(state);
        Ok(Box::new(FakePrivateFile { path, state: Arc::clone(&self.state) }))
    }
}

/// Whether a child has ended, for those who wait for it.
struct Ending {
    done: Mutex<bool>,
    changed: Condvar,
}

impl Ending {
    fn wait(&self) {
        let mut done = locked(&self.done);
        while !*done {
            done = self.changed.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        *locked(&self.done) = true;
        self.changed.notify_all();
    }
}

struct FakeChild {
    answer: Answer,
    pid: i32,
    ending: Arc<Ending>,
    taken: bool,
    state: Arc<Mutex<State>>,
}

impl RunningProcess for FakeChild {
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        if std::mem::replace(&mut self.taken, true) {
            return None;
        }
        let bytes = std::io::Cursor::new(std::mem::take(&mut self.answer.stdout));
        Some(Box::new(FakeStdout { bytes, ending: Arc::clone(&self.ending) }))
    }

    fn process_group(&self) -> i32 {
        self.pid
    }

    fn terminator(&self) -> Arc<dyn Fn(TerminateReason, Duration) + Send + Sync> {
        let (ending, state) = (Arc::clone(&self.ending), Arc::clone(&self.state));
        Arc::new(move |reason, _grace| {
            locked(&state).terminated.push(reason);
            ending.end();
        })
    }

    fn wait(self: Box<Self>) -> Result<ExitReport, ProcessError> {
        self.ending.wait();
        let signal = if self.answer.hangs { Some(15) } else { self.answer.signal };
        let code = if signal.is_some() { None } else { Some(self.answer.code) };
        Ok(ExitReport { code, signal, stderr: self.answer.stderr.clone(), left_children: false })
    }
}

impl Drop for FakeChild {
    fn drop(&mut self) {
        self.ending.end();
    }
}

struct FakeStdout {
    bytes: std::io::Cursor<Vec<u8>>,
    ending: Arc<Ending>,
}

impl Read for FakeStdout {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(into)?;
        if count == 0 && !into.is_empty() {
            self.ending.wait();
        }
        Ok(count)
    }
}

struct FakePrivateFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl PrivateFile for FakePrivateFile {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FakePrivateFile {
    fn drop(&mut self) {
        locked(&self.state).open_private_files -= 1;
    }
}
