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
use crate::binlogs::program::{last_of, of_flavour};
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server, quote_identifier, quote_string};

const GRACE: Duration = Duration::from_secs(2);
const WAITING_STATEMENTS: usize = 4;

/// Gives the command that dumps one table; triggers stay behind, since they would act on the old names.
pub(super) fn dump_command(
    program: &str,
    flavour: Flavour,
    login: &Path,
    params: &CopyTableParams,
) -> CommandSpec {
    let mut spec = CommandSpec::new(program).arg(format!("--defaults-file={}", login.display())).args([
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
    if flavour == Flavour::Mysql {
        spec = spec.arg("--set-gtid-purged=OFF");
    }
    spec.arg("--").arg(&params.database).arg(&params.table)
}

/// Finds the client of a flavour.
pub(super) async fn client(cx: &StepContext, flavour: Flavour) -> Result<&'static str, StepError> {
    let names: &[&'static str] = match flavour {
        Flavour::Mariadb => &["mariadb-dump", "mysqldump"],
        Flavour::Mysql => &["mysqldump"],
    };
    let processes = &cx.world().processes;
    Ok(of_flavour(processes, names, flavour, "the tables", cx.cancel()).await?.0)
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

/// Gives the checksum of a table's rows.
pub(super) async fn checksum(server: &mut Server, database: &str, table: &str) -> Result<u64, StepError> {
    let query = format!("CHECKSUM TABLE {} EXTENDED", qualified(database, table));
    let (_, sum): (String, Option<u64>) = server.session.row("tell a table's checksum", &query).await?;
    sum.ok_or_else(|| {
        StepError::permanent(format!("`{}` has no table {database}.{table}", server.session.target()))
            .help("check `database` and `table`")
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
    let wanted = checksum(&mut source, &params.database, &params.table).await?;
    if is_there(&mut target, &params.database, &params.new_name).await? {
        if checksum(&mut target, &params.database, &params.new_name).await? == wanted {
            return outputs(params, &mut target, wanted).await;
        }
        return Err(taken(params));
    }
    let program = client(cx, source.version.flavour).await?;
    let passing = passing_name(params);
    prepare(params, &passing, &mut target).await?;
    load(params, cx, &from, program, source.version.flavour, &passing, &mut target).await?;
    let found = checksum(&mut target, &params.database, &passing).await?;
    if found != wanted || checksum(&mut source, &params.database, &params.table).await? != wanted {
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
    checksum: u64,
) -> Result<CopyTableOutputs, StepError> {
    let query = format!("SELECT COUNT(*) FROM {}", qualified(&params.database, &params.new_name));
    let rows: u64 = target.session.row("count the rows of the copy", &query).await?;
    Ok(CopyTableOutputs { table: format!("{}.{}", params.database, params.new_name), rows, checksum })
}

async fn load(
    params: &CopyTableParams,
    cx: &StepContext,
    from: &Login,
    program: &'static str,
    flavour: Flavour,
    passing: &str,
    target: &mut Server,
) -> Result<(), StepError> {
    let wrong = |error: String| StepError::permanent(error);
    let options = ClientOptions::new(from, flavour).map_err(|error| wrong(error.to_string()))?;
    let processes = Arc::clone(&cx.world().processes);
    let file = processes.private_file(options.text());
    let file = file.map_err(|error| wrong(format!("failed to write the client's login: {error}")))?;
    let spec = dump_command(program, flavour, file.path(), params);
    let mut process = tokio::task::spawn_blocking(move || processes.start(&spec))
        .await
        .map_err(|error| wrong(error.to_string()))??;
    let terminate = process.terminator();
    let Some(stdout) = process.take_stdout() else { return Err(wrong(format!("{program} has no output"))) };
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let splitting = tokio::task::spawn_blocking(move || split(stdout, &sender));
    let sent = send(params, cx, passing, target, &mut statements).await;
    drop(statements);
    if sent.is_err() {
        let ending = tokio::task::spawn_blocking(move || terminate(TerminateReason::Abandoned, GRACE));
        let _ = ending.await;
    }
    let split = splitting.await.map_err(|error| wrong(error.to_string()))?;
    let end = tokio::task::spawn_blocking(move || process.wait())
        .await
        .map_err(|error| wrong(error.to_string()))??;
    drop(file);
    sent?;
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
