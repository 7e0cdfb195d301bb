//! One table's rows: client → statements → the other server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::dump::RowText as _;
use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, Kind, PieceError, PieceKind, Pieces};
use rekindle_engine::host::TerminateReason;
use rekindle_engine::step::{Progress, StepContext, StepError};
use tokio::sync::mpsc;

use super::CopyTableParams;
use super::rewrite::rewrite;
use super::run::{Original, Rows, dump_command};
use crate::binlogs::program::last_of;
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server};
use crate::dump::open_snapshot;
use crate::exact_rows::{ExactRows, FloatTable, FloatTables, Until, asking, serve};
use crate::guard::{GRACE, TerminateOnDrop, blocking};
use crate::stall::{Patience, Sessions};

const WAITING_STATEMENTS: usize = 4;
/// How long the client may write nothing.
const STALL_TIMEOUT: Duration = Duration::from_mins(10);

/// Runs the client at `from`, and sends what it writes to `to`, under a passing name.
///
/// # Errors
/// When the client, either server or the operator ends it.
pub(super) async fn load(
    params: &CopyTableParams,
    cx: &StepContext,
    from: &Login,
    original: &Original,
    passing: &str,
    target: &mut Server,
) -> Result<(), StepError> {
    let wrong = |error: String| StepError::permanent(error);
    let options =
        ClientOptions::new(from, original.client.flavour).map_err(|error| wrong(error.to_string()))?;
    let processes = Arc::clone(&cx.world().processes);
    let file = processes.private_file(options.text());
    let file = file.map_err(|error| wrong(format!("failed to write the client's login: {error}")))?;
    let program = original.client.program;
    let spec = dump_command(original, file.path(), params);
    let patience = Patience::of(program, STALL_TIMEOUT, Some(Sessions::from_now(from).await?));
    let mut process = blocking(move || processes.start(&spec)).await??;
    let guard = TerminateOnDrop::of(process.as_ref());
    let Some(stdout) = process.take_stdout() else { return Err(wrong(format!("{program} has no output"))) };
    let stdout = patience.waiting.output(stdout);
    let (mut session, keeps_history) = (open_snapshot(from).await?, original.rows == Rows::All);
    let floats = FloatTable::one(&mut session, &params.database, &params.table, keeps_history)
        .await?
        .into_iter()
        .collect();
    let (mut exact_rows, asked) = asking(FloatTables::clone(&floats), patience.waiting.clone());
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let database = params.database.clone();
    let terminate = process.terminator();
    let waiting = patience.waiting.clone();
    let reading = blocking(move || {
        let split = split(stdout, &database, &mut exact_rows, &sender);
        if split.is_err() {
            terminate(TerminateReason::Abandoned, GRACE);
        }
        (split, waiting.during(|| process.wait()))
    });
    let sending = async {
        let sent = send(params, cx, passing, target, &mut statements).await;
        // Ends the reader, which otherwise waits for somebody to take its statements.
        drop(statements);
        sent
    };
    let until = Until { cancel: cx.cancel(), waiting: patience.waiting.clone(), limit: STALL_TIMEOUT };
    let serving = Box::pin(serve(Some(session), &floats, asked, until));
    let all = async { tokio::join!(reading, sending, serving) };
    let ((read, sent, served), silent) = guard.unless_silent(cx, &patience, all).await;
    drop(file);
    let (split, end) = read?;
    sent?;
    served?;
    if let Some(silent) = silent {
        return Err(silent);
    }
    let end = end?;
    if !end.success() {
        return Err(wrong(format!("{program} failed with {}: {}", end.describe(), last_of(&end.stderr))));
    }
    match split {
        Ok(true) => Ok(()),
        Ok(false) => Err(wrong(format!("{program} gave no whole dump: its trailer is missing"))),
        Err(error) => Err(wrong(format!("{program} gave no sound dump: {error}"))),
    }
}

/// Splits a dump; tells whether its trailer was seen.
fn split(
    output: impl io::Read,
    database: &str,
    exact_rows: &mut ExactRows,
    statements: &mpsc::Sender<(Vec<u8>, Kind)>,
) -> Result<bool, PieceError> {
    let mut pieces = Pieces::new(output, DEFAULT_STATEMENT_LIMIT);
    let mut is_whole = false;
    while let Some(piece) = pieces.next_piece()? {
        match piece.kind {
            PieceKind::Statement => {
                let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the copy has stopped");
                let kind = piece.classify();
                let exact = match &kind {
                    Kind::Insert { table, rows } => exact_rows.instead(database, &table.name, *rows)?,
                    _ => None,
                };
                for sql in exact.unwrap_or_else(|| vec![piece.sql.to_vec()]) {
                    statements.blocking_send((sql, kind.clone())).map_err(gone)?;
                }
                is_whole = false;
            }
            PieceKind::Comment => is_whole = is_whole || piece.raw.starts_with(b"-- Dump completed"),
            PieceKind::Blank | PieceKind::Sandbox | PieceKind::Delimiter => {}
        }
    }
    exact_rows.over()?;
    Ok(is_whole)
}

async fn send(
    params: &CopyTableParams,
    cx: &StepContext,
    passing: &str,
    target: &mut Server,
    statements: &mut mpsc::Receiver<(Vec<u8>, Kind)>,
) -> Result<(), StepError> {
    let mut bytes = 0;
    loop {
        let next = tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            next = statements.recv() => next,
        };
        let Some((sql, kind)) = next else { return Ok(()) };
        bytes += sql.len() as u64;
        let rewritten = rewrite(&sql, &kind, &params.table, passing)
            .map_err(|why| StepError::permanent(format!("the dump of {} has {why}", params.table)))?;
        let Some(statement) = rewritten else { continue };
        let what = format!("load {}.{}", params.database, params.new_name);
        let sent = target.session.conn.query_drop(&statement[..]).await;
        sent.map_err(|error| target.session.error(&what, &error))?;
        cx.progress(Progress { bytes, total_bytes: None, note: what });
    }
}
