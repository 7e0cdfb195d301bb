//! What is in a server or in a backup: databases, tables with row counts, views, triggers, routines, events, users.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Databases whose contents belong to the server itself and are not compared.
pub const SYSTEM_DATABASES: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// The database that a restore keeps its marker in. It is part of no dump, and no comparison looks at it.
pub const MARKER_DATABASE: &str = "rekindle_restore";

/// Finds what `database.table` means: either may have dots in its name, so what is there decides.
pub fn table_named<T>(name: &str, find: impl Fn(&str, &str) -> Option<T>) -> Option<T> {
    name.match_indices('.').find_map(|(at, _)| find(&name[..at], &name[at + 1..]))
}

/// Tells whether a database is a restore's own: [`MARKER_DATABASE`], or one that it loads tables into before they get
/// to their place (`rekindle_restore.1`).
pub fn is_of_restore(database: &str) -> bool {
    let rest = database.strip_prefix(MARKER_DATABASE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Everything countable in a server at one point in time, system databases left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// By name.
    #[serde(default)]
    pub databases: BTreeMap<String, Database>,
    /// What accounts get on `*.*`: `user@host` → `SUPER` and so on, as the server calls it. Told of dumps only, and absent in
    /// those made before it was noted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub granted: BTreeMap<String, BTreeSet<String>>,
}

impl Inventory {
    /// Counts the base tables.
    pub fn table_count(&self) -> u64 {
        self.databases.values().map(|database| database.tables.len() as u64).sum()
    }

    /// Counts the tables whose checksum is known.
    pub fn checksum_count(&self) -> u64 {
        let tables = self.databases.values().flat_map(|database| database.tables.values());
        tables.filter(|table| table.checksum.is_some()).count() as u64
    }

    /// Counts the tables whose checksum both know.
    pub fn shared_checksum_count(&self, other: &Self) -> u64 {
        let known = |of: &Self, database: &str, table: &str| {
            let found = of.databases.get(database).and_then(|database| database.tables.get(table));
            found.is_some_and(|table| table.checksum.is_some())
        };
        let tables =
            self.databases.iter().flat_map(|(name, held)| held.tables.keys().map(move |table| (name, table)));
        let both = |(name, table): &(&String, &String)| known(self, name, table) && known(other, name, table);
        tables.filter(both).count() as u64
    }

    /// Adds what another dump of the same server has.
    pub fn add(&mut self, other: &Self) {
        for (account, granted) in &other.granted {
            self.granted.entry(account.clone()).or_default().extend(granted.iter().cloned());
        }
        for (name, theirs) in &other.databases {
            let mine = self.databases.entry(name.clone()).or_default();
            mine.tables.extend(theirs.tables.clone());
            mine.triggers.extend(theirs.triggers.clone());
            mine.views.extend(theirs.views.iter().cloned());
            mine.routines.extend(theirs.routines.iter().cloned());
            mine.events.extend(theirs.events.iter().cloned());
            mine.sequences.extend(theirs.sequences.iter().cloned());
            mine.definers.extend(theirs.definers.clone());
            mine.undeclared_functions.extend(theirs.undeclared_functions.iter().cloned());
        }
    }

    /// Takes over the checksums of tables that both know.
    pub fn take_checksums(&mut self, from: Self) {
        for (database, from) in from.databases {
            let Some(into) = self.databases.get_mut(&database) else { continue };
            for (table, from) in from.tables {
                if let Some(into) = into.tables.get_mut(&table) {
                    into.checksum = from.checksum;
                }
            }
        }
    }

    /// Counts the rows that were counted.
    pub fn row_count(&self) -> u64 {
        self.databases
            .values()
            .flat_map(|database| database.tables.values())
            .filter_map(|table| table.rows)
            .sum()
    }
}

/// One database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Database {
    /// Base tables by name.
    #[serde(default)]
    pub tables: BTreeMap<String, Table>,
    /// View names.
    #[serde(default)]
    pub views: BTreeSet<String>,
    /// Triggers by name.
    #[serde(default)]
    pub triggers: BTreeMap<String, Trigger>,
    /// `PROCEDURE name`, `FUNCTION name`, `PACKAGE name`, `PACKAGE BODY name`.
    #[serde(default)]
    pub routines: BTreeSet<String>,
    /// Event names.
    #[serde(default)]
    pub events: BTreeSet<String>,
    /// Sequence names (MariaDB).
    #[serde(default)]
    pub sequences: BTreeSet<String>,
    /// Whom what is not a table acts as: `VIEW names`, `TRIGGER keep`, or a routine or `EVENT` → `user@host`. Told of dumps
    /// only, and absent in those made before it was noted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definers: BTreeMap<String, String>,
    /// Functions that say none of `DETERMINISTIC`, `NO SQL` and `READS SQL DATA`, by name: servers that write a binary log
    /// refuse them unless `log_bin_trust_function_creators` is on. Told of dumps only.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub undeclared_functions: BTreeSet<String>,
}

