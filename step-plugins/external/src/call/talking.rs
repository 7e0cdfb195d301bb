//! A plugin's process with its pipes: receives a started child, yields lines both ways and its end.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{ExitReport, ProcessError, RunningProcess, TerminateReason};
use tokio::sync::{mpsc, oneshot};

use super::lines::{self, Heard};
use super::{CallError, GRACE};

/// How many lines may wait to be written: hello, the request, `cancel`, and answers to checkpoints.
const WAITING_LINES: usize = 16;
/// How much longer than its grace a group is waited for.
const END_MARGIN: Duration = Duration::from_secs(10);

type Terminator = Arc<dyn Fn(TerminateReason, Duration) + Send + Sync>;
type End = Result<ExitReport, ProcessError>;

/// A process that is talked to. Dropping it ends its group.
pub(super) struct Talking {
    lines: mpsc::Receiver<Heard>,
    input: Option<mpsc::Sender<String>>,
    terminator: Terminator,
    ending: oneshot::Receiver<End>,
    ended: Option<End>,
}

impl Talking {
    /// Takes the pipes of a child that was started with both piped, and follows it to its end.
    pub(super) fn with(mut process: Box<dyn RunningProcess>) -> Result<Self, CallError> {
        let (Some(stdout), Some(mut stdin)) = (process.take_stdout(), process.take_stdin()) else {
            return Err(CallError::Lost { why: "it has no pipes".to_owned() });
        };
        let (input, mut waiting) = mpsc::channel::<String>(WAITING_LINES);
        std::thread::spawn(move || {
            while let Some(line) = waiting.blocking_recv() {
                // A plugin that went away without reading says so by its end.
                if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let terminator = process.terminator();
        let (tell, ending) = oneshot::channel();
        std::thread::spawn(move || drop(tell.send(process.wait())));
        let lines = lines::listen(stdout);
        Ok(Self { lines, input: Some(input), terminator, ending, ended: None })
    }

    /// Gives the next line; none at the end of the output.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        self.lines.recv().await
    }

    /// Writes a line, or puts it into the queue.
    pub(super) fn say(&self, line: &str) -> Result<(), CallError> {
        let Some(input) = &self.input else { return Ok(()) };
        match input.try_send(format!("{line}\n")) {
            // Closed: it went away without reading, and says so by its end.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(CallError::NotReading),
        }
    }

    /// Lets the plugin see the end of its input.
    pub(super) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until the process and its whole group have ended.
    pub(super) async fn exited(&mut self) {
        if self.ended.is_none() {
            let lost = |_| {
                Err(ProcessError::Io {
                    program: "plugin".to_owned(),
                    source: std::io::Error::other("nobody waited for it"),
                })
            };
            self.ended = Some((&mut self.ending).await.unwrap_or_else(lost));
        }
    }

    /// Gives how it ended, once it has.
    pub(super) fn report(&self) -> Option<&ExitReport> {
        self.ended.as_ref()?.as_ref().ok()
    }

    /// Ends the group and waits for that.
    pub(super) async fn end(&mut self, reason: TerminateReason, grace: Duration) {
        if self.ended.is_some() {
            return;
        }
        let terminator = Arc::clone(&self.terminator);
        std::thread::spawn(move || terminator(reason, grace));
        // Bounded: a process that hangs inside the kernel can't be waited for.
        let _ = tokio::time::timeout(grace + END_MARGIN, self.exited()).await;
    }
}

impl Drop for Talking {
    /// A timeout may drop the call: the group is then ended in a thread of its own, since that takes up to the grace.
    fn drop(&mut self) {
        if self.ended.is_none() {
            let terminator = Arc::clone(&self.terminator);
            std::thread::spawn(move || terminator(TerminateReason::TimedOut, GRACE));
        }
    }
}
