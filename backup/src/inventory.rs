//! What is in a server or in a backup: databases, tables with row counts, views, triggers, routines, events, users.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Databases whose contents belong to the server itself and are not compared.
pub const SYSTEM_DATABASES: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// Everything countable in a server at one point in time, system databases left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// By name.
    #[serde(default)]
    pub databases: BTreeMap<String, Database>,
}

impl Inventory {
    /// Counts the base tables.
    pub fn table_count(&self) -> u64 {
        self.databases.values().map(|database| database.tables.len() as u64).sum()
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
}

/// One base table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Rows; absent when they were not counted (a schema-only dump).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
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
