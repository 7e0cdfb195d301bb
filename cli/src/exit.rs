//! Exit codes, as the user guide lists them.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// The run failed.
    Failed,
    /// The user's input is wrong; nothing was touched.
    Input,
    /// Waiting for people to approve a step.
    Waiting,
    /// Paused: a decision is needed.
    Paused,
    /// Stopped by SIGINT (128 + 2).
    Interrupted,
    /// Stopped by SIGTERM (128 + 15).
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Input => 2,
            Exit::Waiting => 3,
            Exit::Paused => 4,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}
