//! Why a dump failed: from what process, lexer and stream say to a step's error.

use std::io;

use rekindle_backup::dump::DumpWriteError;
use rekindle_engine::host::{ExitReport, ProcessError};
use rekindle_engine::step::StepError;

use super::unchanged;

/// How much of a client's standard error a message shows.
const SHOWN_STDERR_BYTES: usize = 2000;

/// Why the stream of a dump is not whole.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client could not be run.
    Process(ProcessError),
    /// The client's output can't be read.
    Read(io::Error),
    /// The store has stopped taking bytes: its own error says why.
    SinkGone,
    /// The output is no dump, or not to its end.
    Text { error: DumpWriteError, end: Option<ExitReport> },
    /// The client said that it failed.
    Exit(ExitReport),
    /// The operator cancelled.
    Cancelled,
}

impl From<DumpWriteError> for Failure {
    fn from(error: DumpWriteError) -> Self {
        match error {
            DumpWriteError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::SinkGone,
            error => Self::Text { error, end: None },
        }
    }
}

impl Failure {
    /// Makes it the error of the step; `program` is the client.
    pub(super) fn step_error(self, program: &str) -> StepError {
        match self {
            Self::Process(error) => error.into(),
            Self::Read(error) => {
                StepError::transient(format!("failed to read what {program} writes: {error}"))
            }
            Self::SinkGone => StepError::transient("the store stopped taking the dump"),
            Self::Text { error, end } => {
                let said = end.as_ref().map(|end| said(&end.stderr)).unwrap_or_default();
                StepError::permanent(format!("{program} gave no whole dump: {error}{said}"))
            }
            Self::Exit(end) => {
                let text = format!("{program} failed with {}{}", end.describe(), said(&end.stderr));
                // A lost or killed server, and a client killed from outside, may be better next time.
                let passing = end.signal.is_some()
                    || [
                        "Lost connection",
                        "gone away",
                        "Can't connect",
                        "(2013)",
                        "(2006)",
                        "(2002)",
                        "(1205)",
                        "(1213)",
                    ]
                    .iter()
                    .chain(&CHANGED)
                    .any(|words| end.stderr.contains(words));
                let error = if passing { StepError::transient(text) } else { StepError::permanent(text) };
                match help(&end.stderr) {
                    Some(help) => error.help(help),
                    None => error,
                }
            }
            Self::Cancelled => StepError::cancelled(),
        }
    }
}

/// The end of what the client said, on one line for each of its own.
fn said(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() {
        return String::new();
    }
    let mut from = stderr.len().saturating_sub(SHOWN_STDERR_BYTES);
    while !stderr.is_char_boundary(from) {
        from += 1;
    }
    format!(": {}{}", if from > 0 { "…" } else { "" }, &stderr[from..])
}

/// What clients say when a table was changed after the snapshot was taken: `ER_TABLE_DEF_CHANGED`, `ER_NO_SUCH_TABLE`,
/// `ER_BAD_DB_ERROR`.
const CHANGED: [&str; 5] = [
    "Error 1412",
    "(1146)",
    "Couldn't read status information for table",
    "Error in field count for table",
    "Got error: 1049",
];

fn help(stderr: &str) -> Option<&'static str> {
    if CHANGED.iter().any(|words| stderr.contains(words)) {
        return Some(unchanged::HELP);
    }
    if stderr.contains("Access denied") || stderr.contains("command denied") {
        return Some(
            "a dump needs SELECT, SHOW VIEW, TRIGGER and EVENT; on MySQL also RELOAD and REPLICATION CLIENT",
        );
    }
    stderr
        .contains("references invalid table")
        .then_some("repair or drop the view that is named, then dump again")
}
