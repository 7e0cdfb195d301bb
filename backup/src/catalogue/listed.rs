//! What a list of backups says of each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rekindle_engine::host::ObjectInfo;
use serde::{Deserialize, Serialize};

use super::index::ReadFrom;
use super::{CatalogueError, why_kept};
use crate::binlog::LogPoint;
use crate::covers::Covers;
use crate::layout::BackupUri;
use crate::manifest::{BackupKind, Flavour, Manifest};
use crate::mark::{self, Mark};
use crate::verdict::{self, Level, Verdict};

/// A manifest in short: what is needed to list, choose and thin out, in some hundred bytes, and the names in a
/// partial one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How it was made.
    pub kind: BackupKind,
    /// What of its server it covers.
    pub covers: Covers,
    /// The family of the server it is of.
    pub flavour: Flavour,
    /// The version of that server.
    pub version: String,
    /// The point in time that restoring it leads to (UTC).
    pub recovery_point: Timestamp,
    /// Where that is in the binary logs of its server.
    pub log_point: LogPoint,
    /// Size of its objects.
    pub size_bytes: u64,
    /// Databases in it.
    pub databases: u64,
    /// Base tables in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
    /// The id of the backup that it is an increment to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The manifest's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl From<&Manifest> for Summary {
    fn from(manifest: &Manifest) -> Self {
        Self {
            kind: manifest.kind,
            covers: Covers::of(manifest),
            flavour: manifest.server.flavour,
            version: manifest.server.version.clone(),
            recovery_point: manifest.recovery_point(),
            log_point: manifest.into(),
            size_bytes: manifest.size_bytes(),
            databases: manifest.inventory.databases.len() as u64,
            tables: manifest.inventory.table_count(),
            rows: manifest.inventory.row_count(),
            base: manifest.physical.as_ref().and_then(|physical| Some(physical.base.as_ref()?.id.clone())),
            labels: manifest.labels.clone(),
        }
    }
}

/// A backup in a store.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Which.
    pub uri: BackupUri,
    /// What its manifest says, in short, or why that can't be known.
    pub summary: Result<Summary, CatalogueError>,
    /// Verdicts of verifications.
    pub verdicts: Vec<Verdict>,
    /// Verdict objects that can't be read, with why.
    pub damaged_verdicts: Vec<CatalogueError>,
    /// What people said of it, or why that can't be known.
    pub mark: Option<Result<Mark, CatalogueError>>,
    /// The room that all its objects take in the store, extra ones included.
    pub size_bytes: u64,
    /// When its manifest was stored, by the store's clock.
    pub stored_at: Timestamp,
    pub(super) read_from: Vec<ReadFrom>,
}

impl Listed {
    /// Gives the point in time that it restores. When the manifest can't be read: the time in the id, or when
    /// the manifest was stored.
    pub fn recovery_point(&self) -> Timestamp {
        match &self.summary {
            Ok(summary) => summary.recovery_point,
            Err(_) => time_in(&self.uri.id).unwrap_or(self.stored_at),
        }
    }

    /// Gives the levels at which it is proven good, mildest first.
    pub fn proven(&self) -> Vec<Level> {
        if self.summary.is_err() { Vec::new() } else { verdict::proven(&self.verdicts) }
    }

    /// Gives why it is marked to be kept; pruning never removes such a one. A mark that can't be read keeps too.
    pub fn kept(&self) -> Option<String> {
        self.mark.as_ref().and_then(why_kept)
    }

    /// Gives its labels: those of the manifest with those of its mark over them.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let none = BTreeMap::new();
        let manifest = self.summary.as_ref().map_or(&none, |summary| &summary.labels);
        match &self.mark {
            Some(Ok(said)) => mark::laid_over(manifest, &said.labels),
            Some(Err(_)) | None => manifest.clone(),
        }
    }

    /// Tells whether two looks at a backup have found the same.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let known = |one: &Self| (one.summary.clone().ok(), one.verdicts.clone(), one.kept(), one.labels());
        known(self) == known(other)
    }

    /// Tells whether something of it is archived, or may not be read, so that nobody knows now what it says.
    pub(super) fn is_unreadable_now(&self) -> bool {
        let is = |error: &CatalogueError| matches!(error, CatalogueError::Store(_));
        self.summary.as_ref().err().is_some_and(is)
            || self.damaged_verdicts.iter().any(is)
            || matches!(&self.mark, Some(Err(error)) if is(error))
    }

    /// Tells whether a verification found it bad, and none has found it good since.
    pub fn has_failed(&self) -> bool {
        self.summary.is_err() || verdict::has_failed(&self.verdicts)
    }
}

/// Objects that lie where a backup would, without a manifest: of a run that goes on, or that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublished {
    /// What the backup would be called.
    pub uri: BackupUri,
    /// Its objects.
    pub objects: Vec<ObjectInfo>,
    /// When the youngest of them was written.
    pub newest: Timestamp,
}

/// Everything under `backups/`.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Backups, by cluster, the oldest first.
    pub backups: Vec<Listed>,
    /// What is no backup (yet), by uri.
    pub unpublished: Vec<Unpublished>,
    /// Whether indexes told of all of them, so that nothing was read.
    pub(super) is_remembered: bool,
}

/// Reads the time that the ids of runs begin with: `20261122T153500Z`.
fn time_in(id: &str) -> Option<Timestamp> {
    let time = id.get(..16)?.strip_suffix('Z')?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", time).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
