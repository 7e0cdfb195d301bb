//! Whether each table is still the one it was before the dump began, when the dump has read it: by its name and the
//! second in which it was made.
//!
//! A snapshot holds rows, not definitions. MariaDB leaves out, without an error, the rows of a table that was renamed,
//! the values of a column that was dropped, and a table that was dropped before its database's turn (MariaDB manual,
//! "mariadb-dump", `--single-transaction`: no other session may use `ALTER TABLE`, `DROP TABLE`, `RENAME TABLE`,
//! `TRUNCATE TABLE`). MySQL refuses all but a change of the engine. And a replay from the dump's position would make the
//! change a second time. A table that is changed after it was read does no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use rekindle_backup::inventory::Inventory;
use rekindle_engine::step::StepError;
use tokio::sync::mpsc;

use super::choose::Chosen;
use super::survey::some;
use crate::connection::{Login, Session, quote_identifier, quote_string};
use crate::error::ServerError;

/// `database`, `table`.
pub(super) type TableName = (String, String);

/// How many tables may be read and not looked at yet.
pub(super) const WAITING_TABLES: usize = 64;
/// How often tables that were made this very second are looked at again.
const LOOKS: u32 = 3;
/// File systems tell the time as of the last tick of the kernel's clock.
const TICK: Duration = Duration::from_millis(20);

/// The tables of a dump, as they were before it began.
pub(super) struct Tables {
    session: Session,
    /// When each was made, as the server tells it; nothing for engines that don't.
    made: BTreeMap<TableName, Option<String>>,
}

impl Tables {
    /// Looks at them. Waits for the next second when one was made in this one, so that every later change shows.
    ///
    /// # Errors
    /// When the server does not tell them.
    pub(super) async fn look(login: &Login, chosen: &Chosen) -> Result<Self, ServerError> {
        let mut session = login.connect().await?.session;
        let query = "SELECT table_schema, table_name, CAST(create_time AS CHAR), \
             COALESCE(create_time >= SYSDATE(), 0) FROM information_schema.tables \
             WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')";
        let mut looks = 0;
        loop {
            looks += 1;
            let all: Vec<(String, String, Option<String>, bool)> =
                session.rows("list its tables", query).await?;
            let all = all.into_iter().filter(|(database, table, ..)| chosen.has(database, table));
            let (mut tables, mut is_young) = (BTreeMap::new(), false);
            for (database, table, at, young) in all {
                tables.insert((database, table), at);
                is_young |= young;
            }
            if !is_young || looks == LOOKS {
                for (name, at) in tables.iter_mut().filter(|(_, at)| at.is_none()) {
                    *at = made(&mut session, name).await?.flatten();
                }
                return Ok(Self { session, made: tables });
            }
            let left: u64 = session.row("tell the time", "SELECT 1000000 - MICROSECOND(SYSDATE(6))").await?;
            tokio::time::sleep(Duration::from_micros(left) + TICK).await;
        }
    }

    /// Looks at each table that the dump has read, until it has read all.
    ///
    /// # Errors
    /// At the first that is another one, and when the server does not answer.
    pub(super) async fn watch(
        mut self,
        login: &Login,
        mut read: mpsc::Receiver<TableName>,
    ) -> Result<Unchanged, StepError> {
        while let Some(table) = read.recv().await {
            let now = match made(&mut self.session, &table).await {
                // Nothing was asked of this session for as long as a large table takes.
                Err(error) if error.is_passing() => {
                    self.session = login.connect().await?.session;
                    made(&mut self.session, &table).await?
                }
                now => now?,
            };
            let before = self.made.get(&table);
            let what = match (before, now) {
                (Some(before), Some(now)) if *before == now => continue,
                (Some(_), Some(_)) => "was altered",
                (Some(_), None) => "was dropped or renamed",
                (None, _) => "was made or renamed",
            };
            return Err(changed(&format!("the table {}.{} {what}", table.0, table.1)));
        }
        self.session.close().await;
        Ok(Unchanged { tables: self.made.into_keys().collect() })
    }
}

/// The tables of a dump, each as it was before it began, as far as the dump came to it.
pub(super) struct Unchanged {
    tables: Vec<TableName>,
}

impl Unchanged {
    /// Proves that the dump came to all of them.
    ///
    /// # Errors
    /// When one is missing in it.
    pub(super) fn check(&self, dumped: &Inventory) -> Result<(), StepError> {
        let is_there = |(database, table): &&TableName| {
            dumped.databases.get(database).is_some_and(|held| held.tables.contains_key(table))
        };
        let missing = self.tables.iter().filter(|name| !is_there(name));
        let missing: Vec<String> = missing.map(|(database, table)| format!("{database}.{table}")).collect();
        match missing.as_slice() {
            [] => Ok(()),
            [one] => Err(changed(&format!("the table {one} was dropped or renamed"))),
            _ => Err(changed(&format!("the tables {} were dropped or renamed", some(&missing)))),
        }
    }
}

fn changed(what: &str) -> StepError {
    StepError::transient(format!("{what} after the dump began and before it was read")).help(HELP)
}

/// What to do when tables change while they are dumped.
pub(super) const HELP: &str = "such a dump would not be of one point in time, and none was kept; dump again, at a time when no tables are altered, \
     renamed, dropped or truncated";

/// Gives when a table was made, as the server tells it, and nothing for one that is not there.
///
/// MariaDB 10.11 forgets it for some of the instances of an open table that it keeps, as those of tables with an indexed
/// generated column, and tells `NULL`, until it has looked at the table's indexes.
async fn made(session: &mut Session, name: &TableName) -> Result<Option<Option<String>>, ServerError> {
    let found = told(session, name).await?;
    if found != Some(None) {
        return Ok(found);
    }
    let (database, table) = name;
    let indexes = format!("SHOW INDEX FROM {}.{}", quote_identifier(database), quote_identifier(table));
    match session.run("look at the indexes of a table", &indexes).await {
        Err(error) if error.server_code().is_none() => return Err(error),
        // What was dropped meanwhile is not told the second time either.
        Ok(()) | Err(_) => {}
    }
    told(session, name).await
}

async fn told(
    session: &mut Session,
    (database, table): &TableName,
) -> Result<Option<Option<String>>, ServerError> {
    let query = format!(
        "SELECT CAST(create_time AS CHAR) FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        quote_string(database),
        quote_string(table)
    );
    session.first("look at a table that was dumped", &query).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_the_dump_never_came_to_is_told() {
        let name = |table: &str| ("shop".to_owned(), table.to_owned());
        let dumped: Inventory =
            serde_json::from_str(r#"{"databases":{"shop":{"tables":{"a":{}, "new":{}}}}}"#).unwrap();
        let check = |tables: &[&str]| {
            let tables = tables.iter().map(|table| name(table)).collect();
            Unchanged { tables }.check(&dumped).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["a"]), Ok(()));
        insta::assert_snapshot!(check(&["a", "b"]).unwrap_err(), @"the table shop.b was dropped or renamed after the dump began and before it was read");
        insta::assert_snapshot!(check(&["b", "c"]).unwrap_err(), @"the tables shop.b, shop.c were dropped or renamed after the dump began and before it was read");
    }
}
