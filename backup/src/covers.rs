//! What of a server a backup covers: its manifest in; everything, or some databases and tables, out. Pure.
//!
//! It follows from the objects of the backup, so every manifest that was ever written tells it. A backup is *whole* when
//! it covers everything; only such a one brings a server back, and only onto such a one are binary logs replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::inventory::{Database, table_named};
use crate::manifest::{Manifest, ObjectRole};

/// How many names a text has at most.
const MAX_NAMED: usize = 5;

/// What of a server a backup covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    /// All databases of users.
    Everything,
    /// Some databases, by name, with what it has of each.
    Part(BTreeMap<String, Held>),
    /// No row at all.
    Schema,
}

/// What a partial backup has of a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// All of it.
    Whole,
    /// These tables.
    Tables(BTreeSet<String>),
}

impl Covers {
    /// Tells it of a backup. Where dumps of databases and dumps of tables make it up together, its manifest does not say
    /// which database is whole: then it covers the tables, which is less and surely there.
    pub fn of(manifest: &Manifest) -> Self {
        let has = |role| manifest.objects.iter().any(|object| object.role == role);
        if has(ObjectRole::Full) || has(ObjectRole::Files) {
            return Self::Everything;
        }
        let has_tables = has(ObjectRole::Tables);
        if !has_tables && !has(ObjectRole::Databases) {
            return Self::Schema;
        }
        let held = |database: &Database| {
            if has_tables { Held::Tables(database.tables.keys().cloned().collect()) } else { Held::Whole }
        };
        let databases = manifest.inventory.databases.iter();
        Self::Part(databases.map(|(name, database)| (name.clone(), held(database))).collect())
    }

    /// Tells whether it is a backup of a whole server.
    pub fn is_whole(&self) -> bool {
        *self == Self::Everything
    }

    /// Tells whether all of a database is in it, as far as can be said without its inventory.
    pub fn may_hold_database(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Part(databases) => databases.get(name) == Some(&Held::Whole),
            Self::Schema => false,
        }
    }

    /// The same of `database.table`; either name may have dots.
    pub fn may_hold_table(&self, name: &str) -> bool {
        let has = |database: &str, table: &str| match self {
            Self::Everything => Some(()),
            Self::Part(databases) => match databases.get(database)? {
                Held::Whole => Some(()),
                Held::Tables(tables) => tables.contains(table).then_some(()),
            },
            Self::Schema => None,
        };
        table_named(name, has).is_some()
    }

    /// Tells whether a backup that covers this can stand in for one that covers `other`.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) | (Self::Schema, Self::Schema) => true,
            (Self::Part(mine), Self::Part(theirs)) => {
                theirs.iter().all(|(name, held)| mine.get(name).is_some_and(|mine| mine.includes(held)))
            }
            (Self::Part(_), Self::Everything | Self::Schema)
            | (Self::Schema, Self::Everything | Self::Part(_)) => false,
        }
    }

    /// Tells whether it is what a user wrote: these databases and tables (`database.table`), everything when there are
    /// none.
    pub fn is_of(&self, databases: &[String], tables: &[String]) -> bool {
        let Self::Part(held) = self else {
            return self.is_whole() && databases.is_empty() && tables.is_empty();
        };
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let (whole, single) = names(held);
        set(databases) == set(&whole) && set(tables) == set(&single)
    }
}

/// Names the databases that are there whole, and the tables of the others.
fn names(databases: &BTreeMap<String, Held>) -> (Vec<String>, Vec<String>) {
    let (mut whole, mut single) = (Vec::new(), Vec::new());
    for (name, held) in databases {
        match held {
            Held::Whole => whole.push(name.clone()),
            Held::Tables(tables) => single.extend(tables.iter().map(|table| format!("{name}.{table}"))),
        }
    }
    (whole, single)
}

impl Held {
    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole, _) => true,
            (Self::Tables(mine), Self::Tables(theirs)) => theirs.is_subset(mine),
            (Self::Tables(_), Self::Whole) => false,
        }
    }
}

impl fmt::Display for Covers {
    /// Writes it as lists and reasons word it: `everything`, `only crm, shop.orders`, `only the schema`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match self {
            Self::Everything => return f.write_str("everything"),
            Self::Schema => return f.write_str("only the schema"),
            Self::Part(databases) => {
                let (whole, single) = names(databases);
                [whole, single].concat()
            }
        };
        if names.is_empty() {
            return f.write_str("nothing");
        }
        write!(
            f,
            "only {}",
            names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ")
        )?;
        match names.len().saturating_sub(MAX_NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
#[path = "covers_tests.rs"]
mod tests;
