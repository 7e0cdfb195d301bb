//! Statements → server, in one session, each one's answer looked at.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_engine::step::{Progress, StepContext, StepError};

use super::params::check;
use super::{SqlOutputs, SqlParams};
use crate::connection::{Server, Session, quote_identifier};
use crate::error::ServerError;

/// How many warnings of the server are told for a statement.
const TOLD_WARNINGS: usize = 5;
/// How long a server may take to undo a statement.
const UNDOING_AT_MOST: Duration = Duration::from_secs(30);
/// How much of a statement a message shows.
const SHOWN_CHARS: usize = 60;

/// Tells whether it is done, as far as the runbook says how to know: nothing, or how the answer differs.
pub(super) async fn not_done(params: &SqlParams, cx: &StepContext) -> Result<Option<String>, StepError> {
    let Some(done) = &params.done else { return Ok(None) };
    // A session of its own: it can only read from then on.
    let mut session = Server::open(cx, &params.target).await?.session;
    if let Some(database) = &params.database
        && let Err(error) = use_database(&mut session, database).await
    {
        return if error.server_code().is_some() { Ok(Some(error.to_string())) } else { Err(error.into()) };
    }
    let difference = done.difference(&mut session).await?;
    session.close().await;
    Ok(difference)
}

async fn use_database(session: &mut Session, database: &str) -> Result<(), ServerError> {
    session.run(&format!("use the database {database}"), &format!("USE {}", quote_identifier(database))).await
}

pub(super) async fn run(params: &SqlParams, cx: &StepContext) -> Result<SqlOutputs, StepError> {
    check(&params.statements.iter().map(String::as_str).collect::<Vec<_>>())?;
    if params.done.is_some() && not_done(params, cx).await?.is_none() {
        cx.log("`done` holds already: nothing was run");
        return Ok(SqlOutputs::default());
    }
    let mut session = Server::open(cx, &params.target).await?.session;
    if let Some(database) = &params.database {
        use_database(&mut session, database).await?;
    }
    if params.transaction {
        session.run("begin a transaction", "START TRANSACTION").await?;
    }
    let mut outputs = SqlOutputs::default();
    for statement in &params.statements {
        let note = format!("statement {} of {}", outputs.statements + 1, params.statements.len());
        cx.progress(Progress { bytes: 0, total_bytes: None, note: note.clone() });
        let sent = send_unless_cancelled(params, cx, &mut session, statement).await?;
        let affected = sent.map_err(|error| refused(params, &note, statement, &session, &error))?;
        tell_warnings(&mut session, &note, cx).await?;
        outputs.statements += 1;
        outputs.affected_rows += affected;
    }
    if params.transaction {
        session.run("commit the transaction", "COMMIT").await?;
    }
    session.close().await;
    match not_done(params, cx).await? {
        None => Ok(outputs),
        Some(difference) => {
            Err(StepError::permanent(format!("the statements ran, and it is not `done`: {difference}"))
                .help("correct the statements, or what `done` expects"))
        }
    }
}

/// Sends a text. When the operator cancels, the server is told to end it, and is waited for: it was undone, or it was through
/// and is there.
async fn send_unless_cancelled(
    params: &SqlParams,
    cx: &StepContext,
    session: &mut Session,
    statement: &str,
) -> Result<Result<u64, mysql_async::Error>, StepError> {
    let id = session.conn.id();
    let sending = send(session, statement);
    tokio::pin!(sending);
    tokio::select! {
        sent = &mut sending => Ok(sent),
        () = cx.cancel().cancelled() => {
            end_statement(params, cx, id).await?;
            let _ = tokio::time::timeout(UNDOING_AT_MOST, sending).await;
            Err(StepError::cancelled())
        }
    }
}

/// Ends what a session runs, by another one: a server goes on with a statement whose sender is gone.
async fn end_statement(params: &SqlParams, cx: &StepContext, session: u32) -> Result<(), StepError> {
    let mut other = Server::open(cx, &params.target).await?.session;
    other.run("end the statement", &format!("KILL QUERY {session}")).await?;
    other.close().await;
    Ok(())
}

/// Sends a text, which may have several statements. Gives how many rows they changed.
async fn send(session: &mut Session, statement: &str) -> Result<u64, mysql_async::Error> {
    let mut result = session.conn.query_iter(statement).await?;
    let mut affected = 0;
    loop {
        if result.columns_ref().is_empty() {
            affected += result.affected_rows();
        }
        if result.is_empty() {
            return Ok(affected);
        }
        while result.next().await?.is_some() {}
    }
}

fn refused(
    params: &SqlParams,
    note: &str,
    statement: &str,
    session: &Session,
    error: &mysql_async::Error,
) -> StepError {
    let error = session.error(&format!("run {note} (`{}`)", shown(statement)), error);
    let is_helped = matches!(error, ServerError::AccessDenied { .. });
    let error = StepError::from(error);
    if is_helped || error.help.is_some() {
        return error;
    }
    error.help(if params.transaction {
        "the transaction was rolled back; what commits by itself, as CREATE and ALTER do, is there"
    } else {
        "those before it have been run; `transaction: true` makes it all or none"
    })
}

fn shown(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN_CHARS {
        return line;
    }
    format!("{}…", line.chars().take(SHOWN_CHARS).collect::<String>())
}

/// What a server does all the same, and says that it changed: a value that was cut, a table that was there.
async fn tell_warnings(session: &mut Session, note: &str, cx: &StepContext) -> Result<(), StepError> {
    let count = usize::from(session.conn.get_warnings());
    if count == 0 {
        return Ok(());
    }
    let query = format!("SHOW WARNINGS LIMIT {TOLD_WARNINGS}");
    let told: Vec<(String, u16, String)> = session.rows("tell its warnings", &query).await?;
    let told: Vec<String> = told
        .into_iter()
        .map(|(level, code, text)| format!("{} {code}: {text}", level.to_lowercase()))
        .collect();
    let more = count.saturating_sub(told.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    cx.warn(&format!("{note}: {}{more}", told.join("; ")));
    Ok(())
}
