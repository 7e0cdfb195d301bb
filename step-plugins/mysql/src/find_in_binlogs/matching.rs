//! Whether a transaction did what is looked for. Pure.

use rekindle_backup::binlog::{Query, RowChange};
use rekindle_backup::sql::{Escapes, Token, Tokens};

use super::{Deed, FindInBinlogsParams};

/// A name in a statement.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    database: Option<String>,
    name: String,
}

/// What a statement does, and to what.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    deed: Deed,
    /// Whether the names are those of databases.
    is_database: bool,
    names: Vec<Named>,
}

/// Something that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// What was done.
    pub(super) deed: Deed,
    /// To what: `DROP shop.orders`.
    pub(super) what: String,
}

/// Tells what a statement did of what is looked for.
pub(super) fn of_query(params: &FindInBinlogsParams, query: &Query) -> Option<Match> {
    let done = read(&query.sql)?;
    if !params.deeds.contains(&done.deed) {
        return None;
    }
    let fits = |named: &&Named| {
        if done.is_database {
            return wanted(params.database.as_deref(), &named.name);
        }
        let database = named.database.as_deref().unwrap_or(&query.database);
        wanted(params.database.as_deref(), database) && wanted(params.table.as_deref(), &named.name)
    };
    let named = done.names.iter().find(fits)?;
    let verb = word(done.deed);
    let what = match (&named.database, done.is_database) {
        (_, true) => format!("{verb} DATABASE {}", named.name),
        (Some(database), false) => format!("{verb} {database}.{}", named.name),
        (None, false) => format!("{verb} {}.{}", query.database, named.name),
    };
    Some(Match { deed: done.deed, what })
}

/// Tells what a change of rows did of what is looked for.
pub(super) fn of_rows(params: &FindInBinlogsParams, change: &RowChange) -> Option<Match> {
    let deed = match change.verb {
        "DELETE" => Deed::Delete,
        "UPDATE" => Deed::Update,
        _ => Deed::Insert,
    };
    let fits = params.deeds.contains(&deed)
        && wanted(params.database.as_deref(), &change.database)
        && wanted(params.table.as_deref(), &change.table);
    let what = format!("{} {}.{}", change.verb, change.database, change.table);
    fits.then_some(Match { deed, what })
}

fn wanted(asked: Option<&str>, name: &str) -> bool {
    // Servers on systems without case compare so; on others two names that differ only in case are rare.
    asked.filter(|asked| !asked.is_empty()).is_none_or(|asked| asked.eq_ignore_ascii_case(name))
}

fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Drop => "DROP",
        Deed::Truncate => "TRUNCATE",
        Deed::Alter => "ALTER",
        Deed::Delete => "DELETE",
        Deed::Update => "UPDATE",
        Deed::Insert => "INSERT",
    }
}

/// Words that stand between the verb and the names.
const BETWEEN: [&str; 10] =
    ["TABLE", "TABLES", "IF", "EXISTS", "FROM", "INTO", "IGNORE", "LOW_PRIORITY", "QUICK", "ONLINE"];

fn read(sql: &str) -> Option<Done> {
    let mut tokens = Tokens::new(sql.as_bytes(), Escapes::default())
        .filter(|token| !matches!(token, Token::Open(_) | Token::Close))
        .peekable();
    let first = tokens.next()?;
    let is = |word: &str| first.is(word);
    let deed = if is("DROP") {
        Deed::Drop
    } else if is("TRUNCATE") {
        Deed::Truncate
    } else if is("ALTER") || is("RENAME") {
        Deed::Alter
    } else if is("DELETE") {
        Deed::Delete
    } else if is("UPDATE") {
        Deed::Update
    } else if is("INSERT") || is("REPLACE") {
        Deed::Insert
    } else {
        return None;
    };
    let what = tokens.peek()?;
    let is_database = what.is("DATABASE") || what.is("SCHEMA");
    let is_table = what.is("TABLE") || what.is("TABLES") || what.is("ONLINE");
    // A temporary table is no loss; views, users and others are something else.
    if matches!(deed, Deed::Drop | Deed::Alter) && !is_database && !is_table {
        return None;
    }
    if is_database {
        tokens.next();
    }
    let mut names = Vec::new();
    while let Some(token) = tokens.next() {
        if BETWEEN.iter().any(|word| token.is(word)) {
            continue;
        }
        let Some(name) = token.name() else { break };
        let one = if tokens.next_if_eq(&Token::Mark(b'.')).is_some() {
            Named { database: Some(name), name: tokens.next()?.name()? }
        } else {
            Named { database: None, name }
        };
        names.push(one);
        // Only a list of names goes on.
        if tokens.next_if_eq(&Token::Mark(b',')).is_none() {
            break;
        }
    }
    Some(Done { deed, is_database, names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(deed: &str, database: &str, table: &str, sql: &str) -> Option<String> {
        let params =
            serde_json::json!({ "store": "s", "deeds": [deed], "database": database, "table": table });
        let query = Query { database: "shop".to_owned(), sql: sql.to_owned() };
        of_query(&serde_json::from_value(params).unwrap(), &query).map(|found| found.what)
    }

    #[test]
    fn statements_are_found_by_what_they_do_to_which_table() {
        let drop = |sql| find("drop", "shop", "orders", sql);
        assert_eq!(drop("DROP TABLE `orders` /* generated by server */").unwrap(), "DROP shop.orders");
        assert_eq!(drop("drop table if exists other.x, shop.Orders").unwrap(), "DROP shop.Orders");
        assert_eq!(drop("DROP DATABASE IF EXISTS `shop`").unwrap(), "DROP DATABASE shop");
        for sql in [
            "DROP TABLE other.orders",
            "DROP TEMPORARY TABLE orders",
            "DROP /*!40005 TEMPORARY */ TABLE orders",
            "DROP VIEW orders",
            "DROP DATABASE other",
            "INSERT INTO x VALUES ('DROP TABLE orders')",
            "-- DROP TABLE orders\nSELECT 1",
            "DROP",
            "",
        ] {
            assert_eq!(drop(sql), None, "{sql}");
        }
        assert_eq!(find("truncate", "", "orders", "TRUNCATE orders").unwrap(), "TRUNCATE shop.orders");
        assert_eq!(find("alter", "", "", "ALTER TABLE a.b DROP COLUMN c").unwrap(), "ALTER a.b");
        assert_eq!(find("delete", "", "", "DELETE FROM `a` WHERE 1").unwrap(), "DELETE shop.a");
        assert_eq!(find("drop", "", "", "ALTER TABLE a DROP COLUMN c"), None);
    }
}
