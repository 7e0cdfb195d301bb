//! A place for objects.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Bucket, Resumption, Secret, UploadSource};
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
    /// The checksum of the whole that the store keeps. Many keep none, and a list never tells it.
    pub checksum: Option<Checksum>,
    /// What marks this state for [`ObjectStore::get_stamped`]: other bytes never have the same. A list tells it where
    /// the provider's does. Not always what `swap` wants.
    pub stamp: Option<Stamp>,
}

impl ObjectInfo {
    /// Makes one of what every store knows, and a list tells.
    pub fn new(key: Key, size_bytes: u64, modified: Timestamp) -> Self {
        Self { key, size_bytes, modified, checksum: None, stamp: None }
    }
}

/// A checksum of all bytes of an object, as its store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: ChecksumAlgorithm,
    /// In base64, of big-endian bytes, as S3 and GCS write it; a SHA-256 in small hexadecimal digits.
    pub value: String,
}

/// How a [`Checksum`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// What S3 keeps of whole objects.
    Crc64Nvme,
    /// What GCS keeps.
    Crc32c,
    /// SHA-256.
    Sha256,
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
    /// It lies in a class that can't be read at once (`GLACIER`, `DEEP_ARCHIVE`): somebody has to bring it back first.
    Archived,
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
    /// `read`, `write`, `list`, `delete`, `look at`; `open`, `write to`, `change` for the store itself.
    pub operation: &'static str,
    /// The object or prefix; empty when it is about the whole store.
    pub key: String,
    /// Why not.
    pub why: String,
}

/// What marks one state of an object, for [`ObjectStore::swap`] and [`ObjectStore::get_stamped`]. Opaque: an `ETag`
/// of S3, a generation of GCS, a checksum of what is in a file, or which file it is.
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

/// A write that has not come to its end: an upload in parts, or a file that is not whole. No list of objects tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What it is called in the store: the name of the object that it is to become, where that is known.
    pub name: String,
    /// The object that it is to become; absent where the store can't tell.
    pub key: Option<Key>,
    /// When it was begun; absent where the store can't tell.
    pub begun: Option<Timestamp>,
    /// Its last sign of life.
    pub newest: Timestamp,
}

/// How objects are encrypted before they leave this machine. Public: it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Encryption {
    /// The format of each object: `age-encryption.org/v1`.
    pub format: String,
    /// The public keys it is encrypted to: whoever has the secret key of one of them can read it.
    pub recipients: Vec<String>,
}

impl Encryption {
    /// The one format there is: what every encrypted object begins with (<https://c2sp.org/age>).
    pub const AGE: &str = "age-encryption.org/v1";
}

fn key_in(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("`{key}` in ") }
}

/// A place for objects. Nothing half-written is ever readable or listed.
///
/// Bytes, sizes and ranges are those of what was put, also where a store encrypts it; only [`ObjectStore::list`] gives
/// the sizes that are stored.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Gives its URL, without credentials.
    fn url(&self) -> &str;

    /// Stores a stream. The object appears only after the body ended well and is durable (synced).
    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError>;

    /// Stores what can be read again: an upload that was interrupted goes on from what has arrived.
    ///
    /// What is needed for that is kept before the first byte is sent, and given back as `resumption.earlier` by
    /// the next try, from whatever process or machine. What was sent is compared with the source as it is then.
    /// As with `put`, the object appears only when it is whole. A failure leaves what has arrived: the next try
    /// goes on with it, or [`ObjectStore::remove_abandoned`] takes it away. A store that can't go on begins anew.
    async fn upload(
        &self,
        key: &Key,
        source: &dyn UploadSource,
        mode: PutMode,
        _resumption: Resumption<'_>,
    ) -> Result<ObjectInfo, StoreError> {
        let body = source.read(0..source.size_bytes()).await.map_err(|error| StoreError {
            kind: StoreErrorKind::Source,
            store: self.url().to_owned(),
            operation: "write",
            key: key.to_string(),
            why: error.to_string(),
        })?;
        self.put(key, body, mode).await
    }

    /// Reads an object, or a range of its bytes.
    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError>;

    /// Reads a range of an object that is still in the state which `head` told.
    ///
    /// # Errors
    /// As `get`, and `Changed` when it is in another state. A store that can't ask for a state looks beforehand:
    /// who puts bytes of several reads together proves the whole in the end.
    async fn get_stamped(&self, key: &Key, stamp: &Stamp, range: Range<u64>) -> Result<Body, StoreError> {
        match self.head(key).await? {
            Some(info) if info.stamp.as_ref() == Some(stamp) => self.get(key, Some(range)).await,
            Some(_) | None => Err(StoreError {
                kind: StoreErrorKind::Changed,
                store: self.url().to_owned(),
                operation: "read",
                key: key.to_string(),
                why: "it was replaced or removed meanwhile".to_owned(),
            }),
        }
    }

    /// Looks at an object; `None` when there is none.
    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError>;

    /// Lists the objects whose key starts with `prefix` (a text, not a folder), in key order.
    ///
    /// Sizes are those that lie in the store: of an encrypted object, more than can be read from it. They tell how much
    /// room it takes; what proves an object is [`ObjectStore::head`], or reading it.
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

    /// Says how this store encrypts; nothing when what it is given is what lies there.
    fn encryption(&self) -> Option<&Encryption> {
        None
    }

    /// Looks whether an object that is there lies encrypted: in a store that encrypts now, older ones may not.
    async fn is_encrypted(&self, _key: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Tells whether what is written can be read again from here; says what is missing when it can't.
    ///
    /// # Errors
    /// `Denied` when the store encrypts and has no key to decrypt.
    fn check_readable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stores a stream as it is, also where all others are encrypted: for what a person must be able to read who has
    /// nothing else, and whom it may come to does not matter.
    async fn put_open(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        self.put(key, body, mode).await
    }

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

    /// Lists writes that have not come to their end, those under way as well as those that nobody goes on with.
    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        Ok(Vec::new())
    }

    /// Removes what writes that gave no sign of life since `before` left behind unseen; gives what they were.
    async fn remove_abandoned(&self, _before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        Ok(Vec::new())
    }

    /// Gives the place that it lies in, for who looks after it.
    fn bucket(&self) -> Option<&dyn Bucket> {
        None
    }
}

/// Opens stores by their configuration.
#[async_trait]
pub trait Stores: Send + Sync {
    /// Opens one. The URL's scheme (`file:`, `s3:`, `gs:`) picks the implementation.
    ///
    /// `identity` is the secret that the store's `encrypt:` names. Use [`crate::step::open_store`], which reads it.
    async fn open(
        &self,
        config: &StoreConfig,
        identity: Option<Secret>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError>;
}
