//! Dumps one table, loads it under a name of our own, proves it equal, then gives it its name.

use std::path::Path;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::CommandSpec;
use rekindle_engine::step::{StepContext, StepError};
use sha2::{Digest as _, Sha256};

use super::load::load;
use super::{CopyTableOutputs, CopyTableParams};
use crate::checksum::{has_history, without_history};
use crate::connection::{Login, Server, quote_identifier, quote_string};
use crate::dump::Client;
use crate::flavour::ServerVersion;

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
