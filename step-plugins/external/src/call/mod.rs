//! One call of a plugin: one process, one request, one result. Receives an executable and a request, yields an
//! answer; when it returns, no process of the plugin's group is left.
//!
//! A plugin is not trusted to behave: lines, queues and times are bounded, and every breach of the protocol is an
//! error of its own.

mod conversation;
mod error;
mod lines;
mod talking;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rekindle_engine::host::{Clock, CommandSpec, Masker, Processes, Stdin, TerminateReason};
use rekindle_engine::step::{Progress, StepContext, StepError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::error::CallError;

use self::conversation::Conversation;
use self::talking::Talking;
use crate::protocol::{Answer, PluginHello, ToPlugin};

/// How long a line may be, in bytes without its newline.
pub(crate) const LINE_BYTES: usize = 1 << 20;
/// How long a plugin may take to say hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// How long a plugin may take to end once it has given its result.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// How long a plugin may take to give a result once it was asked to stop. Shorter than the driver's grace, so that
/// the message is ours.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// How long the group gets between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// Where a plugin's words go while it works.
#[async_trait]
pub(crate) trait Listener: Send + Sync {
    fn progress(&self, progress: Progress);
    fn log(&self, line: &str);
    fn warn(&self, text: &str);
    async fn checkpoint(&self, value: Value) -> Result<(), StepError>;
}

#[async_trait]
impl Listener for StepContext {
    fn progress(&self, progress: Progress) {
        StepContext::progress(self, progress);
    }

    fn log(&self, line: &str) {
        StepContext::log(self, line);
    }

    fn warn(&self, text: &str) {
        StepContext::warn(self, text);
    }

    async fn checkpoint(&self, value: Value) -> Result<(), StepError> {
        StepContext::checkpoint(self, value).await
    }
}

/// A listener for calls outside of a step: nothing is kept.
pub(crate) struct Unheard;

#[async_trait]
impl Listener for Unheard {
    fn progress(&self, _progress: Progress) {}

    fn log(&self, _line: &str) {}

    fn warn(&self, _text: &str) {}

    async fn checkpoint(&self, _value: Value) -> Result<(), StepError> {
        Ok(())
    }
}

/// An executable, as it was when its digest was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// The kind that its name says.
    pub kind: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its sha256 (hex).
    pub digest: String,
}

impl Executable {
    /// Takes the digest of a plugin.
    ///
    /// # Errors
    /// When it must not be trusted or can't be read.
    pub fn inspect(kind: &str, path: &Path) -> Result<Self, crate::file::FileError> {
        Ok(Self { kind: kind.to_owned(), path: path.to_owned(), digest: crate::file::digest(path)? })
    }

    /// Checks that it is still what it was.
    pub(crate) fn verify(&self) -> Result<(), CallError> {
        if crate::file::digest(&self.path)? == self.digest {
            return Ok(());
        }
        Err(CallError::Changed { path: self.path.clone() })
    }
}

/// What is needed to call a plugin once.
pub(crate) struct Call<'c> {
    pub(crate) executable: &'c Executable,
    pub(crate) processes: Arc<dyn Processes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) masker: Masker,
    pub(crate) listener: &'c dyn Listener,
    pub(crate) cancel: &'c CancellationToken,
    /// How long the whole call may take; the caller's to bound when absent.
    pub(crate) limit: Option<Duration>,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) hello: PluginHello,
    pub(crate) answer: Answer,
    pub(crate) left_children: bool,
}

impl Call<'_> {
    /// Starts the plugin, asks, and waits for its end.
    pub(crate) async fn ask(&self, request: &ToPlugin) -> Result<Reply, CallError> {
        let line = serde_json::to_string(request)
            .map_err(|error| CallError::Unwritable { request: request.name(), why: error.to_string() })?;
        self.ask_line(&line).await
    }

    /// As [`Call::ask`], with a request that is already a line. The conformance test sends wrong ones.
    pub(crate) async fn ask_line(&self, request: &str) -> Result<Reply, CallError> {
        if self.cancel.is_cancelled() {
            return Err(CallError::Cancelled);
        }
        let executable = self.executable.clone();
        let processes = Arc::clone(&self.processes);
        let started = tokio::task::spawn_blocking(move || {
            executable.verify()?;
            let spec = CommandSpec { stdin: Stdin::Piped, ..CommandSpec::new(absolute(&executable.path)?) };
            Talking::with(processes.start(&spec)?)
        });
        let mut talking = started.await.map_err(|error| CallError::Lost { why: error.to_string() })??;
        let mut conversation = Conversation::new(self, &mut talking);
        let within_limit = async {
            match self.limit {
                Some(limit) => self.clock.sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = conversation.hold(request) => ended,
            () = within_limit => Err(CallError::TooSlow { seconds: self.limit.unwrap_or_default().as_secs() }),
        };
        if let Err(error) = &ended {
            let reason = match error {
                CallError::Cancelled | CallError::IgnoredCancel { .. } => TerminateReason::Cancelled,
                _ => TerminateReason::Abandoned,
            };
            talking.end(reason, GRACE).await;
        }
        if let Some(report) = talking.report() {
            for line in report.stderr.lines() {
                self.listener.log(line);
            }
        }
        ended.map_err(|error| error.with_stderr(talking.report(), &self.masker))
    }
}

/// A path with a `/` in it is never looked up on `PATH`.
fn absolute(path: &Path) -> Result<PathBuf, CallError> {
    std::path::absolute(path).map_err(|error| CallError::Lost { why: error.to_string() })
}
