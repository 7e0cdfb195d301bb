//! Where the objects of a backup lie in a store, and how a backup is named.

use std::fmt;
use std::str::FromStr;

use rekindle_engine::host::{Key, KeyError};
use rekindle_engine::id::StoreName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The object whose presence makes a backup exist.
pub const MANIFEST: &str = "manifest.json";

/// The object that says what the server was, written by `mysql.inspect`.
pub const SERVER_FACTS: &str = "server.json";

/// The object that tells a person how to restore without rekindle.
pub const INSTRUCTIONS: &str = "RESTORE.txt";

/// The object that says whether a backup is kept from being pruned, and why (see [`crate::mark`]).
pub const KEEP_MARK: &str = "keep.json";

/// Gives the name of the index of the dump `name`: `full.index.json`.
pub fn index_name(name: &str) -> String {
    format!("{name}.index.json")
}

/// One backup in one store: `backup://STORE/CLUSTER/ID`.
///
/// Its objects lie under `backups/CLUSTER/ID/`; verdicts of verifications under `…/verified/LEVEL.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupUri {
    /// The store, as the environment names it.
    pub store: StoreName,
    /// The cluster the backup is of.
    pub cluster: String,
    /// The backup's id: `20261122T153500Z-1f9c`, so that text order is time order.
    pub id: String,
}

impl BackupUri {
    /// Gives the prefix of all objects of this backup, with its trailing `/`.
    pub fn prefix(&self) -> String {
        format!("backups/{}/{}/", self.cluster, self.id)
    }

    /// Gives the key of one of its objects.
    pub fn key(&self, name: &str) -> Result<Key, KeyError> {
        Key::new(format!("{}{name}", self.prefix()))
    }

    /// Gives the prefix of all backups of a cluster.
    pub fn cluster_prefix(cluster: &str) -> String {
        format!("backups/{cluster}/")
    }
}

impl fmt::Display for BackupUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backup://{}/{}/{}", self.store, self.cluster, self.id)
    }
}

/// Why a text is no [`BackupUri`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no backup: expected `backup://STORE/CLUSTER/ID`, as `rekindle backups list` prints it")]
pub struct BackupUriError(pub String);

impl FromStr for BackupUri {
    type Err = BackupUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || BackupUriError(text.to_owned());
        let mut parts = text.strip_prefix("backup://").ok_or_else(wrong)?.split('/');
        let (Some(store), Some(cluster), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let uri = Self { store: store.into(), cluster: cluster.to_owned(), id: id.to_owned() };
        if store.is_empty() || uri.key(MANIFEST).is_err() {
            return Err(wrong());
        }
        Ok(uri)
    }
}

impl Serialize for BackupUri {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for BackupUri {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BackupUri".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "backup", "pattern": "^backup://[^/]+/[^/]+/[^/]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_uri_reads_back_as_written() {
        let uri: BackupUri = "backup://primary/shop/20261122T153500Z-1f9c".parse().unwrap();
        assert_eq!(uri.to_string(), "backup://primary/shop/20261122T153500Z-1f9c");
        assert_eq!(uri.key(MANIFEST).unwrap().as_str(), "backups/shop/20261122T153500Z-1f9c/manifest.json");
    }

    #[test]
    fn a_backup_uri_does_not_escape_its_store() {
        for text in [
            "backup://p/../x",
            "backup://p/x/..",
            "backup://p/x",
            "backup://p/x/y/z",
            "p/x/y",
            "backup:///x/y",
        ] {
            assert!(text.parse::<BackupUri>().is_err(), "{text}");
        }
    }
}
