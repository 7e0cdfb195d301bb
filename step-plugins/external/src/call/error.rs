//! What can go wrong in a call. The plugin's own error is not among these: that is an answer.

use std::path::PathBuf;

use rekindle_engine::host::{ExitReport, Masker, ProcessError};
use rekindle_engine::step::{ErrorClass, StepError};

use crate::file::FileError;

/// How much of a wrong line is shown.
const EXCERPT_CHARACTERS: usize = 80;
/// How much of the standard error goes into a message.
const STDERR_BYTES: usize = 1024;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum CallError {
    /// The executable must not be run.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what was described and planned with.
    #[error("the plugin {path} was changed since it was described")]
    Changed { path: PathBuf },
    /// It can't be started.
    #[error(transparent)]
    Start(#[from] ProcessError),
    /// Something on our side.
    #[error("the plugin could not be talked to: {why}")]
    Lost { why: String },
    /// A request that is no JSON.
    #[error("failed to write the request `{request}`: {why}")]
    Unwritable { request: &'static str, why: String },
    /// No hello in time.
    #[error("the plugin did not say hello within {seconds}s")]
    NoHello { seconds: u64 },
    /// Something else came first.
    #[error("the plugin's first line is not its hello: `{line}`")]
    NotHello { line: String },
    /// It is younger than this program.
    #[error("the plugin speaks protocol {protocol}, this rekindle speaks 1")]
    NewerProtocol { protocol: u64 },
    /// The file has another name than its contents.
    #[error("the plugin says that its kind is `{said}`, but its file name says `{expected}`")]
    WrongKind { said: String, expected: String },
    /// A line that is no message.
    #[error("the plugin wrote a line that is no message: `{line}`: {why}")]
    Garbage { line: String, why: String },
    /// A line without end.
    #[error("the plugin wrote a line of more than {limit} bytes")]
    LongLine { limit: usize },
    /// Bytes that are no text.
    #[error("the plugin wrote bytes that are not UTF-8")]
    NotUtf8,
    /// No sign of life.
    #[error("the plugin said nothing for {seconds}s")]
    Silent { seconds: u64 },
    /// The whole call took too long.
    #[error("the plugin took longer than {seconds}s")]
    TooSlow { seconds: u64 },
    /// It ended without a result.
    #[error("the plugin ended with {how} before it gave a result{stderr}")]
    EndedEarly { how: String, stderr: String },
    /// Its output ended, the process did not.
    #[error("the plugin closed its standard output before it gave a result")]
    ClosedOutput,
    /// A result with no or several answers.
    #[error("the plugin's result must hold one answer, it holds {}: `{line}`", if given.is_empty() { "none" } else { given })]
    OddResult { given: String, line: String },
    /// An answer to another question.
    #[error("the plugin answered `{request}` with `{given}`, not with `{expected}`")]
    WrongAnswer { request: &'static str, given: &'static str, expected: &'static str },
    /// More than one result.
    #[error("the plugin gave two results")]
    TwoResults,
    /// Words after the last word.
    #[error("the plugin went on after its result: `{line}`")]
    SpokeAfterResult { line: String },
    /// It gave a result and does not end.
    #[error("the plugin did not end within {seconds}s after its result")]
    NoEnd { seconds: u64 },
    /// A result, and then a failure: which of them is true?
    #[error("the plugin gave a result and then ended with {how}")]
    FailedAfterResult { how: String },
    /// A process that left the group keeps the pipe.
    #[error(
        "a process that the plugin started, and that left its process group, holds its standard output open"
    )]
    OutputHeld,
    /// It does not read what it is told.
    #[error("the plugin does not read its standard input")]
    NotReading,
    /// Too much for the journal.
    #[error("the plugin wrote more than {limit} checkpoints")]
    TooManyCheckpoints { limit: u32 },
    /// Too much for the journal.
    #[error("the plugin wrote a checkpoint of more than {limit} bytes")]
    LargeCheckpoint { limit: usize },
    /// The journal did not take it.
    #[error("{}", .0.message)]
    Checkpoint(StepError),
    /// The operator's word.
    #[error("cancelled")]
    Cancelled,
    /// It was asked to stop and did not.
    #[error("the plugin did not stop within {seconds}s of being asked to, so it was killed")]
    IgnoredCancel { seconds: u64 },
}

impl CallError {
    /// Adds what the plugin said on its standard error, where that tells why it ended.
    pub(super) fn with_stderr(self, report: Option<&ExitReport>, masker: &Masker) -> Self {
        match (self, report) {
            (Self::EndedEarly { how, .. }, Some(report)) => {
                let text = masker.mask(report.stderr.trim());
                let start = text.ceil_char_boundary(text.len().saturating_sub(STDERR_BYTES));
                let said = &text[start..];
                let stderr = if said.is_empty() { String::new() } else { format!(": {said}") };
                Self::EndedEarly { how, stderr }
            }
            (error, _) => error,
        }
    }

    /// Whether trying again can help: an accident may pass, a plugin that breaks the protocol will do so again.
    fn class(&self) -> ErrorClass {
        match self {
            Self::Silent { .. }
            | Self::TooSlow { .. }
            | Self::NoHello { .. }
            | Self::EndedEarly { .. }
            | Self::ClosedOutput
            | Self::NoEnd { .. }
            | Self::FailedAfterResult { .. }
            | Self::Lost { .. }
            | Self::IgnoredCancel { .. } => ErrorClass::Transient,
            Self::Cancelled => ErrorClass::Cancelled,
            Self::Checkpoint(error) => error.class,
            Self::File(_)
            | Self::Changed { .. }
            | Self::Start(_)
            | Self::Unwritable { .. }
            | Self::NotHello { .. }
            | Self::NewerProtocol { .. }
            | Self::WrongKind { .. }
            | Self::Garbage { .. }
            | Self::LongLine { .. }
            | Self::NotUtf8
            | Self::OddResult { .. }
            | Self::WrongAnswer { .. }
            | Self::TwoResults
            | Self::SpokeAfterResult { .. }
            | Self::OutputHeld
            | Self::NotReading
            | Self::TooManyCheckpoints { .. }
            | Self::LargeCheckpoint { .. } => ErrorClass::Permanent,
        }
    }

    /// Says what to do.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::File(error) => error.help(),
            Self::Changed { .. } => {
                "plan again with the plugin as it is now, or put back the one that was planned with".to_owned()
            }
            Self::Start(_) => "check the first line (`#!`) of the plugin and that its interpreter is installed".to_owned(),
            Self::NewerProtocol { .. } => "use a newer rekindle, or an older version of the plugin".to_owned(),
            Self::WrongKind { said, .. } => format!("name the file `{}{said}`", crate::search::PREFIX),
            Self::Silent { .. } => {
                "it may hang; a plugin that works for long writes `heartbeat` or `progress` meanwhile".to_owned()
            }
            Self::OutputHeld => "end that process by hand; plugins must not start daemons".to_owned(),
            Self::Garbage { .. } | Self::NotHello { .. } => {
                "a plugin writes messages only to its standard output; its other words belong on standard error"
                    .to_owned()
            }
            Self::Checkpoint(error) => return error.help.clone(),
            Self::Cancelled => return None,
            Self::Lost { .. }
            | Self::Unwritable { .. }
            | Self::NoHello { .. }
            | Self::LongLine { .. }
            | Self::NotUtf8
            | Self::TooSlow { .. }
            | Self::EndedEarly { .. }
            | Self::ClosedOutput
            | Self::OddResult { .. }
            | Self::WrongAnswer { .. }
            | Self::TwoResults
            | Self::SpokeAfterResult { .. }
            | Self::NoEnd { .. }
            | Self::FailedAfterResult { .. }
            | Self::NotReading
            | Self::TooManyCheckpoints { .. }
            | Self::LargeCheckpoint { .. }
            | Self::IgnoredCancel { .. } => {
                "`rekindle plugin test PATH` shows what the plugin does wrong".to_owned()
            }
        })
    }
}

impl From<CallError> for StepError {
    fn from(error: CallError) -> Self {
        Self { class: error.class(), help: error.help(), message: error.to_string() }
    }
}

/// Gives the beginning of a line, fit for a message.
pub(super) fn excerpt(line: &str) -> String {
    let shown: String = line.chars().take(EXCERPT_CHARACTERS).flat_map(char::escape_debug).collect();
    let shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    if line.chars().nth(EXCERPT_CHARACTERS).is_some() { format!("{shown}…") } else { shown }
}
