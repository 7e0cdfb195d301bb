//! The rows of a table in one number: the server's own where it can be relied on, a digest of every row elsewhere.

use rekindle_backup::inventory::Inventory;

use crate::connection::{Session, quote_identifier, quote_string};
use crate::error::ServerError;

/// Stands between the checksum of current rows and that of all rows of a system-versioned table.
const WITH_HISTORY: &str = "; with its history ";

/// Gives a text that is equal for equal rows in any order; nothing for a table that can't be read.
///
/// `CHECKSUM TABLE` is the quicker one, but for a table with stored generated columns MariaDB 10.11 gives another
/// number at every look, and for a system-versioned one a number that depends on when each row was written. So such
/// tables are read row by row: of a system-versioned one the current rows without the columns that say when, and then
/// all rows with them. History by transactions is not looked at: its numbers mean nothing elsewhere.
pub(crate) async fn checksum(
    session: &mut Session,
    database: &str,
    table: &str,
) -> Result<Option<String>, ServerError> {
    let what = format!("checksum the table {database}.{table}");
    let of_table =
        format!("table_schema = {} AND table_name = {}", quote_string(database), quote_string(table));
    let query = format!("SELECT table_type FROM information_schema.tables WHERE {of_table}");
    let kind: Option<String> = session.first(&what, &query).await?;
    let query = format!(
        "SELECT column_name, data_type, IFNULL(generation_expression, '') FROM information_schema.columns \
         WHERE {of_table} ORDER BY ordinal_position"
    );
    let columns: Vec<Column> = session.rows(&what, &query).await?;
    let name = format!("{}.{}", quote_identifier(database), quote_identifier(table));
    let versioned = kind.as_deref() == Some("SYSTEM VERSIONED");
    if !versioned && columns.iter().all(|(_, _, expression)| expression.is_empty()) {
        let (_, sum): (String, Option<u64>) = session.row(&what, &format!("CHECKSUM TABLE {name}")).await?;
        return Ok(sum.map(|sum| sum.to_string()));
    }
    // A `TIMESTAMP` reads as the session's time zone has it.
    session.run(&what, "SET SESSION time_zone = '+00:00'").await?;
    let names = columns.iter().filter(|column| !says_when(column)).map(|(name, ..)| name.as_str());
    let current = digested(session, &what, &digest(&name, names)).await?;
    let by_transaction = columns.iter().any(|column| says_when(column) && column.1 == "bigint");
    if !versioned || by_transaction {
        return Ok(Some(current));
    }
    let hidden = if columns.iter().any(says_when) { &[][..] } else { &HIDDEN };
    let names = columns.iter().map(|(name, ..)| name.as_str()).chain(hidden.iter().copied());
    let all = digested(session, &what, &digest(&format!("{name} FOR SYSTEM_TIME ALL"), names)).await?;
    Ok(Some(format!("{current}{WITH_HISTORY}{all}")))
}

/// Name, type, and how it is generated.
type Column = (String, String, String);

fn says_when((_, _, expression): &Column) -> bool {
    is_time_of_row(expression)
}

/// Tells by what generates a column whether it says from or until when a row was current.
pub(crate) fn is_time_of_row(expression: &str) -> bool {
    matches!(expression, "ROW START" | "ROW END")
}

/// The columns that say so in a table without a `PERIOD` of its own; nothing lists them (MariaDB manual,
/// "System-Versioned Tables").
pub(crate) const HIDDEN: [&str; 2] = ["row_start", "row_end"];

async fn digested(session: &mut Session, what: &str, query: &str) -> Result<String, ServerError> {
    let (rows, sum, xor): (u64, String, String) = session.row(what, query).await?;
    Ok(format!("{rows} rows, {sum}, {xor}"))
}

/// Leaves of checksums only what is of current rows: for a dump that has no others.
pub(crate) fn leave_history_out(inventory: &mut Inventory) {
    for table in inventory.databases.values_mut().flat_map(|database| database.tables.values_mut()) {
        table.checksum = table.checksum.take().map(without_history);
    }
}

/// Leaves of the checksums that were found only what the expected ones are of.
pub(crate) fn leave_unknown_history_out(found: &mut Inventory, expected: &Inventory) {
    for (name, database) in &mut found.databases {
        for (table, known) in &mut database.tables {
            let expected = expected.databases.get(name).and_then(|database| database.tables.get(table));
            let sum = expected.and_then(|table| table.checksum.as_ref());
            if sum.is_some_and(|sum| !has_history(sum)) {
                known.checksum = known.checksum.take().map(without_history);
            }
        }
    }
}

/// Tells whether a checksum is of old rows too.
pub(crate) fn has_history(checksum: &str) -> bool {
    checksum.contains(WITH_HISTORY)
}

/// Gives the part of a checksum that is of current rows.
pub(crate) fn without_history(checksum: String) -> String {
    match checksum.split_once(WITH_HISTORY) {
        Some((current, _)) => current.to_owned(),
        None => checksum,
    }
}

