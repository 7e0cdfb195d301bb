//! Which tables a restore has loaded: kept beside the marker, so that a restore that was stopped goes on after them.

use std::collections::BTreeSet;

use rekindle_backup::inventory::MARKER_DATABASE;

use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// `database`, `table`.
pub(super) type TableName = (String, String);

/// Makes the place for it, empty.
pub(super) async fn forget(server: &mut Server) -> Result<(), ServerError> {
    let what = "keep what is loaded";
    let drop = format!("DROP TABLE IF EXISTS {MARKER_DATABASE}.loaded");
    server.session.run(what, &drop).await?;
    // Names are bytes here: no collation makes two of them one.
    let create = format!(
        "CREATE TABLE {MARKER_DATABASE}.loaded (database_name VARBINARY(256), table_name VARBINARY(256), \
         PRIMARY KEY (database_name, table_name)) ENGINE=InnoDB"
    );
    server.session.run(what, &create).await
}

/// Keeps that a table is whole: its rows, its indexes, its triggers.
pub(super) async fn note(server: &mut Server, (database, table): &TableName) -> Result<(), ServerError> {
    let (database, table) = (quote_string(database), quote_string(table));
    let insert = format!("REPLACE INTO {MARKER_DATABASE}.loaded VALUES ({database}, {table})");
    server.session.run("keep what is loaded", &insert).await
}

/// Gives what is loaded.
pub(super) async fn read(server: &mut Server) -> Result<BTreeSet<TableName>, ServerError> {
    let query = format!("SELECT database_name, table_name FROM {MARKER_DATABASE}.loaded");
    let rows: Vec<(Vec<u8>, Vec<u8>)> = server.session.rows("tell what is loaded", &query).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(rows.into_iter().map(|(database, table)| (text(database), text(table))).collect())
}
