//! Which backups are counted together: those that were made alike and cover the same. Pure.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::covers::Covers;
use crate::manifest::BackupKind;

/// What backups have in common that are counted together. A recovery starts from one kind, and from a whole one, so none
/// of another series can take the place of one of this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// How they are made.
    pub kind: BackupKind,
    /// What they cover.
    pub covers: Covers,
}

impl Series {
    /// Tells whether one of this series has all that one of another has, and is restored the same way.
    pub(super) fn stands_in_for(&self, other: &Self) -> bool {
        self != other && self.kind == other.kind && self.covers.includes(&other.covers)
    }
}

impl fmt::Display for Series {
    /// Writes it as the reasons word it: `logical`, `physical`, `only shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.covers.is_whole() { write!(f, "{}", self.kind) } else { write!(f, "{}", self.covers) }
    }
}

/// Which backups rules are for: those of one kind that cover just this. All others stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// How they are made.
    pub kind: BackupKind,
    /// The databases that they are of; of everything without these and `tables`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// The tables that they are of, as `database.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl Only {
    pub(super) fn has(&self, series: &Series) -> bool {
        series.kind == self.kind && series.covers.is_of(&self.databases, &self.tables)
    }
}

impl fmt::Display for Only {
    /// Writes them as the reasons word them: `physical backups of everything`, `logical backups of shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [self.databases.as_slice(), self.tables.as_slice()].concat();
        let of = if names.is_empty() { "everything".to_owned() } else { names.join(", ") };
        write!(f, "{} backups of {of}", self.kind)
    }
}
