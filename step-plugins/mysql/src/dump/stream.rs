//! The client's output → members → store, on a thread that may block.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rekindle_backup::dump::{DumpWriter, RowText, WriterOptions, WrittenDump};
use rekindle_engine::host::{BodySender, Clock, ExitReport, RunningProcess, TerminateReason};
use rekindle_engine::id::StepId;
use rekindle_engine::step::{Progress, Reporter};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::accounts::Accounts;
use super::failure::Failure;
use super::unchanged::TableName;
use crate::body_sink::BodySink;
use crate::exact_rows::ExactRows;
use crate::guard::GRACE;
use crate::stall::Waiting;

const READ_BYTES: usize = 256 << 10;
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What the thread needs.
pub(super) struct Stream {
    pub(super) process: Box<dyn RunningProcess>,
    pub(super) sender: BodySender,
    pub(super) options: WriterOptions,
    pub(super) accounts: Accounts,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) step: StepId,
    pub(super) cancel: CancellationToken,
    /// Notes while the client is waited for.
    pub(super) waiting: Waiting,
    /// Told once the dump's snapshot is known to be open.
    pub(super) is_open: oneshot::Sender<()>,
    /// Told each table that the client has read to its end.
    pub(super) read: mpsc::Sender<TableName>,
    /// Asked for rows whose digits the client leaves out.
    pub(super) exact_rows: ExactRows,
}

/// A dump whose client ended well and whose trailer was seen; its body has been finished.
pub(super) struct Streamed {
    pub(super) dump: WrittenDump,
    /// When the snapshot was known to be open.
    pub(super) snapshot_at: Timestamp,
}

/// Streams to the end. On any error the body is left unfinished, so the store keeps nothing, and the client's
/// process group is gone.
pub(super) fn stream(mut stream: Stream) -> Result<Streamed, Failure> {
    let stdout = stream
        .process
        .take_stdout()
        .ok_or_else(|| Failure::Read(io::Error::other("its standard output is taken")))?;
    let stdout = stream.waiting.output(stdout);
    let process = stream.process;
    let terminate = process.terminator();
    let opened = Arc::new(Opened {
        clock: stream.clock,
        at: OnceLock::new(),
        is_open: Mutex::new(Some(stream.is_open)),
    });
    let rows = Rows { exact: stream.exact_rows, opened: Arc::clone(&opened) };
    let mut writer = DumpWriter::new(BodySink(stream.sender), stream.options)
        .map_err(|error| Failure::Text { error: error.into(), end: None })?
        .with_row_text(Box::new(rows));
    let mut follow = Follow {
        opened,
        reporter: stream.reporter,
        step: stream.step,
        read: stream.read,
        bytes: 0,
        shown: Instant::now(),
    };
    let copied = writer
        .write(stream.accounts.before.as_bytes())
        .map_err(Failure::from)
        .and_then(|()| copy(stdout, &mut writer, &mut follow, &stream.cancel));
    if copied.is_err() {
        let reason = if stream.cancel.is_cancelled() {
            TerminateReason::Cancelled
        } else {
            TerminateReason::Abandoned
        };
        terminate(reason, GRACE);
    }
    let end = stream.waiting.during(|| process.wait()).map_err(Failure::Process)?;
    if stream.cancel.is_cancelled() {
        return Err(Failure::Cancelled);
    }
    copied.map_err(|failure| with_end(failure, &end))?;
    // The exit code first: a client that failed says why, a missing trailer only says that it did.
    if !end.success() {
        return Err(Failure::Exit(end));
    }
    let whole = |error| with_end(Failure::from(error), &end);
    writer.end_part().map_err(whole)?;
    follow.tell_read(&mut writer);
    let snapshot_at = follow.opened.at();
    writer.write(stream.accounts.after.as_bytes()).map_err(whole)?;
    let (sink, dump) = writer.finish().map_err(whole)?;
    sink.0.blocking_finish().map_err(|_| Failure::SinkGone)?;
    Ok(Streamed { dump, snapshot_at })
}

fn with_end(failure: Failure, end: &ExitReport) -> Failure {
    match failure {
        Failure::Text { error, .. } => Failure::Text { error, end: Some(end.clone()) },
        other => other,
    }
}

/// When the dump's snapshot was known to be open.
struct Opened {
    clock: Arc<dyn Clock>,
    at: OnceLock<Timestamp>,
    is_open: Mutex<Option<oneshot::Sender<()>>>,
}

impl Opened {
    /// Notes that it is, and gives since when that was known.
    fn at(&self) -> Timestamp {
        let at = *self.at.get_or_init(|| self.clock.now());
        if let Some(is_open) = self.is_open.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody waits for it when nothing is read in it.
            let _ = is_open.send(());
        }
        at
    }
}

/// Rows of the same snapshot, read a second time.
struct Rows {
    exact: ExactRows,
    opened: Arc<Opened>,
}

impl RowText for Rows {
    fn instead(&mut self, database: &str, table: &str, rows: u64) -> io::Result<Option<Vec<Vec<u8>>>> {
        // Only then are they read; and this may be in the midst of the first chunk.
        self.opened.at();
        self.exact.instead(database, table, rows)
    }

    fn over(&mut self) -> io::Result<()> {
        self.exact.over()
    }
}

struct Follow {
    opened: Arc<Opened>,
    reporter: Arc<dyn Reporter>,
    step: StepId,
    read: mpsc::Sender<TableName>,
    bytes: u64,
    shown: Instant,
}

impl Follow {
    fn tell_read(&self, writer: &mut DumpWriter<BodySink>) {
        for table in writer.take_left() {
            // Whoever has stopped listening says why.
            let _ = self.read.blocking_send(table);
        }
    }
}

fn copy(
    mut stdout: impl Read,
    writer: &mut DumpWriter<BodySink>,
    follow: &mut Follow,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let length = match stdout.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Read(error)),
        };
        if cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        writer.write(&chunk[..length])?;
        follow.bytes += length as u64;
        follow.tell_read(writer);
        let contents = writer.contents();
        // The header is written before the transaction begins; the first database is written in it.
        if contents.database.is_some() {
            follow.opened.at();
        }
        if follow.shown.elapsed() >= PROGRESS_EVERY {
            follow.shown = Instant::now();
            let note = match (&contents.database, &contents.table) {
                (Some(database), Some(table)) => format!("table {database}.{table}"),
                (Some(database), None) => format!("database {database}"),
                (None, _) => String::new(),
            };
            follow.reporter.progress(&follow.step, Progress { bytes: follow.bytes, total_bytes: None, note });
        }
    }
}
