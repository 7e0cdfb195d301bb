//! One object of a store into a folder: fetched, hashed, decompressed, looked at and fed to the program that unpacks.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_backup::dump::HashingReader;
use rekindle_backup::physical::{CheckError, Link, check_stream};
use rekindle_engine::host::{
    BodyReader, ExitReport, ObjectStore, RunningProcess, Stdin, StoreErrorKind, TerminateReason,
};
use rekindle_engine::step::{Progress, StepContext, StepError};
use tokio_util::sync::CancellationToken;

use crate::guard::{GRACE, TerminateOnDrop, blocking};
use crate::physical_tool::{said, unpack};

const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Unpacks one backup into a folder that is there and empty, and proves that everything arrived.
pub(super) async fn run(
    cx: &StepContext,
    store: &Arc<dyn ObjectStore>,
    link: &Link,
    folder: &Path,
) -> Result<(), StepError> {
    let key = link.uri.key(&link.object.name).map_err(|error| StepError::permanent(error.to_string()))?;
    let body = store.get(&key, None).await.map_err(|error| match error.kind {
        StoreErrorKind::Corrupt => damaged(link, &error.why),
        _ => error.into(),
    })?;
    let mut spec = unpack(link.physical.format, folder);
    spec.stdin = Stdin::Piped;
    let program = spec.program.to_string_lossy().into_owned();
    let processes = Arc::clone(&cx.world().processes);
    let process = blocking(move || processes.start(&spec)).await??;
    let guard = TerminateOnDrop::of(process.as_ref());
    let feeding = Feeding {
        process,
        body: body.into_blocking_reader(),
        format: link.physical.format,
        cancel: cx.cancel().clone(),
        progress: progress(cx, link),
    };
    let fed = guard.unless_cancelled(cx, blocking(move || feed(feeding))).await??;
    if cx.cancel().is_cancelled() {
        return Err(StepError::cancelled());
    }
    judge(link, &program, folder, fed)
}

type Shown = Box<dyn FnMut(u64) + Send>;

fn progress(cx: &StepContext, link: &Link) -> Shown {
    let (reporter, step) = (cx.reporter(), cx.step().clone());
    let (total, note) = (link.object.size_bytes, format!("unpacking {}", link.uri.id));
    let mut shown = Instant::now();
    Box::new(move |bytes| {
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            reporter.progress(&step, Progress { bytes, total_bytes: Some(total), note: note.clone() });
        }
    })
}

struct Feeding {
    process: Box<dyn RunningProcess>,
    body: BodyReader,
    format: rekindle_backup::physical::StreamFormat,
    cancel: CancellationToken,
    progress: Shown,
}

/// What came of it.
struct Fed {
    /// sha256 of the object; nothing when the stream was not read to its end.
    sha256: Result<String, CheckError>,
    /// How many files were in it.
    files: u64,
    end: ExitReport,
}

/// Feeds the program (blocking), and waits for it.
fn feed(feeding: Feeding) -> Result<Fed, StepError> {
    let Feeding { mut process, body, format, cancel, mut progress } = feeding;
    let Some(mut stdin) = process.take_stdin() else {
        return Err(StepError::permanent("the program that unpacks has no input"));
    };
    let terminate = process.terminator();
    let mut object = HashingReader::new(Watched { body, cancel });
    let mut fed = 0;
    let checked = check_stream(&mut object, format, |part| {
        fed += part.len() as u64;
        progress(fed);
        stdin.write_all(part)
    });
    if checked.is_err() {
        // Before its input ends: it must not take a part for the whole.
        terminate(TerminateReason::Abandoned, GRACE);
    }
    drop(stdin);
    let end = process.wait()?;
    let (files, sha256) = match checked {
        Ok(contents) => (
            contents.files,
            io::copy(&mut object, &mut io::sink()).map(|_| object.finish()).map_err(CheckError::from),
        ),
        Err(error) => (0, Err(error)),
    };
    Ok(Fed { sha256, files, end })
}

struct Watched {
    body: BodyReader,
    cancel: CancellationToken,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.body.read(into)
    }
}

fn judge(link: &Link, program: &str, folder: &Path, fed: Fed) -> Result<(), StepError> {
    let name = &link.object.name;
    match fed.sha256 {
        // The program went away: it says why.
        Err(CheckError::Read(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(CheckError::Stream(error)) => return Err(damaged(link, &error.to_string())),
        Err(CheckError::Read(error)) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(link, &error.to_string()));
        }
        Err(CheckError::Read(error)) => {
            return Err(StepError::transient(format!("failed to read `{name}` of {}: {error}", link.uri)));
        }
        Ok(sha256) if sha256 != link.object.sha256 => {
            return Err(damaged(link, &format!("its sha256 is {sha256} instead of {}", link.object.sha256)));
        }
        Ok(_) => {}
    }
    if !fed.end.success() {
        return Err(stopped(program, folder, &fed.end));
    }
    if fed.files != link.physical.files {
        return Err(damaged(link, &format!("it has {} files instead of {}", fed.files, link.physical.files)));
    }
    Ok(())
}

fn stopped(program: &str, folder: &Path, end: &ExitReport) -> StepError {
    let text =
        format!("{program} failed in {} with {}{}", folder.display(), end.describe(), said(&end.stderr));
    // mbstream words it by number: 28 is ENOSPC, 122 EDQUOT.
    let full = ["No space left", "Errcode: 28", "errno: 28", "Disk quota", "Errcode: 122"];
    if full.iter().any(|words| end.stderr.contains(words))
        || free_bytes(folder).is_some_and(|free| free < 1 << 20)
    {
        return StepError::permanent(text).help(format!(
            "free space on the disk of {}, then resume the run: it begins to unpack anew",
            folder.display()
        ));
    }
    StepError::permanent(text)
}

fn damaged(link: &Link, why: &str) -> StepError {
    StepError::permanent(format!("`{}` of {} is damaged: {why}", link.object.name, link.uri))
        .help("`rekindle run verify` tells which objects are damaged; restore another backup or its copy")
}

/// How much may still be written where a folder lies.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Makes all that was written to the disk of a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), StepError> {
    let synced = fs::File::open(folder).and_then(|file| rustix::fs::syncfs(&file).map_err(io::Error::from));
    synced.map_err(|error| {
        StepError::permanent(format!("failed to make {} durable: {error}", folder.display()))
    })
}
