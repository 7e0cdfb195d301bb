//! Transactions that can't be replayed as statements.

use super::event::{Event, EventKind};
use super::query::Query;
use super::transactions::Part;

/// Why a transaction can't be replayed as statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// `LOAD DATA` as a statement: its rows are in a file that the flavour's program writes beside the statements.
    LoadData,
    /// MariaDB's `CREATE TABLE … SELECT` as rows: only a replica makes a table and fills it in one transaction. In a
    /// session the table is a transaction of its own, the rows take the number of the next one, and whatever has that
    /// number is taken for done.
    TableWithRows,
}

/// Looks at the events of a log in order.
#[derive(Debug, Default)]
pub struct Hindrances {
    /// Whether the transaction at hand may have more than one statement.
    is_group: bool,
    found: Option<Hindrance>,
}

impl Hindrances {
    /// Looks at the next event; `part` is what [`Transactions::take`](super::Transactions::take) said of it. A
    /// transaction that it ended was taken by [`Self::of_last`] before.
    pub fn take(&mut self, part: Part, event: &Event) {
        if part == Part::Begins {
            // The flags follow number and domain; `FL_STANDALONE` is 1 (MariaDB manual, "GTID_EVENT").
            let is_standalone = event.body().get(12).is_none_or(|flags| flags & 1 != 0);
            self.is_group = event.header.kind == EventKind::MARIADB_GTID && !is_standalone;
        }
        if part != Part::Between && self.found.is_none() {
            self.found = self.look(event);
        }
    }

    /// Gives what the transaction has that is over now.
    pub fn of_last(&mut self) -> Option<Hindrance> {
        self.found.take()
    }

    fn look(&self, event: &Event) -> Option<Hindrance> {
        let kind = event.header.kind;
        if kind == EventKind::EXECUTE_LOAD {
            return Some(Hindrance::LoadData);
        }
        if !self.is_group || !matches!(kind, EventKind::QUERY | EventKind::QUERY_COMPRESSED) {
            return None;
        }
        let sql = Query::of(event)?.sql;
        let is = |words: &str| sql.get(..words.len()).is_some_and(|head| head.eq_ignore_ascii_case(words));
        (is("CREATE TABLE") || is("CREATE OR REPLACE TABLE")).then_some(Hindrance::TableWithRows)
    }
}
