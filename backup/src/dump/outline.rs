//! The index of a dump → what is before the first database, the parts of each table, and the rest.

use std::ops::Range;

use crate::manifest::{DumpIndex, Member};

/// The members of one table in order: its definition, its rows, its triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMembers {
    /// The database it is in.
    pub database: String,
    /// Its name.
    pub table: String,
    /// What creates it.
    pub definition: Range<usize>,
    /// Members that only insert rows, and can be loaded side by side.
    pub rows: Range<usize>,
    /// What comes after the rows.
    pub rest: Range<usize>,
    /// Size of its text.
    pub text_bytes: u64,
    /// Size of its members in the object.
    pub size_bytes: u64,
}

/// What the members of a dump are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Before the first database: the session's settings, and accounts.
    pub head: Range<usize>,
    /// Its tables in order.
    pub tables: Vec<TableMembers>,
    /// What belongs to no table: databases, sequences, views, routines, events, privileges, the end.
    pub others: Vec<usize>,
}

impl Outline {
    /// Reads an index; nothing when its members don't prove every byte of the object, as those of older dumps.
    pub fn of(index: &DumpIndex) -> Option<Self> {
        if index.members.is_empty() || !proves_all(index) {
            return None;
        }
        let head = index.members.iter().take_while(|m| m.database.is_none() && m.table.is_none()).count();
        let mut outline = Self { head: 0..head, ..Self::default() };
        let of_one = |a: &Member, b: &Member| a.table == b.table && a.database == b.database;
        let mut at = head;
        for group in index.members[head..].chunk_by(of_one) {
            let range = at..at + group.len();
            at = range.end;
            match &group[0] {
                Member { database: Some(database), table: Some(table), .. } => {
                    outline.tables.push(table_of(database, table, group, range));
                }
                _ => outline.others.extend(range),
            }
        }
        Some(outline)
    }
}

/// Tells whether the members follow each other from the object's first byte to its last, each with a checksum.
fn proves_all(index: &DumpIndex) -> bool {
    let mut end = Some(0_u64);
    for member in &index.members {
        if end != Some(member.offset) || member.sha256.is_none() || member.size_bytes == 0 {
            return false;
        }
        end = member.offset.checked_add(member.size_bytes);
    }
    end == Some(index.object.size_bytes)
}

fn table_of(database: &str, table: &str, group: &[Member], range: Range<usize>) -> TableMembers {
    let is_rows = |member: &&Member| member.rows > 0;
    // Without rows everything after the first member is left for the end.
    let definition = group.iter().position(|member| member.rows > 0).unwrap_or(1);
    let rows = group[definition..].iter().take_while(is_rows).count();
    let first = range.start + definition;
    TableMembers {
        database: database.to_owned(),
        table: table.to_owned(),
        definition: range.start..first,
        rows: first..first + rows,
        rest: first + rows..range.end,
        text_bytes: group.iter().map(|member| member.text_bytes).sum(),
        size_bytes: group.iter().map(|member| member.size_bytes).sum(),
    }
}