/// Two sums over a text of each row that no other row has: bytes in hexadecimal, NULL as `~`, `,` between.
/// MySQL has no `MD5()` of its own any more. `table` is quoted, and may say of which time.
fn digest<'a>(table: &str, columns: impl Iterator<Item = &'a str>) -> String {
    let columns: Vec<String> = columns
        .map(|column| format!("IFNULL(HEX(CAST({} AS BINARY)), '~')", quote_identifier(column)))
        .collect();
    let row = format!("CONCAT_WS(',', {})", columns.join(", "));
    format!(
        "SELECT COUNT(*), CAST(IFNULL(SUM(CRC32({row})), 0) AS CHAR), \
         CAST(IFNULL(BIT_XOR(CAST(CONV(LEFT(SHA2({row}, 256), 15), 16, 10) AS UNSIGNED)), 0) AS CHAR) FROM {table}"
    )
}

/// Writes the checksums of these tables into an inventory. A table that gives none, as one that was dropped or altered
/// meanwhile, is told to `skipped`.
pub(crate) async fn add_checksums(
    session: &mut Session,
    inventory: &mut Inventory,
    mut skipped: impl FnMut(&str, &str),
) -> Result<(), ServerError> {
    for (database, held) in &mut inventory.databases {
        for (table, known) in &mut held.tables {
            known.checksum = match checksum(session, database, table).await {
                Ok(sum) => sum,
                Err(error) if error.server_code().is_some() => None,
                Err(error) => return Err(error),
            };
            if known.checksum.is_none() {
                skipped(database, table);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rekindle_backup::manifest::Flavour;

    use super::*;
    use crate::sandbox::testing::TempServer;
    use crate::testing::{on_both, processes, server_of};

    on_both!(tables_with_generated_columns_have_one_checksum_for_equal_rows_and_another_for_others);
    async fn tables_with_generated_columns_have_one_checksum_for_equal_rows_and_another_for_others(
        flavour: Flavour,
    ) {
        let server = server_of(flavour, "primary").await;
        let mut session = server.login().connect().await.unwrap().session;
        for statement in [
            "CREATE DATABASE g",
            "CREATE TABLE g.t (a INT PRIMARY KEY, b VARCHAR(40), c TINYINT, d INT AS (a * c) STORED)",
            "CREATE TABLE g.u LIKE g.t",
            "INSERT INTO g.t (a, b, c) WITH RECURSIVE s (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < 500) \
             SELECT seq, IF(seq % 3, CONCAT('p', seq), NULL), seq % 9 FROM s",
            "INSERT INTO g.u (a, b, c) SELECT a, b, c FROM g.t ORDER BY a DESC",
        ] {
            session.run("fill", statement).await.unwrap();
        }
        let first = checksum(&mut session, "g", "t").await.unwrap().unwrap();
        for _ in 0..5 {
            assert_eq!(checksum(&mut session, "g", "t").await.unwrap().unwrap(), first);
        }
        assert_eq!(checksum(&mut session, "g", "u").await.unwrap().unwrap(), first);
        session.run("change", "UPDATE g.u SET b = '' WHERE a = 3").await.unwrap();
        assert_ne!(checksum(&mut session, "g", "u").await.unwrap().unwrap(), first);
    }

    #[tokio::test]
    async fn rows_of_a_versioned_table_have_one_checksum_whenever_they_were_written() {
        let server = TempServer::start("primary", &processes()).await.unwrap();
        let mut session = server.login().connect().await.unwrap().session;
        for statement in [
            "CREATE DATABASE v",
            "CREATE TABLE v.a (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE v.b (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE v.c (id INT PRIMARY KEY, n INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
             e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
            "INSERT INTO v.a VALUES (1, 1), (2, 2)",
            "INSERT INTO v.b VALUES (1, 0), (2, 2)",
            "UPDATE v.b SET n = 1 WHERE id = 1",
            "INSERT INTO v.c (id, n) VALUES (2, 2), (1, 1)",
        ] {
            session.run("fill", statement).await.unwrap();
        }
        let mut sum = async |table: &str| checksum(&mut session, "v", table).await.unwrap().unwrap();
        let [a, b, c] = [sum("a").await, sum("b").await, sum("c").await];
        let current = without_history(a.clone());
        assert_eq!(
            [without_history(b.clone()), without_history(c.clone())],
            [current.clone(), current.clone()]
        );
        assert!(a.contains(WITH_HISTORY) && a != b && a != c, "{a} {b}");
        session.run("change", "UPDATE v.b SET n = 3 WHERE id = 1").await.unwrap();
        assert_ne!(without_history(checksum(&mut session, "v", "b").await.unwrap().unwrap()), current);
        session.run("forget", "DELETE HISTORY FROM v.b").await.unwrap();
        let forgotten = checksum(&mut session, "v", "b").await.unwrap().unwrap();
        assert_ne!(forgotten, b);
    }

    #[tokio::test]
    async fn the_time_zone_of_a_server_does_not_change_a_checksum() {
        let server = TempServer::start("primary", &processes()).await.unwrap();
        let mut session = server.login().connect().await.unwrap().session;
        for statement in [
            "CREATE DATABASE v",
            "CREATE TABLE v.t (id INT PRIMARY KEY, t TIMESTAMP, d INT AS (id * 2) STORED)",
            "INSERT INTO v.t (id, t) VALUES (1, '2026-11-22 12:00:00')",
        ] {
            session.run("fill", statement).await.unwrap();
        }
        let sum = checksum(&mut session, "v", "t").await.unwrap();
        session.run("move", "SET GLOBAL time_zone = '+09:00'").await.unwrap();
        let mut other = server.login().connect().await.unwrap().session;
        assert_eq!(checksum(&mut other, "v", "t").await.unwrap(), sum);
    }
}
