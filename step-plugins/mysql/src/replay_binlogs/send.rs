//! Statements → server: one session, in the order of the logs, each one's answer looked at.

use std::io::{self, Read};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, PieceError, PieceKind, Pieces};
use rekindle_engine::step::{Progress, StepContext, StepError};
use tokio::sync::mpsc;

use crate::connection::Server;
use crate::xa;

/// How many statements may wait for the server.
pub(super) const WAITING_STATEMENTS: usize = 4;

/// One statement to send.
pub(super) struct Statement {
    sql: Vec<u8>,
    line: u64,
}

/// Splits what the program writes, on a thread that may block.
///
/// # Errors
/// When it can't be read or split, and `BrokenPipe` when nobody takes the statements.
pub(super) fn split(output: impl Read, statements: &mpsc::Sender<Statement>) -> Result<(), PieceError> {
    let mut pieces = Pieces::new(output, 2 * DEFAULT_STATEMENT_LIMIT);
    while let Some(piece) = pieces.next_piece()? {
        if piece.kind == PieceKind::Statement {
            let statement = Statement { sql: piece.sql.to_vec(), line: piece.line };
            let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the replay has stopped");
            statements.blocking_send(statement).map_err(gone)?;
        }
    }
    Ok(())
}

/// Sends statements until there are no more. Gives how many.
///
/// # Errors
/// At the first one that the server refuses: nothing after it is sent.
pub(super) async fn send_all(
    cx: &StepContext,
    server: &mut Server,
    statements: &mut mpsc::Receiver<Statement>,
) -> Result<u64, StepError> {
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let (mut count, mut bytes) = (0, 0);
    loop {
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            _ = tick.tick() => cx.progress(Progress {
                bytes,
                total_bytes: None,
                note: format!("{count} statements replayed"),
            }),
            statement = statements.recv() => {
                let Some(statement) = statement else { return Ok(count) };
                tokio::select! {
                    sent = send(server, &statement) => sent?,
                    () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
                }
                count += 1;
                bytes += statement.sql.len() as u64;
            }
        }
    }
}

async fn send(server: &mut Server, statement: &Statement) -> Result<(), StepError> {
    match server.session.conn.query_drop(&statement.sql[..]).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let what = format!(
                "replay the statement at line {} of the logs' text ({})",
                statement.line,
                statement.head()
            );
            let error = server.session.error(&what, &error);
            let is_passing = error.is_passing();
            let is_undecided = error.server_code() == Some(xa::UNKNOWN);
            let error = StepError::from(error);
            Err(if is_undecided {
                error.help(
                    "the transaction was prepared (XA) before the backup was made, so the backup lacks what it changed; \
                     begin from a backup that is older than its `XA PREPARE`, or from a physical one; the server is still \
                     fenced (read-only)",
                )
            } else if is_passing || error.help.is_some() {
                error
            } else {
                error.help(
                    "the transaction it is part of was rolled back, and those before it are there; the server is \
                     still fenced (read-only)",
                )
            })
        }
    }
}

/// What statements that may hold a password begin with.
const SECRETIVE: [&str; 6] =
    ["GRANT", "CREATE USER", "ALTER USER", "SET PASSWORD", "CHANGE ", "CREATE SERVER"];

impl Statement {
    /// Gives its first words, for messages.
    fn head(&self) -> String {
        let text = String::from_utf8_lossy(self.sql.get(..60).unwrap_or(&self.sql)).replace('\n', " ");
        let upper = text.to_ascii_uppercase();
        match SECRETIVE.iter().find(|words| upper.starts_with(**words)) {
            Some(words) => format!("{words} …"),
            None => text,
        }
    }
}
