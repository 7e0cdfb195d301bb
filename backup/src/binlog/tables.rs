//! Which tables the rows of a transaction are of, and what was done to them.

use std::collections::BTreeMap;

use super::event::{Event, EventKind, Fields};

/// What an event did to rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub verb: &'static str,
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
}

/// Follows the events of a log, and remembers which number stands for which table.
#[derive(Debug, Default)]
pub struct Tables(BTreeMap<u64, (String, String)>);

impl Tables {
    /// Takes the next event. Gives what it did to rows, if it did.
    pub fn take(&mut self, event: &Event) -> Option<RowChange> {
        let mut fields = Fields(event.body());
        if event.header.kind.begins() {
            // Numbers are good for one transaction: this bounds what is remembered.
            self.0.clear();
            return None;
        }
        if event.header.kind == EventKind::TABLE_MAP {
            // Number 6, flags 2, then each name with its length before and a NUL after it.
            let number = fields.number(6)?;
            fields.take(2)?;
            let database = name(&mut fields)?;
            let table = name(&mut fields)?;
            self.0.insert(number, (database, table));
            return None;
        }
        // Versions 1 and 2 of both families, MySQL's partial updates, and MariaDB's compressed ones.
        let verb = match event.header.kind.0 {
            23 | 30 | 166 | 169 => "INSERT",
            24 | 31 | 39 | 167 | 170 => "UPDATE",
            25 | 32 | 168 | 171 => "DELETE",
            _ => return None,
        };
        let (database, table) = self.0.get(&fields.number(6)?)?.clone();
        Some(RowChange { verb, database, table })
    }
}

fn name(fields: &mut Fields<'_>) -> Option<String> {
    let length = usize::from(fields.byte()?);
    let bytes = fields.take(length)?;
    fields.byte()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