/// One base table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Rows; absent when they were not counted (a schema-only dump).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// A text that is equal for equal rows on servers of one release series: `CHECKSUM TABLE`, or a digest of every
    /// row. Absent when it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// The table it belongs to.
    pub table: String,
    /// `BEFORE` or `AFTER`.
    pub timing: String,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
}

/// One thing in which two inventories differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is expected and not there: `table shop.orders`.
    Missing(String),
    /// It is there and not expected.
    Extra(String),
    /// It is there, but not the same.
    Changed {
        /// What: `the rows of table shop.orders`.
        what: String,
        /// As expected.
        expected: String,
        /// As found.
        found: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::Extra(what) => write!(f, "{what} is too much"),
            Self::Changed { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
        }
    }
}

impl Inventory {
    /// Lists how `found` differs from this one, in name order. Rows are compared where both counted them, checksums
    /// where both took them; [`MARKER_DATABASE`] is left out, and so are definers and
    /// privileges, which no server is asked for.
    pub fn compare(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let pairs =
            pair_up(&self.databases, &found.databases, &mut differences, |name| format!("database {name}"));
        for (name, expected, found) in pairs {
            expected.compare(name, found, &mut differences);
        }
        let marker = format!("database {MARKER_DATABASE}");
        let is_marker = |found: &Difference| match found {
            Difference::Missing(what) | Difference::Extra(what) => *what == marker,
            Difference::Changed { .. } => false,
        };
        differences.retain(|found| !is_marker(found));
        differences
    }
}

impl Database {
    fn compare(&self, name: &str, found: &Self, into: &mut Vec<Difference>) {
        for (table, mine, theirs) in
            pair_up(&self.tables, &found.tables, into, |t| format!("table {name}.{t}"))
        {
            if let (Some(expected), Some(found)) = (mine.rows, theirs.rows)
                && expected != found
            {
                into.push(Difference::Changed {
                    what: format!("the rows of table {name}.{table}"),
                    expected: expected.to_string(),
                    found: found.to_string(),
                });
            } else if let (Some(expected), Some(found)) = (&mine.checksum, &theirs.checksum)
                && expected != found
            {
                into.push(Difference::Changed {
                    what: format!("the checksum of table {name}.{table}"),
                    expected: expected.clone(),
                    found: found.clone(),
                });
            }
        }
        for (trigger, mine, theirs) in
            pair_up(&self.triggers, &found.triggers, into, |t| format!("trigger {name}.{t}"))
        {
            if mine != theirs {
                let show = |t: &Trigger| format!("{} {} on {}", t.timing, t.event, t.table);
                into.push(Difference::Changed {
                    what: format!("trigger {name}.{trigger}"),
                    expected: show(mine),
                    found: show(theirs),
                });
            }
        }
        let sets = [
            ("view", &self.views, &found.views),
            ("routine", &self.routines, &found.routines),
            ("event", &self.events, &found.events),
            ("sequence", &self.sequences, &found.sequences),
        ];
        for (what, mine, theirs) in sets {
            into.extend(
                mine.difference(theirs).map(|x| Difference::Missing(format!("{what} {x} of {name}"))),
            );
            into.extend(theirs.difference(mine).map(|x| Difference::Extra(format!("{what} {x} of {name}"))));
        }
    }
}

/// Gives what both have by name; what only one has becomes a difference.
fn pair_up<'a, T>(
    expected: &'a BTreeMap<String, T>,
    found: &'a BTreeMap<String, T>,
    differences: &mut Vec<Difference>,
    label: impl Fn(&str) -> String,
) -> Vec<(&'a str, &'a T, &'a T)> {
    let mut pairs = Vec::new();
    for (name, mine) in expected {
        match found.get(name) {
            Some(theirs) => pairs.push((name.as_str(), mine, theirs)),
            None => differences.push(Difference::Missing(label(name))),
        }
    }
    let extra = found.keys().filter(|name| !expected.contains_key(*name));
    differences.extend(extra.map(|name| Difference::Extra(label(name))));
    pairs
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
