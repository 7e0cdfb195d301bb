//! What a live server holds: from an open session to an [`Inventory`] with every row counted.

use std::collections::BTreeSet;

use rekindle_backup::inventory::{
    Database, Difference, Inventory, SYSTEM_DATABASES, Table, Trigger, is_of_restore,
};
use rekindle_backup::manifest::Manifest;

use crate::connection::{Session, quote_identifier};
use crate::error::ServerError;

pub use rekindle_backup::inventory::MARKER_DATABASE;

/// Lists how a server differs from what a backup says. What was made during a physical one may be in it or not.
pub(crate) fn differences(manifest: &Manifest, found: &Inventory) -> Vec<Difference> {
    let mut differences = manifest.inventory.compare(found);
    if manifest.physical.as_ref().is_some_and(|physical| !physical.inventory_is_whole) {
        differences.retain(|difference| !matches!(difference, Difference::Extra(_)));
    }
    differences
}

/// Reads everything countable outside the system databases and [`MARKER_DATABASE`].
///
/// Rows of InnoDB tables are counted in one consistent snapshot, hence by one session, one table after the
/// other; rows of other engines as they are when their turn comes. Ends the session's transaction.
///
/// # Errors
/// When the server refuses a query, for one when a table's definition changes meanwhile.
pub async fn read(session: &mut Session) -> Result<Inventory, ServerError> {
    read_of(session, |_, _| true).await
}

/// As [`read`], of some databases and tables only: `is_wanted` gets a database, and each table in it.
///
/// # Errors
/// As [`read`].
pub async fn read_of(
    session: &mut Session,
    is_wanted: impl Fn(&str, Option<&str>) -> bool,
) -> Result<Inventory, ServerError> {
    let mut inventory = read_names(session).await?;
    inventory.databases.retain(|database, held| {
        held.tables.retain(|table, _| is_wanted(database, Some(table)));
        is_wanted(database, None)
    });
    session.run("open a snapshot", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    session.run("open a snapshot", "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let counted = count_rows(session, &mut inventory).await;
    let closed = session.run("close a snapshot", "ROLLBACK").await;
    counted.and(closed)?;
    Ok(inventory)
}

/// Tells whether a database belongs to its users.
pub fn is_user_database(name: &str) -> bool {
    !is_of_restore(name) && !SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(name))
}

/// Old rows of system-versioned tables (MariaDB) count too: a dump with them has as many, and one without restores
/// none.
async fn count_rows(session: &mut Session, inventory: &mut Inventory) -> Result<(), ServerError> {
    let versioned = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'";
    let versioned: Vec<(String, String)> = session.rows("list its versioned tables", versioned).await?;
    let versioned: BTreeSet<(String, String)> = versioned.into_iter().collect();
    for (database_name, database) in &mut inventory.databases {
        for (table_name, table) in &mut database.tables {
            let name = format!("{}.{}", quote_identifier(database_name), quote_identifier(table_name));
            let what = format!("count the rows of {database_name}.{table_name}");
            let is_versioned = versioned.contains(&(database_name.clone(), table_name.clone()));
            let of_all_times = if is_versioned { " FOR SYSTEM_TIME ALL" } else { "" };
            let query = format!("SELECT COUNT(*) FROM {name}{of_all_times}");
            table.rows = Some(session.row(&what, &query).await?);
        }
    }
    Ok(())
}

/// As [`read`], with no row counted.
///
/// # Errors
/// When the server refuses a query.
pub async fn read_names(session: &mut Session) -> Result<Inventory, ServerError> {
    let mut inventory = Inventory::default();
    let databases: Vec<String> =
        session.rows("list its databases", "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA").await?;
    for name in databases.into_iter().filter(|name| is_user_database(name)) {
        inventory.databases.insert(name, Database::default());
    }
    read_tables(session, &mut inventory).await?;
    let triggers: Vec<(String, String, String, String, String)> = session
        .rows(
            "list its triggers",
            "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION \
             FROM information_schema.TRIGGERS",
        )
        .await?;
    for (database, name, table, timing, event) in triggers {
        if let Some(database) = inventory.databases.get_mut(&database) {
            database.triggers.insert(name, Trigger { table, timing, event });
        }
    }
    let routines: Vec<(String, String, String)> = session
        .rows(
            "list its routines",
            "SELECT ROUTINE_SCHEMA, ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES",
        )
        .await?;
    for (database, kind, name) in routines {
        if let Some(database) = inventory.databases.get_mut(&database) {
            database.routines.insert(format!("{kind} {name}"));
        }
    }
    let events: Vec<(String, String)> = session
        .rows("list its events", "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS")
        .await?;
    for (database, name) in events {
        if let Some(database) = inventory.databases.get_mut(&database) {
            database.events.insert(name);
        }
    }
    Ok(inventory)
}

async fn read_tables(session: &mut Session, inventory: &mut Inventory) -> Result<(), ServerError> {
    let tables: Vec<(String, String, String)> = session
        .rows("list its tables", "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES")
        .await?;
    for (database, name, kind) in tables {
        let Some(database) = inventory.databases.get_mut(&database) else { continue };
        let set: &mut BTreeSet<String> = match kind.as_str() {
            "VIEW" => &mut database.views,
            "SEQUENCE" => &mut database.sequences,
            "BASE TABLE" | "SYSTEM VERSIONED" => {
                database.tables.insert(name, Table::default());
                continue;
            }
            // Temporary tables of sessions (MariaDB from 11.2 on) end with them.
            _ => continue,
        };
        set.insert(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rekindle_backup::manifest::Flavour;

    use crate::testing::{fill, on_both, server_of, shop_of};

    on_both!(everything_is_counted_and_system_databases_are_left_out);
    async fn everything_is_counted_and_system_databases_are_left_out(flavour: Flavour) {
        let server = server_of(flavour, "primary").await;
        let mut open = server.login().connect().await.unwrap();
        fill(&mut open.session, &shop_of(flavour)).await;
        let mut inventory = super::read(&mut open.session).await.unwrap();
        let sequences = std::mem::take(&mut inventory.databases.get_mut("shop").unwrap().sequences);
        assert_eq!(sequences.contains("numbers"), flavour == Flavour::Mariadb);
        let text = serde_json::to_string(&inventory.databases).unwrap();
        insta::assert_snapshot!(text, @r#"{"empty-one":{"tables":{},"views":[],"triggers":{},"routines":[],"events":[],"sequences":[]},"shop":{"tables":{"customers":{"rows":2},"empty":{"rows":0},"odd`na.me":{"rows":3}},"views":["names"],"triggers":{"keep":{"table":"customers","timing":"BEFORE","event":"DELETE"}},"routines":["FUNCTION one","PROCEDURE tidy"],"events":["nightly"],"sequences":[]}}"#);
    }
}
