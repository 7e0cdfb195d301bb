//! A program's output → looked at → members → store.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_backup::dump::WriterOptions;
use rekindle_backup::physical::{StreamContents, StreamFormat, StreamWriter, WrittenStream};
use rekindle_engine::host::{
    Body, BodySender, CommandSpec, ExitReport, Key, ObjectStore, PutMode, RunningProcess, TerminateReason,
};
use rekindle_engine::id::StepId;
use rekindle_engine::step::{Progress, Reporter, StepContext, StepError};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use crate::body_sink::BodySink;
use crate::guard::{GRACE, TerminateOnDrop, blocking};
use crate::stall::{Patience, Waiting};

const READ_BYTES: usize = 256 << 10;
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Looks at what a program said of itself and of its stream; what it gives is why neither counts.
pub(super) type Proof = Box<dyn FnOnce(&StreamContents, &ExitReport) -> Result<(), String> + Send>;

/// What is streamed, and where to.
pub(super) struct Wanted<'a> {
    pub(super) spec: CommandSpec,
    /// How long the program may be silent.
    pub(super) patience: Patience<'a>,
    pub(super) format: StreamFormat,
    pub(super) level: Option<u32>,
    pub(super) store: &'a dyn ObjectStore,
    pub(super) key: &'a Key,
    pub(super) proof: Proof,
}

/// Streams a program into the store, and proves that the store has what was sent.
pub(super) async fn store_stream(cx: &StepContext, wanted: Wanted<'_>) -> Result<WrittenStream, StepError> {
    let processes = Arc::clone(&cx.world().processes);
    let Wanted { spec, patience, format, level, store, key, proof } = wanted;
    let process = blocking(move || processes.start(&spec)).await??;
    let guard = TerminateOnDrop::of(process.as_ref());
    let (sender, body) = Body::channel();
    let defaults = WriterOptions::default();
    let parts = Stream {
        process,
        sender,
        format,
        options: WriterOptions { level: level.unwrap_or(defaults.level), ..defaults },
        proof,
        reporter: cx.reporter(),
        step: cx.step().clone(),
        cancel: cx.cancel().clone(),
        waiting: patience.waiting.clone(),
    };
    let streaming = blocking(move || stream(parts));
    let storing = store.put(key, body, PutMode::Replace);
    let both = async { tokio::join!(streaming, storing) };
    let ((streamed, stored), silent) = guard.unless_silent(cx, &patience, both).await;
    let written = match (streamed?, stored, silent) {
        (Ok(written), Ok(_), _) => written,
        (Err(_), _, Some(silent)) => return Err(silent),
        // The store's word explains why nobody took the stream; the stream's explains why the store got no end.
        (Err(Failure::SinkGone) | Ok(_), Err(error), _) => return Err(error.into()),
        (Err(failure), _, None) => return Err(failure.step_error(patience.program)),
    };
    let found = store.head(key).await?.map(|info| info.size_bytes);
    if found != Some(written.object.size_bytes) {
        return Err(StepError::transient(format!(
            "`{key}` has {} bytes in the store instead of {}",
            found.map_or("no".to_owned(), |size| size.to_string()),
            written.object.size_bytes
        )));
    }
    Ok(written)
}

struct Stream {
    process: Box<dyn RunningProcess>,
    sender: BodySender,
    format: StreamFormat,
    options: WriterOptions,
    proof: Proof,
    reporter: Arc<dyn Reporter>,
    step: StepId,
    cancel: CancellationToken,
    /// Notes while the program is waited for.
    waiting: Waiting,
}

/// Streams to the end. On any error the body is left unfinished, so the store keeps nothing, and the program's
/// process group is gone.
fn stream(mut stream: Stream) -> Result<WrittenStream, Failure> {
    let stdout = stream
        .process
        .take_stdout()
        .ok_or_else(|| Failure::Read(io::Error::other("its standard output is taken")))?;
    let stdout = stream.waiting.output(stdout);
    let process = stream.process;
    let terminate = process.terminator();
    let mut writer =
        StreamWriter::new(BodySink(stream.sender), stream.format, stream.options).map_err(Failure::Read)?;
    let copied = copy(stdout, &mut writer, &stream.reporter, &stream.step, &stream.cancel);
    if copied.is_err() {
        let cancelled = stream.cancel.is_cancelled();
        let reason = if cancelled { TerminateReason::Cancelled } else { TerminateReason::Abandoned };
        terminate(reason, GRACE);
    }
    let end = stream.waiting.during(|| process.wait()).map_err(Failure::Process)?;
    if stream.cancel.is_cancelled() {
        return Err(Failure::Cancelled);
    }
    copied.map_err(|failure| failure.with_end(&end))?;
    // The exit code first: a program that failed says why, a stream that breaks off only says that it did.
    if !end.success() {
        return Err(Failure::Exit(end));
    }
    let (sink, written) = writer.finish().map_err(|error| Failure::from(error).with_end(&end))?;
    (stream.proof)(&written.contents, &end).map_err(|why| Failure::NotProven { why, end })?;
    sink.0.blocking_finish().map_err(|_| Failure::SinkGone)?;
    Ok(written)
}

fn copy(
    mut stdout: impl Read,
    writer: &mut StreamWriter<BodySink>,
    reporter: &Arc<dyn Reporter>,
    step: &StepId,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let mut chunk = vec![0; READ_BYTES];
    let (mut bytes, mut shown) = (0, Instant::now());
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
        bytes += length as u64;
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            let note = format!("{} files", writer.files());
            reporter.progress(step, Progress { bytes, total_bytes: None, note });
        }
    }
}
