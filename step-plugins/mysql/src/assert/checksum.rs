//! The rows of a table in one number: the server's own where it can be relied on, a digest of every row elsewhere.

use crate::connection::{Session, quote_identifier, quote_string};
use crate::error::ServerError;

/// Gives a text that is equal for equal rows in any order; nothing for a table that can't be read.
///
/// `CHECKSUM TABLE` is the quicker one, but for a table with stored generated columns MariaDB 10.11 gives another
/// number at every look, so such a table is read row by row.
pub(super) async fn checksum(
    session: &mut Session,
    database: &str,
    table: &str,
) -> Result<Option<String>, ServerError> {
    let what = format!("checksum the table {database}.{table}");
    let columns: Vec<(String, bool)> = session
        .rows(
            &what,
            &format!(
                "SELECT column_name, IFNULL(generation_expression, '') <> '' FROM information_schema.columns \
                 WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
                quote_string(database),
                quote_string(table)
            ),
        )
        .await?;
    let name = format!("{}.{}", quote_identifier(database), quote_identifier(table));
    if columns.iter().any(|(_, generated)| *generated) {
        let names = columns.iter().map(|(name, _)| name.as_str());
        let (rows, sum, xor): (u64, String, String) = session.row(&what, &digest(&name, names)).await?;
        return Ok(Some(format!("{rows} rows, {sum}, {xor}")));
    }
    let (_, sum): (String, Option<u64>) = session.row(&what, &format!("CHECKSUM TABLE {name}")).await?;
    Ok(sum.map(|sum| sum.to_string()))
}

/// Two sums over a text of each row that no other row has: bytes in hexadecimal, NULL as `~`, `,` between.
/// MySQL has no `MD5()` of its own any more.
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

#[cfg(test)]
mod tests {
    use rekindle_backup::manifest::Flavour;

    use super::*;
    use crate::testing::{on_both, server_of};

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
}
