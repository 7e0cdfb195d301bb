//! Tables with columns whose text loses digits.

use std::collections::BTreeMap;

use crate::checksum::{HIDDEN, is_time_of_row};
use crate::connection::{Session, quote_identifier, quote_string};
use crate::error::ServerError;

/// A `FLOAT` with a number of decimals, as `FLOAT(7,4)`, is rounded to them when it is stored: its text tells it whole.
const IS_FLOAT: &str = "data_type = 'float' AND numeric_scale IS NULL";

/// By database and name.
pub(crate) type FloatTables = BTreeMap<(String, String), FloatTable>;

/// A table with such columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FloatTable {
    /// Those that are dumped: no generated ones.
    pub(crate) columns: Vec<Column>,
    /// Which of its rows are dumped.
    pub(crate) history: History,
    pub(crate) engine: String,
}

/// A column that is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_float: bool,
}

/// Old rows of a system-versioned table, with the columns that say when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    LeftOut,
    Dumped,
}

/// Name, whether it is such a `FLOAT`, and how it is generated.
type Found = (String, bool, String);

impl FloatTable {
    /// Finds those of some databases among the tables that `is_dumped` names. `keeps_history` tells whether the client
    /// dumps old rows.
    ///
    /// # Errors
    /// When the server does not tell them.
    pub(crate) async fn all(
        session: &mut Session,
        databases: &[String],
        is_dumped: impl Fn(&str, &str) -> bool,
        keeps_history: bool,
    ) -> Result<FloatTables, ServerError> {
        let what = "list its columns of type FLOAT";
        // Without their names every table of the server would be opened.
        let databases: Vec<String> = databases.iter().map(|name| quote_string(name)).collect();
        let query = format!(
            "SELECT DISTINCT table_schema, table_name FROM information_schema.columns \
             WHERE table_schema IN ({}) AND {IS_FLOAT}",
            databases.join(", ")
        );
        let names: Vec<(String, String)> = session.rows(what, &query).await?;
        let mut tables = FloatTables::new();
        for (database, table) in names.into_iter().filter(|(database, table)| is_dumped(database, table)) {
            tables.extend(Self::one(session, &database, &table, keeps_history).await?);
        }
        Ok(tables)
    }

    /// Finds the table of this name, if it is one of them.
    ///
    /// # Errors
    /// When the server does not tell it.
    pub(crate) async fn one(
        session: &mut Session,
        database: &str,
        table: &str,
        keeps_history: bool,
    ) -> Result<Option<((String, String), Self)>, ServerError> {
        let what = "list the columns of a table";
        let of_table =
            format!("table_schema = {} AND table_name = {}", quote_string(database), quote_string(table));
        let query = format!(
            "SELECT table_type, COALESCE(engine, '') FROM information_schema.tables WHERE {of_table}"
        );
        let kind: Option<(String, String)> = session.first(what, &query).await?;
        let Some((kind, engine)) = kind else { return Ok(None) };
        let is_versioned = match kind.as_str() {
            "BASE TABLE" => false,
            "SYSTEM VERSIONED" => true,
            // A view has no rows of its own.
            _ => return Ok(None),
        };
        let history = if is_versioned && keeps_history { History::Dumped } else { History::LeftOut };
        let query = format!(
            "SELECT column_name, {IS_FLOAT}, COALESCE(generation_expression, '') FROM information_schema.columns \
             WHERE {of_table} ORDER BY ordinal_position"
        );
        let found: Vec<Found> = session.rows(what, &query).await?;
        Ok(Self::of(found, engine, history).map(|found| ((database.to_owned(), table.to_owned()), found)))
    }

    /// A generated column that is a `FLOAT` is not dumped, and so nothing of it can be lost.
    fn of(found: Vec<Found>, engine: String, history: History) -> Option<Self> {
        let is_dumped = |(_, _, expression): &Found| {
            expression.is_empty() || is_time_of_row(expression) && history == History::Dumped
        };
        let is_hidden =
            history == History::Dumped && !found.iter().any(|(.., expression)| is_time_of_row(expression));
        let mut columns: Vec<Column> = found
            .into_iter()
            .filter(is_dumped)
            .map(|(name, is_float, _)| Column { name, is_float })
            .collect();
        if is_hidden {
            columns.extend(HIDDEN.map(|name| Column { name: name.to_owned(), is_float: false }));
        }
        columns.iter().any(|column| column.is_float).then_some(Self { columns, history, engine })
    }

    /// Gives the query for its rows. A product with a `DOUBLE` is one, on every version, and keeps the sign of a zero.
    pub(super) fn query(&self, database: &str, table: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                format!("{}{}", quote_identifier(&column.name), if column.is_float { " * 1e0" } else { "" })
            })
            .collect();
        let of_time = match self.history {
            History::LeftOut => "",
            History::Dumped => " FOR SYSTEM_TIME ALL",
        };
        format!(
            "SELECT {} FROM {}.{}{of_time}",
            columns.join(", "),
            quote_identifier(database),
            quote_identifier(table)
        )
    }

    /// Gives how a statement begins that inserts rows.
    pub(super) fn insert(&self, table: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| quote_identifier(&column.name)).collect();
        format!("INSERT INTO {} ({}) VALUES\n", quote_identifier(table), columns.join(", "))
    }

    /// Names its columns that lose digits, as `database.table.column`.
    pub(crate) fn names(&self, database: &str, table: &str) -> impl Iterator<Item = String> {
        let floats = self.columns.iter().filter(|column| column.is_float);
        floats.map(move |column| format!("{database}.{table}.{}", column.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, bool, &str)], history: History) -> Option<FloatTable> {
        let found =
            columns.iter().map(|(name, is_float, how)| ((*name).to_owned(), *is_float, (*how).to_owned()));
        FloatTable::of(found.collect(), "InnoDB".to_owned(), history)
    }

    #[test]
    fn generated_columns_are_neither_read_nor_inserted() {
        let table =
            table(&[("i`d", false, ""), ("f", true, ""), ("g", true, "`f` * 2")], History::LeftOut).unwrap();
        insta::assert_snapshot!(table.query("sh`op", "t"), @"SELECT `i``d`, `f` * 1e0 FROM `sh``op`.`t`");
        insta::assert_snapshot!(table.insert("t`"), @"INSERT INTO `t``` (`i``d`, `f`) VALUES");
        assert_eq!(table.names("shop", "t").collect::<Vec<_>>(), ["shop.t.f"]);
    }

    #[test]
    fn a_table_whose_only_float_is_generated_loses_nothing() {
        assert_eq!(table(&[("d", false, ""), ("g", true, "`d` * 2")], History::LeftOut), None);
    }

    #[test]
    fn old_rows_come_with_the_columns_that_say_when() {
        let hidden = table(&[("f", true, "")], History::Dumped).unwrap();
        insta::assert_snapshot!(hidden.query("s", "t"), @"SELECT `f` * 1e0, `row_start`, `row_end` FROM `s`.`t` FOR SYSTEM_TIME ALL");
        let own = [("f", true, ""), ("a", false, "ROW START"), ("b", false, "ROW END")];
        insta::assert_snapshot!(table(&own, History::Dumped).unwrap().query("s", "t"), @"SELECT `f` * 1e0, `a`, `b` FROM `s`.`t` FOR SYSTEM_TIME ALL");
        insta::assert_snapshot!(table(&own, History::LeftOut).unwrap().query("s", "t"), @"SELECT `f` * 1e0 FROM `s`.`t`");
    }
}
