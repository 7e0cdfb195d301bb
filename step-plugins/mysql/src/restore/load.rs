//! A dump that can't be read in parts → server: one session, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rekindle_backup::manifest::{Flavour, ObjectEntry};
use rekindle_backup::sql::PieceError;
use rekindle_engine::host::Body;
use rekindle_engine::step::{ErrorClass, Progress, StepContext, StepError};
use tokio::sync::mpsc;

use super::BinlogUse;
use super::reader::{self, Statement, WAITING_STATEMENTS, WasRead};
use super::send::StatementSender;
use crate::connection::Server;

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) statements: u64,
    pub(super) text_bytes: u64,
}

/// Sends a whole dump object and proves that what was read is what was backed up.
///
/// # Errors
/// At the first statement that the server refuses, and when the object is not the one of the manifest.
pub(super) async fn load(
    cx: &StepContext,
    server: &mut Server,
    object: &ObjectEntry,
    body: Body,
) -> Result<Loaded, StepError> {
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let read_bytes = Arc::new(AtomicU64::new(0));
    let reading = {
        let read_bytes = Arc::clone(&read_bytes);
        let reader = body.into_blocking_reader();
        tokio::task::spawn_blocking(move || reader::read(reader, read_bytes, &sender))
    };
    let mut sending = StatementSender::new(server).await?;
    let sent = send_all(cx, &mut sending, &mut statements, &read_bytes, object.size_bytes).await;
    let is_refused = sent.as_ref().is_err_and(|error| error.class == ErrorClass::Permanent);
    let is_read_on = is_refused && read_on(cx, &mut statements).await;
    // Ends the reader, which otherwise waits for somebody to take its statements.
    drop(statements);
    let read = reading.await.map_err(|error| StepError::permanent(format!("the reader ended: {error}")))?;
    let read = read
        .map_err(|error| unreadable(object, &error, &read_bytes))
        .and_then(|read| check(object, &read).map(|()| read));
    match (sent, read) {
        (Ok(()), read) => Ok(Loaded { statements: sending.count(), text_bytes: read?.text_bytes }),
        (Err(refused), Err(damage)) if is_read_on && damage.class == ErrorClass::Permanent => {
            let message = format!("{}; {}", damage.message, refused.message);
            Err(StepError { message, ..damage })
        }
        // That the reader was then left alone is not the cause.
        (Err(error), _) => Err(error),
    }
}

/// Reads to the end after a refusal: the cause may be damage, which only the checksum of all of it tells.
async fn read_on(cx: &StepContext, statements: &mut mpsc::Receiver<Statement>) -> bool {
    loop {
        tokio::select! {
            () = cx.cancel().cancelled() => return false,
            statement = statements.recv() => if statement.is_none() { return true },
        }
    }
}

async fn send_all(
    cx: &StepContext,
    sending: &mut StatementSender<'_>,
    statements: &mut mpsc::Receiver<Statement>,
    read_bytes: &AtomicU64,
    size_bytes: u64,
) -> Result<(), StepError> {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            _ = tick.tick() => cx.progress(Progress {
                bytes: read_bytes.load(Ordering::Relaxed),
                total_bytes: Some(size_bytes),
                note: sending.place(),
            }),
            statement = statements.recv() => match statement {
                // A statement may take long: the operator's word is heard meanwhile. The session is then of no
                // further use, and the server ends it after the statement.
                Some(statement) => tokio::select! {
                    sent = sending.send(cx, statement.outgoing()) => sent?,
                    () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
                },
                None => return sending.create_views(cx).await,
            },
        }
    }
}

/// Prepares a session for a dump: dumps of ours set the same themselves, foreign ones may not.
pub(super) async fn prepare(server: &mut Server, binlog: BinlogUse) -> Result<(), StepError> {
    let session = &mut server.session;
    if binlog == BinlogUse::Off {
        session.run("keep the restore out of its binary log", "SET SESSION sql_log_bin = 0").await?;
    }
    let settings =
        "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'";
    session.run("prepare for the dump", settings).await?;
    if server.version.is_at_least(Flavour::Mariadb, (10, 11, 0)) {
        // Dumps with the old rows of a table set this before them; several sessions load them.
        let history = "SET SESSION system_versioning_insert_history = 1";
        server.session.run("prepare for old rows", history).await?;
    }
    Ok(())
}

fn unreadable(object: &ObjectEntry, error: &PieceError, read_bytes: &AtomicU64) -> StepError {
    let name = &object.name;
    // The end comes too early also when damage makes the text seem longer: reading again can't help then.
    let is_cut = read_bytes.load(Ordering::Relaxed) < object.size_bytes;
    match error {
        PieceError::Read(error) if is_cut && error.kind() == std::io::ErrorKind::UnexpectedEof => {
            StepError::transient(format!("`{name}` ended too early: {error}"))
        }
        PieceError::Read(error) => StepError::permanent(format!("`{name}` can't be read: {error}")).help(
            "`rekindle run verify` tells which objects are damaged; restore another backup or its copy",
        ),
        PieceError::Lex(error) => StepError::permanent(format!("`{name}` is no sound dump: {error}")),
    }
}

/// Compares what was read with what the manifest says was written.
fn check(object: &ObjectEntry, read: &WasRead) -> Result<(), StepError> {
    let name = &object.name;
    let wrong = if read.size_bytes != object.size_bytes {
        format!("it has {} bytes, and the manifest says {}", read.size_bytes, object.size_bytes)
    } else if read.sha256 != object.sha256 {
        format!("its sha256 is {}, and the manifest says {}", read.sha256, object.sha256)
    } else if !read.trailer {
        "its trailer `-- Dump completed` is missing".to_owned()
    } else {
        return Ok(());
    };
    Err(StepError::permanent(format!("`{name}` is damaged: {wrong}"))
        .help("the server stays fenced (read-only); restore another backup or a copy of this one"))
}
