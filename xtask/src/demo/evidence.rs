//! What the demo compares before the disaster and after it: every row and every object.

use std::collections::BTreeMap;

use anyhow::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

/// A digest of all rows of every table and the definition of everything else, by name.
pub(super) type Evidence = BTreeMap<String, String>;

/// Collects the evidence of the `shop` database.
pub(super) async fn collect(conn: &mut Conn) -> Result<Evidence> {
    let mut evidence = Evidence::new();
    let tables: Vec<String> = conn
        .query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_type = 'BASE TABLE'")
        .await?;
    for table in tables {
        let query = digest(conn, &table).await?;
        let digest: Option<String> = conn.query_first(query).await?;
        evidence.insert(format!("table {table}"), digest.unwrap_or_default());
    }
    for (kind, query) in DEFINITIONS {
        let rows: Vec<(String, Option<String>)> = conn.query(query).await?;
        for (name, definition) in rows {
            evidence.insert(format!("{kind} {name}"), definition.unwrap_or_default());
        }
    }
    Ok(evidence)
}

/// Digests every row of a table. (Not `CHECKSUM TABLE`: with stored generated columns MariaDB's differs at every look.)
async fn digest(conn: &mut Conn, table: &str) -> Result<String> {
    let query =
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = ?";
    let columns: Vec<String> = conn.exec(query, (table,)).await?;
    let columns: Vec<String> =
        columns.iter().map(|column| format!("IFNULL(HEX(CAST(`{column}` AS BINARY)), '~')")).collect();
    let row = format!("MD5(CONCAT_WS(',', {}))", columns.join(", "));
    let table = table.replace('`', "``");
    Ok(format!(
        "SELECT CONCAT(COUNT(*), ' rows, ', IFNULL(SUM(CONV(LEFT({row}, 12), 16, 10)), 0)) FROM `shop`.`{table}`"
    ))
}

/// Gives what differs, by name.
pub(super) fn differences(before: &Evidence, after: &Evidence) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {:?} became {:?}", before.get(name), after.get(name)))
        .collect()
}

const DEFINITIONS: [(&str, &str); 6] = [
    ("view", "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = 'shop'"),
    (
        "trigger",
        "SELECT trigger_name, CONCAT(action_timing, ' ', event_manipulation, ' ', event_object_table, ' ', action_statement)
         FROM information_schema.triggers WHERE trigger_schema = 'shop'",
    ),
    ("routine", "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'shop'"),
    (
        "event",
        "SELECT event_name, CONCAT(interval_value, ' ', interval_field, ' ', event_definition)
         FROM information_schema.events WHERE event_schema = 'shop'",
    ),
    (
        "foreign key",
        "SELECT constraint_name, CONCAT(table_name, ' ', referenced_table_name, ' ', delete_rule)
         FROM information_schema.referential_constraints WHERE constraint_schema = 'shop'",
    ),
    (
        "column",
        "SELECT CONCAT(table_name, '.', column_name), CONCAT(column_type, ' ', IFNULL(extra, ''), ' ', IFNULL(collation_name, ''))
         FROM information_schema.columns WHERE table_schema = 'shop'",
    ),
];
