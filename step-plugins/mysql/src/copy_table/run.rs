//! Dumps one table, loads it under a name of our own, proves it equal, then gives it its name.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;
use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, Kind, PieceError, PieceKind, Pieces};
use rekindle_engine::host::{CommandSpec, TerminateReason};
use rekindle_engine::step::{Progress, StepContext, StepError};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::rewrite::rewrite;
use super::{CopyTableOutputs, CopyTableParams};
use crate::binlogs::program::last_of;
use crate::checksum::{has_history, without_history};
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server, quote_identifier, quote_string};
use crate::dump::Client;
use crate::flavour::ServerVersion;
use crate::guard::{GRACE, TerminateOnDrop, blocking};
use crate::stall::{Patience, Sessions};

const WAITING_STATEMENTS: usize = 4;
/// How long the client may write nothing.
const STALL_TIMEOUT: Duration = Duration::from_mins(10);

/// Gives the command that dumps one table; triggers stay behind, since they would act on the old names.
pub(super) fn dump_command(original: &Original, login: &Path, params: &CopyTableParams) -> CommandSpec {
    let mut spec =
        CommandSpec::new(original.client.program).arg(format!("--defaults-file={}", login.display())).args([
            "--single-transaction",
            "--skip-opt",
            "--create-options",
            "--extended-insert",
            "--quick",
            "--set-charset",
            "--hex-blob",
            "--no-tablespaces",
            "--skip-triggers",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
        ]);
    if original.client.flavour == Flavour::Mysql {
        spec = spec.arg("--set-gtid-purged=OFF");
    }
    if original.rows == Rows::All {
        spec = spec.arg("--dump-history");
    }
    spec.arg("--").arg(&params.database).arg(&params.table)
}

/// Finds the client of the server that has the table.
pub(super) async fn client(cx: &StepContext, server: &ServerVersion) -> Result<Client, StepError> {
    Ok(Client::find(&cx.world().processes, server.flavour, cx.cancel()).await?)
}

/// Which rows a copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those of now.
    Current,
    /// Also the old ones of a system-versioned table.
    All,
}

/// What is copied, as it is at `from`.
pub(super) struct Original {
    pub(super) client: Client,
    pub(super) rows: Rows,
    pub(super) checksum: String,
}

impl Original {
    pub(super) async fn look(
        params: &CopyTableParams,
        cx: &StepContext,
        source: &mut Server,
        target: &ServerVersion,
    ) -> Result<Self, StepError> {
        let client = client(cx, &source.version).await?;
        let checksum = checksum(source, &params.database, &params.table, Rows::All).await?;
        let history = has_history(&checksum);
        let keeps = history && client.dumps_history(&source.version) && client.dumps_history(target);
        let (rows, checksum) =
            if keeps { (Rows::All, checksum) } else { (Rows::Current, without_history(checksum)) };
        if history && rows == Rows::Current {
            cx.warn(&format!(
                "the history of {}.{} is not copied, only its current rows: {} and both servers must be of MariaDB \
                 10.11 at least for it",
                params.database, params.table, client.program
            ));
        }
        Ok(Self { client, rows, checksum })
    }
}

/// The name a table has until it is proven equal. One of this name is half of an earlier try, and ours to drop.
fn passing_name(params: &CopyTableParams) -> String {
    let digest = hex::encode(Sha256::digest(params.new_name.as_bytes()));
    format!("rekindle_copy_{}", digest.get(..16).unwrap_or_default())
}

fn qualified(database: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(database), quote_identifier(table))
}

/// Tells whether a server has a table or view.
pub(super) async fn is_there(server: &mut Server, database: &str, table: &str) -> Result<bool, StepError> {
    let query = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        quote_string(database),
        quote_string(table)
    );
    Ok(server.session.first::<u64>("look for a table", &query).await?.is_some())
}

/// Tells whether a server has a database.
pub(super) async fn has_database(server: &mut Server, database: &str) -> Result<bool, StepError> {
    let query =
        format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {}", quote_string(database));
    Ok(server.session.first::<u64>("look for a database", &query).await?.is_some())
}

/// Gives the checksum of a table's rows.
pub(super) async fn checksum(
    server: &mut Server,
    database: &str,
    table: &str,
    rows: Rows,
) -> Result<String, StepError> {
    let sum = crate::checksum::checksum(&mut server.session, database, table).await?;
    let sum = sum.ok_or_else(|| {
        StepError::permanent(format!("`{}` has no table {database}.{table}", server.session.target()))
            .help("check `database` and `table`")
    })?;
    Ok(match rows {
        Rows::All => sum,
        Rows::Current => without_history(sum),
    })
}

