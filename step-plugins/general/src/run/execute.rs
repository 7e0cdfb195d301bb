//! Runs the command: receives typed parameters, yields outputs, or ends the whole process group.

use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{
    CommandSpec, ExitReport, Masker, PrivateFile, ProcessError, Processes, RunningProcess, Secret,
    TerminateReason,
};
use rekindle_engine::id::StepId;
use rekindle_engine::step::{Reporter, StepContext, StepError};

use super::command_line::{self, What};
use super::output::{self, Kept, STDERR_TAIL_BYTES};
use super::{RunOutputs, RunParams};

/// How long a command gets between TERM and KILL (run semantics, section 2).
const GRACE: Duration = Duration::from_secs(10);

type Terminator = Arc<dyn Fn(TerminateReason, Duration) + Send + Sync>;

/// A started command; the script's file lives as long.
struct Started {
    process: Box<dyn RunningProcess>,
    _script: Option<Box<dyn PrivateFile>>,
}

/// How it ended.
struct Ended {
    report: ExitReport,
    stdout: Kept,
}

pub(super) async fn execute(params: &RunParams, cx: &StepContext) -> Result<RunOutputs, StepError> {
    let words = params.command.as_ref().map(|words| words.iter().map(|word| word.0.clone()).collect());
    let what = command_line::what(words, params.script.clone())?;
    let spec = command_line::spec(params, &what)?;
    let name = what.name();
    if cx.cancel().is_cancelled() {
        return Err(StepError::cancelled());
    }

    let processes = Arc::clone(&cx.world().processes);
    let started = blocking(move || start(processes.as_ref(), spec, &what)).await?;
    // A timeout may drop this future: the guard then ends what it leaves.
    let mut guard = Guard(Some(started.process.terminator()));
    let (reporter, step, masker) = (cx.reporter(), cx.step().clone(), cx.world().masker.clone());
    let mut following = std::pin::pin!(blocking(move || follow(started, &masker, reporter.as_ref(), &step)));
    let ended = tokio::select! {
        ended = &mut following => ended,
        () = cx.cancel().cancelled() => {
            guard.terminate(TerminateReason::Cancelled);
            let _ = following.await;
            guard.disarm();
            return Err(StepError::cancelled());
        }
    };
    guard.disarm();
    judge(&name, ended?, &cx.world().masker)
}

/// Starts the command; a script goes into a file that only this user can read, never onto a command line.
fn start(processes: &dyn Processes, spec: CommandSpec, what: &What) -> Result<Started, StepError> {
    let (spec, script) = match what {
        What::Command(_) => (spec, None),
        What::Script(script) => {
            let file = processes.private_file(&Secret::new(script)).map_err(|error| {
                StepError::transient(format!("failed to write the script into a temporary file: {error}"))
            })?;
            (spec.arg(file.path()), Some(file))
        }
    };
    let process = processes.start(&spec).map_err(|error| match &error {
        ProcessError::NotFound { program } => {
            StepError::permanent(error.to_string()).help(install_help(program))
        }
        ProcessError::Io { .. } => error.into(),
    })?;
    Ok(Started { process, _script: script })
}

pub(super) fn install_help(program: &str) -> String {
    if program.contains('/') {
        format!(
            "check the path `{program}` and that the file may be executed; a relative path counts from `cwd`"
        )
    } else {
        format!("install `{program}`, or write its path")
    }
}

/// Reads the output to its end, then waits for the end of the command.
fn follow(
    mut started: Started,
    masker: &Masker,
    reporter: &dyn Reporter,
    step: &StepId,
) -> Result<Ended, StepError> {
    let stdout = match started.process.take_stdout() {
        Some(stdout) => output::follow(stdout, masker, |line| reporter.log(step, line))
            .map_err(|error| StepError::transient(format!("failed to read its output: {error}")))?,
        None => Kept::default(),
    };
    let report = started.process.wait()?;
    for line in report.stderr.lines() {
        reporter.log(step, line);
    }
    Ok(Ended { report, stdout })
}

fn judge(name: &str, ended: Ended, masker: &Masker) -> Result<RunOutputs, StepError> {
    let Ended { report, stdout } = ended;
    let stderr = output::tail(&report.stderr, STDERR_TAIL_BYTES, masker);
    if !report.success() {
        let said = if stderr.is_empty() { String::new() } else { format!(": {stderr}") };
        return Err(StepError::transient(format!("{name} ended with {}{said}", report.describe())));
    }
    Ok(RunOutputs {
        exit_code: 0,
        stdout: stdout.text,
        stdout_truncated: stdout.truncated,
        stderr: stderr.to_owned(),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StepError> + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StepError::permanent(error.to_string()))?
}

/// Ends the command when the future that waits for it is dropped.
struct Guard(Option<Terminator>);

impl Guard {
    /// Ends it in a thread of its own: that takes up to the grace.
    fn terminate(&self, reason: TerminateReason) {
        if let Some(terminator) = self.0.clone() {
            std::thread::spawn(move || terminator(reason, GRACE));
        }
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.terminate(TerminateReason::TimedOut);
    }
}
