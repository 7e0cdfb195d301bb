//! How much of a dump is loaded, and under which names; and how tables that were loaded aside get to their place.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rekindle_backup::dump::TableMembers;
use rekindle_backup::sql::Kind;
use rekindle_engine::step::StepError;

use super::worker::{Load, quoted};
use crate::connection::{Server, quote_string};
use crate::restore::part::{Part, TablePart, shown};
use crate::restore::rewrite::{self, ConstraintNames};
use crate::restore::send::StatementSender;

/// How much of a dump is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::restore) enum Extract<'a> {
    /// All of it.
    Whole,
    /// A part.
    Part(&'a Part),
}

impl<'a> Extract<'a> {
    fn part_of(self, table: &TableMembers) -> Option<(&'a Part, &'a TablePart)> {
        match self {
            Self::Whole => None,
            Self::Part(part) => part.table(table).map(|table| (part, table)),
        }
    }

    /// Gives the databases that are loaded whole, by their names in the dump, where that is not all of it.
    pub(super) fn databases(self) -> BTreeSet<&'a str> {
        match self {
            Self::Whole => BTreeSet::new(),
            Self::Part(part) => part.databases.keys().map(String::as_str).collect(),
        }
    }

    /// Gives the name of a database on the server.
    pub(super) fn database<'b>(&'b self, name: &'b str) -> &'b str {
        match self {
            Self::Whole => name,
            Self::Part(part) => part.databases.get(name).map_or(name, String::as_str),
        }
    }

    /// Gives the database that a table is loaded into.
    pub(super) fn home<'b>(&'b self, table: &'b TableMembers) -> Cow<'b, str> {
        let scratch = self.part_of(table).and_then(|(part, _)| part.scratch(&table.database));
        scratch.map_or(Cow::Borrowed(self.database(&table.database)), Cow::Owned)
    }

    /// Tells whether what is of a database in the dump is loaded into another one.
    pub(super) fn moves_from(self, database: &str) -> bool {
        let Self::Part(part) = self else { return false };
        self.database(database) != database || part.scratch(database).is_some()
    }

    /// Tells whether a table is loaded aside and moved to its place.
    pub(super) fn moves(self, table: &TableMembers) -> bool {
        self.part_of(table).is_some()
    }

    /// Gives `CREATE TABLE` as it has to be here; nothing when it is as in the dump.
    pub(super) fn create_table(self, table: &TableMembers, sql: &[u8]) -> Option<Vec<u8>> {
        let Self::Part(part) = self else { return None };
        let names = match part.table(table) {
            Some(table) if table.from.1 != table.to.1 => ConstraintNames::LeaveOut,
            Some(_) | None => ConstraintNames::Keep,
        };
        let resolve =
            |database: Option<&str>, parent: &str| part.name_of(database.unwrap_or(&table.database), parent);
        Some(rewrite::create_table(sql, names, resolve))
    }
}

/// Moves tables that were loaded aside to their place, each in one step, and gives them their triggers.
pub(super) async fn publish(load: &Load<'_>, session: &mut StatementSender<'_>) -> Result<(), StepError> {
    for table in load.tables {
        let Some((_, part)) = load.extract.part_of(table) else { continue };
        move_one(load, session.server(), table, part).await?;
        if !part.has_triggers() {
            if !table.rest.is_empty() {
                load.cx.warn(&format!(
                    "the triggers of {} are not restored: it has another name, and theirs may be taken",
                    shown(&part.to)
                ));
            }
            continue;
        }
        session.enter(&part.to.0).await?;
        let there = triggers(session.server(), part).await?;
        // Of a table without rows the triggers are in the member that defines it.
        let definition = if table.rows.is_empty() { table.definition.clone() } else { 0..0 };
        for member in definition.chain(table.rest.clone()) {
            let opened = load.members.open(member).await?;
            for statement in opened.outgoing() {
                let is_there =
                    matches!(statement.kind, Kind::Trigger { name, .. } if there.contains(&name.name));
                let is_of_triggers = table.rest.contains(&member)
                    || matches!(statement.kind, Kind::Trigger { .. } | Kind::Set);
                // What the database is by default is not the table's.
                let is_of_database = rewrite::altered_database(statement.sql, statement.kind).is_some();
                if is_of_triggers && !is_there && !is_of_database {
                    load.send_elsewhere(session, statement, &table.database, &part.to.0).await?;
                }
            }
        }
    }
    Ok(())
}

/// Takes the place of a table with the same name: that it may was asked before anything was loaded.
async fn move_one(
    load: &Load<'_>,
    server: &mut Server,
    table: &TableMembers,
    part: &TablePart,
) -> Result<(), StepError> {
    let aside = load.name(table);
    if !exists(server, &aside).await? {
        // An earlier try moved it.
        return Ok(());
    }
    let (from, to) = (quoted(&aside), quoted(&part.to));
    let session = &mut server.session;
    session
        .run(&format!("drop the table {}", shown(&part.to)), &format!("DROP TABLE IF EXISTS {to}"))
        .await?;
    let what = format!("put the table {} in its place", shown(&part.to));
    Ok(session.run(&what, &format!("RENAME TABLE {from} TO {to}")).await?)
}

async fn exists(server: &mut Server, (database, table): &(String, String)) -> Result<bool, StepError> {
    let query = format!(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_string(database),
        quote_string(table)
    );
    Ok(server.session.first::<u8>("look for a table", &query).await?.is_some())
}

async fn triggers(server: &mut Server, part: &TablePart) -> Result<BTreeSet<String>, StepError> {
    let query = format!(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} AND EVENT_OBJECT_TABLE = {}",
        quote_string(&part.to.0),
        quote_string(&part.to.1)
    );
    let names: Vec<String> = server.session.rows("list its triggers", &query).await?;
    Ok(names.into_iter().collect())
}
