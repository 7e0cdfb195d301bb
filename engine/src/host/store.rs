//! A place for objects.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Body;
use crate::environment::StoreConfig;

/// An object's name inside a store: `/`-separated, no empty part, no `.` or `..`, no control character or `\`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Key(String);

/// Why a text is no [`Key`].
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{key}` is no object key: {why}")]
pub struct KeyError {
    /// The text.
    pub key: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Key {
    /// Checks a text; at most 1,024 bytes of UTF-8, the limit of S3 and GCS.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let why = if text.is_empty() {
            Some("it is empty")
        } else if text.len() > 1024 {
            Some("it is longer than 1,024 bytes")
        } else if text.chars().any(|c| c.is_control() || c == '\\') {
            Some("it has a control character or a backslash")
        } else if text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            Some("it has an empty, `.` or `..` part")
        } else {
            None
        };
        match why {
            Some(why) => Err(KeyError { key: text, why }),
            None => Ok(Self(text)),
        }
    }

    /// Gives the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a store knows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub key: Key,
    /// Its size.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// What `put` does when the object is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Fail with [`StoreErrorKind::AlreadyExists`] and leave it as it is; atomic against other writers.
    IfAbsent,
    /// Take its place, atomically: a reader sees the old or the new one, whole.
    Replace,
}

/// The kinds of trouble a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object (or bucket, or directory).
    NotFound,
    /// `PutMode::IfAbsent` found one.
    AlreadyExists,
    /// [`ObjectStore::swap`] found another state than the expected one.
    Changed,
    /// Credentials or permissions.
    Denied,
    /// No room left.
    Full,
    /// It may work later.
    Unavailable,
    /// What was read is not what was written.
    Corrupt,
    /// The stream that was to be stored failed.
    Source,
    /// The request itself is wrong.
    Invalid,
}

/// Why a store could not do it: names store, operation and key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {operation} {}{store}: {why}", key_in(key))]
pub struct StoreError {
    /// What can be done about it.
    pub kind: StoreErrorKind,
    /// The store's URL.
    pub store: String,
    /// `read`, `write`, `list`, `delete`, `look at`; `open`, `write to` for the store itself.
    pub operation: &'static str,
    /// The object or prefix; empty when it is about the whole store.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// What marks one state of an object, for [`ObjectStore::swap`]. Opaque: an `ETag` of S3, a generation of Google Cloud Storage, a
/// checksum of what is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(pub String);

/// Where an object lies inside a provider, so that the provider can copy it by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPlace {
    /// The service, by protocol and endpoint: only stores of one service can copy among themselves.
    pub service: String,
    /// The bucket.
    pub bucket: String,
    /// The object's whole name in it.
    pub object: String,
}

fn key_in(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("`{key}` in ") }
}

/// A place for objects. Nothing half-written is ever readable or listed.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Gives its URL, without credentials.
    fn url(&self) -> &str;

    /// Stores a stream. The object appears only after the body ended well and is durable (synced).
    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError>;

    /// Reads an object, or a range of its bytes.
    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError>;

    /// Looks at an object; `None` when there is none.
    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError>;

    /// Lists the objects whose key starts with `prefix` (a text, not a folder), in key order.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError>;

    /// Removes an object; removing what is not there is no error.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;

    /// Reads a small object with the mark of its state; `None` when there is none.
    ///
    /// # Errors
    /// As `get`, and `Invalid` when it has more than `limit_bytes`.
    async fn read_stamped(&self, key: &Key, limit_bytes: usize)
    -> Result<Option<(Bytes, Stamp)>, StoreError>;

    /// Puts `bytes` in place of the state `expected`, or of nothing at all (`None`), atomically against every
    /// other `swap` of this object, from whatever machine. An object is written either by `swap` or by `put`.
    ///
    /// # Errors
    /// `Changed` when the object is not, or no longer, in that state; `AlreadyExists` when there was to be none.
    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError>;

    /// Says where an object lies inside a provider that copies by itself.
    fn place(&self, _key: &Key) -> Option<ProviderPlace> {
        None
    }

    /// Lets the provider copy an object to `key` without its bytes passing through us.
    /// `None` when this store can't take it from that place: then it has to be read and put.
    async fn copy_from(
        &self,
        _from: &ProviderPlace,
        _key: &Key,
        _mode: PutMode,
    ) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(None)
    }

    /// Proves that objects can be written, without leaving one behind.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Removes what writes that were killed before `before` left behind unseen; gives how many.
    async fn remove_abandoned(&self, _before: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// Opens stores by their configuration.
#[async_trait]
pub trait Stores: Send + Sync {
    /// Opens one. The URL's scheme (`file:`, `s3:`, `gs:`) picks the implementation.
    async fn open(&self, config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, StoreError>;
}
