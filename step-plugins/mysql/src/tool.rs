//! Running one client program to its end: from a command line to how it ended and the last it said.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{CommandSpec, ExitReport, ProcessError, Processes, TerminateReason};
use tokio_util::sync::CancellationToken;

/// How much of a program's standard output is kept: its end.
const KEPT_STDOUT_BYTES: usize = 64 * 1024;
/// How long a cancelled program may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// Where servers lie on systems that keep them off a plain user's `PATH`.
const SERVER_FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"];

/// How a program ended.
#[derive(Debug)]
pub(crate) struct ToolEnd {
    /// Its exit and standard error.
    pub(crate) report: ExitReport,
    /// The last of its standard output, lossily decoded.
    pub(crate) stdout: String,
}

/// Why a program has no end to tell of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// It could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The operator cancelled; the program's whole group is gone.
    #[error("cancelled")]
    Cancelled,
}

/// Runs a program that ends by itself.
pub(crate) async fn run_tool(
    processes: &Arc<dyn Processes>,
    spec: CommandSpec,
    cancel: &CancellationToken,
) -> Result<ToolEnd, ToolError> {
    let program = spec.program.to_string_lossy().into_owned();
    let lost = |error: tokio::task::JoinError| ProcessError::Io {
        program: program.clone(),
        source: std::io::Error::other(error),
    };
    let starter = Arc::clone(processes);
    let mut child = tokio::task::spawn_blocking(move || starter.start(&spec)).await.map_err(lost)??;
    let terminate = child.terminator();
    let stdout = child.take_stdout();
    let mut end = tokio::task::spawn_blocking(move || {
        let stdout = stdout.map(last_of).unwrap_or_default();
        child.wait().map(|report| ToolEnd { report, stdout })
    });
    tokio::select! {
        ended = &mut end => match ended.map_err(lost)?? {
            // Whoever asks for an end may ask the program as well.
            failed if !failed.report.success() && cancel.is_cancelled() => Err(ToolError::Cancelled),
            ended => Ok(ended),
        },
        () = cancel.cancelled() => {
            let ending = tokio::task::spawn_blocking(move || terminate(TerminateReason::Cancelled, GRACE));
            let _ = ending.await;
            let _ = end.await;
            Err(ToolError::Cancelled)
        }
    }
}

/// Reads to the end, because a full pipe would stop the program, and keeps the last of it.
fn last_of(mut stdout: Box<dyn std::io::Read + Send>) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0_u8; 8 * 1024];
    while let Ok(length @ 1..) = stdout.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > 2 * KEPT_STDOUT_BYTES {
            kept.drain(..kept.len() - KEPT_STDOUT_BYTES);
        }
    }
    let from = kept.len().saturating_sub(KEPT_STDOUT_BYTES);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

/// Finds a program on `PATH`, or where servers lie.
pub(crate) fn find_tool(processes: &dyn Processes, program: &str) -> Option<PathBuf> {
    processes.find(program).or_else(|| {
        SERVER_FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
    })
}
