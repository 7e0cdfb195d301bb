//! Why a stream of files failed: from what process, stream and store say to a step's error.

use std::io;

use rekindle_backup::physical::{StreamError, StreamWriteError};
use rekindle_engine::host::{ExitReport, ProcessError};
use rekindle_engine::step::StepError;

use crate::physical_tool::said;

/// Why a stream is not whole.
#[derive(Debug)]
pub(super) enum Failure {
    /// The program could not be run.
    Process(ProcessError),
    /// Its output can't be read, or not compressed.
    Read(io::Error),
    /// The store has stopped taking bytes: its own error says why.
    SinkGone,
    /// What came is no whole stream.
    Stream { error: StreamError, end: Option<ExitReport> },
    /// The program said that it failed.
    Exit(ExitReport),
    /// It did not say that it has done everything, or says something that can't be.
    NotProven { why: String, end: ExitReport },
    /// The operator cancelled.
    Cancelled,
}

impl From<StreamWriteError> for Failure {
    fn from(error: StreamWriteError) -> Self {
        match error {
            StreamWriteError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::SinkGone,
            StreamWriteError::Write(error) => Self::Read(error),
            StreamWriteError::Stream(error) => Self::Stream { error, end: None },
        }
    }
}

impl Failure {
    /// Adds how the program ended, where that explains it.
    pub(super) fn with_end(self, end: &ExitReport) -> Self {
        match self {
            Self::Stream { error, .. } => Self::Stream { error, end: Some(end.clone()) },
            other => other,
        }
    }

    /// Makes it the error of the step; `program` is the one that streams.
    pub(super) fn step_error(self, program: &str) -> StepError {
        match self {
            Self::Process(error) => error.into(),
            Self::Read(error) => {
                StepError::transient(format!("failed to take what {program} writes: {error}"))
            }
            Self::SinkGone => StepError::transient("the store stopped taking the backup"),
            Self::Stream { error, end } => {
                let said = end.map(|end| said(&end.stderr)).unwrap_or_default();
                StepError::permanent(format!("{program} gave no whole backup: {error}{said}"))
            }
            Self::Exit(end) => exit(program, &end),
            Self::NotProven { why, end } => StepError::permanent(format!(
                "{program} gave no backup that counts: {why}{}",
                said(&end.stderr)
            )),
            Self::Cancelled => StepError::cancelled(),
        }
    }
}

fn exit(program: &str, end: &ExitReport) -> StepError {
    let text = format!("{program} failed with {}{}", end.describe(), said(&end.stderr));
    // A lost or killed server, and a program killed from outside, may be better next time.
    let passing = end.signal.is_some()
        || ["Lost connection", "gone away", "Can't connect", "(2013)", "(2006)", "(2002)"]
            .iter()
            .any(|words| end.stderr.contains(words));
    let error = if passing { StepError::transient(text) } else { StepError::permanent(text) };
    let denied =
        ["Access denied", "missing required privilege", "lacks privileges", "you need (at least one of)"];
    if denied.iter().any(|words| end.stderr.contains(words)) {
        return error.help(
            "it needs RELOAD, PROCESS, LOCK TABLES and REPLICATION CLIENT (BINLOG MONITOR); on MySQL also BACKUP_ADMIN \
             and SELECT on performance_schema.log_status",
        );
    }
    if end.stderr.contains("changed as we read it") {
        return error.help(
            "something works on the files while the server is stopped: find out what, and keep it away",
        );
    }
    error
}