/// Refuses a name that is taken.
pub(super) fn taken(params: &CopyTableParams) -> StepError {
    let (to, database, name) = (&params.to, &params.database, &params.new_name);
    StepError::permanent(format!("`{to}` has a table {database}.{name} already, and it is not this one"))
        .help("choose another name by `as`; nothing was changed")
}

pub(super) async fn run(params: &CopyTableParams, cx: &StepContext) -> Result<CopyTableOutputs, StepError> {
    let from = Login::of(cx, &params.from).await?;
    let mut source = from.connect().await?;
    let mut target = Login::of(cx, &params.to).await?.connect().await?;
    let original = Original::look(params, cx, &mut source, &target.version).await?;
    let (wanted, rows) = (original.checksum.clone(), original.rows);
    if is_there(&mut target, &params.database, &params.new_name).await? {
        if checksum(&mut target, &params.database, &params.new_name, rows).await? == wanted {
            return outputs(params, &mut target, wanted).await;
        }
        return Err(taken(params));
    }
    let passing = passing_name(params);
    create_database(params, &mut source, &mut target).await?;
    prepare(params, &passing, &mut target).await?;
    load(params, cx, &from, &original, &passing, &mut target).await?;
    let found = checksum(&mut target, &params.database, &passing, rows).await?;
    if found != wanted || checksum(&mut source, &params.database, &params.table, rows).await? != wanted {
        return Err(StepError::permanent(format!(
            "the copy of {}.{} has the checksum {found}, and the table {wanted}",
            params.database, params.table
        ))
        .help("nothing writes to the table at `from` while it is copied? then run the step again"));
    }
    let rename = format!(
        "RENAME TABLE {} TO {}",
        qualified(&params.database, &passing),
        qualified(&params.database, &params.new_name)
    );
    target.session.run("give the copy its name", &rename).await?;
    outputs(params, &mut target, wanted).await
}

/// Creates the database where it was dropped with the table.
async fn create_database(
    params: &CopyTableParams,
    source: &mut Server,
    target: &mut Server,
) -> Result<(), StepError> {
    let query = format!(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata \
         WHERE schema_name = {}",
        quote_string(&params.database)
    );
    let (characters, collation): (String, String) =
        source.session.row("tell how a database is made", &query).await?;
    let create = format!(
        "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {characters} COLLATE {collation}",
        quote_identifier(&params.database)
    );
    Ok(target.session.run(&format!("create the database {}", params.database), &create).await?)
}

async fn prepare(params: &CopyTableParams, passing: &str, target: &mut Server) -> Result<(), StepError> {
    let session = &mut target.session;
    let drop = format!("DROP TABLE IF EXISTS {}", qualified(&params.database, passing));
    session
        .run(
            &format!("use the database {}", params.database),
            &format!("USE {}", quote_identifier(&params.database)),
        )
        .await?;
    session.run("drop what an earlier try has left", &drop).await?;
    let settings =
        "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'";
    Ok(session.run("prepare for the rows", settings).await?)
}

/// The outputs, from what is there.
pub(super) async fn outputs(
    params: &CopyTableParams,
    target: &mut Server,
    checksum: String,
) -> Result<CopyTableOutputs, StepError> {
    let query = format!("SELECT COUNT(*) FROM {}", qualified(&params.database, &params.new_name));
    let rows: u64 = target.session.row("count the rows of the copy", &query).await?;
    Ok(CopyTableOutputs { table: format!("{}.{}", params.database, params.new_name), rows, checksum })
}

async fn load(
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
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let terminate = process.terminator();
    let waiting = patience.waiting.clone();
    let reading = blocking(move || {
        let split = split(stdout, &sender);
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
    let both = async { tokio::join!(reading, sending) };
    let ((read, sent), silent) = guard.unless_silent(cx, &patience, both).await;
    drop(file);
    let (split, end) = read?;
    sent?;
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
fn split(output: impl io::Read, statements: &mpsc::Sender<(Vec<u8>, Kind)>) -> Result<bool, PieceError> {
    let mut pieces = Pieces::new(output, DEFAULT_STATEMENT_LIMIT);
    let mut is_whole = false;
    while let Some(piece) = pieces.next_piece()? {
        match piece.kind {
            PieceKind::Statement => {
                let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the copy has stopped");
                statements.blocking_send((piece.sql.to_vec(), piece.classify())).map_err(gone)?;
                is_whole = false;
            }
            PieceKind::Comment => is_whole = is_whole || piece.raw.starts_with(b"-- Dump completed"),
            PieceKind::Blank | PieceKind::Sandbox | PieceKind::Delimiter => {}
        }
    }
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
