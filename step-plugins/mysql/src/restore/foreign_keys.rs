//! Foreign keys of what was loaded: rows are loaded unchecked, so each key is looked at once they are all there.

use std::collections::BTreeMap;

use rekindle_engine::step::{StepContext, StepError};

use crate::connection::{Server, quote_identifier};

/// Both sides of a foreign key.
#[derive(Debug, Default, PartialEq, Eq)]
struct ForeignKey {
    parent: (String, String),
    /// Column of the child, column of the parent.
    columns: Vec<(String, String)>,
}

type Row = (String, String, String, String, String, String, String);

/// Warns of each foreign key that some row breaks. That is no failure: the data are the backup's, and the server they
/// came from had them like this.
///
/// # Errors
/// When the server can't be asked.
pub(super) async fn check(
    cx: &StepContext,
    server: &mut Server,
    is_restored: impl Fn(&str) -> bool,
) -> Result<(), StepError> {
    let query = "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, \
                 REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
                 WHERE REFERENCED_TABLE_NAME IS NOT NULL ORDER BY 1, 2, 3, ORDINAL_POSITION";
    let rows: Vec<Row> = server.session.rows("list its foreign keys", query).await?;
    let mut keys: BTreeMap<(String, String, String), ForeignKey> = BTreeMap::new();
    for (database, table, name, column, parent_database, parent, parent_column) in rows {
        if is_restored(&database) {
            let key = keys.entry((database, table, name)).or_default();
            key.parent = (parent_database, parent);
            key.columns.push((column, parent_column));
        }
    }
    for ((database, table, name), key) in keys {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let query = orphans(&database, &table, &key);
        let found: Result<Option<u8>, _> = server.session.first("check a foreign key", &query).await;
        let (parent_database, parent) = &key.parent;
        match found {
            Ok(None) => {}
            Ok(Some(_)) => cx.warn(&format!(
                "rows of {database}.{table} have no row in {parent_database}.{parent}, which the foreign key {name} \
                 asks for: they were like this in the backup"
            )),
            Err(error) if error.server_code() == Some(NO_SUCH_TABLE) => cx.warn(&format!(
                "the foreign key {name} of {database}.{table} names {parent_database}.{parent}, which is not there"
            )),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `ER_NO_SUCH_TABLE`
const NO_SUCH_TABLE: u16 = 1146;

/// Gives a query that finds one row without a parent. A key with a `NULL` in it asks for none (`MATCH SIMPLE`).
fn orphans(database: &str, table: &str, key: &ForeignKey) -> String {
    let name =
        |database: &str, table: &str| format!("{}.{}", quote_identifier(database), quote_identifier(table));
    let joined = |part: &dyn Fn(&(String, String)) -> String| {
        key.columns.iter().map(part).collect::<Vec<_>>().join(" AND ")
    };
    let on =
        joined(&|(child, parent)| format!("c.{} = p.{}", quote_identifier(child), quote_identifier(parent)));
    let all = joined(&|(child, _)| format!("c.{} IS NOT NULL", quote_identifier(child)));
    let none = key.columns.first().map_or("", |(_, parent)| parent);
    format!(
        "SELECT 1 FROM {} c LEFT JOIN {} p ON {on} WHERE {all} AND p.{} IS NULL LIMIT 1",
        name(database, table),
        name(&key.parent.0, &key.parent.1),
        quote_identifier(none)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orphan_has_all_columns_and_no_parent() {
        let columns = vec![("a".to_owned(), "x".to_owned()), ("b`".to_owned(), "y".to_owned())];
        let key = ForeignKey { parent: ("s".to_owned(), "p".to_owned()), columns };
        insta::assert_snapshot!(orphans("s", "c", &key), @"SELECT 1 FROM `s`.`c` c LEFT JOIN `s`.`p` p ON c.`a` = p.`x` AND c.`b``` = p.`y` WHERE c.`a` IS NOT NULL AND c.`b``` IS NOT NULL AND p.`x` IS NULL LIMIT 1");
    }
}
