//! An object store in memory that keeps every promise of [`ObjectStore`], and breaks down on request.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};

use super::{MemoryBucket, locked};
use crate::host::{
    Body, Bucket, Key, ObjectInfo, ObjectStore, PutMode, Stamp, StoreError, StoreErrorKind, Unfinished,
};

/// Objects are read in pieces of this size, so that readers meet more than one.
const CHUNK_BYTES: usize = 64 * 1024;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`ObjectStore::put`]
    Put,
    /// [`ObjectStore::get`]
    Get,
    /// [`ObjectStore::head`]
    Head,
    /// [`ObjectStore::list`]
    List,
    /// [`ObjectStore::delete`]
    Delete,
    /// [`ObjectStore::check_writable`]
    CheckWritable,
}

impl Operation {
    fn verb(self) -> &'static str {
        match self {
            Self::Put | Self::CheckWritable => "write",
            Self::Get => "read",
            Self::Head => "look at",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

struct Object {
    bytes: Bytes,
    modified: Timestamp,
}

impl Object {
    /// Every write has a time of its own.
    fn stamp(&self) -> Stamp {
        Stamp(self.modified.to_string())
    }
}

/// What to do at a coming call.
enum Fault {
    Fail(StoreErrorKind),
    /// The stream breaks off after this many bytes.
    Cut(usize),
    /// It is done, and nobody hears of it.
    Lost,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Object>,
    faults: Vec<(Operation, u32, Fault)>,
    refused: BTreeMap<String, StoreErrorKind>,
    unfinished: Vec<Unfinished>,
    calls: Vec<(Operation, String)>,
    limit_bytes: Option<u64>,
    lists_tell_stamps: bool,
    writes: i64,
}

/// A store in memory.
///
/// Ranges must lie inside the object; one that does not is `Invalid`. Objects get one second more as their time
/// with every write, from 2026-01-01.
pub struct MemoryStore {
    url: String,
    state: Mutex<State>,
    bucket: MemoryBucket,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), state: Mutex::new(State::default()), bucket: MemoryBucket::default() }
    }

    /// Gives the bucket that it lies in.
    pub fn memory_bucket(&self) -> &MemoryBucket {
        &self.bucket
    }

    /// Makes the `nth` (from 1) coming call of an operation fail, before it does anything.
    pub fn fail(&self, operation: Operation, nth: u32, kind: StoreErrorKind) {
        locked(&self.state).faults.push((operation, nth.max(1), Fault::Fail(kind)));
    }

    /// Lets the `nth` (from 1) coming `put` store its object, and its answer get lost.
    pub fn lose_answer(&self, nth: u32) {
        locked(&self.state).faults.push((Operation::Put, nth.max(1), Fault::Lost));
    }

    /// Makes every coming read of one object fail, and no other.
    pub fn refuse(&self, key: &Key, kind: StoreErrorKind) {
        locked(&self.state).refused.insert(key.to_string(), kind);
    }

    /// Makes the `nth` (from 1) coming read break off after `after_bytes`, as a cut connection does.
    pub fn cut_get(&self, nth: u32, after_bytes: usize) {
        locked(&self.state).faults.push((Operation::Get, nth.max(1), Fault::Cut(after_bytes)));
    }

    /// Leaves room for so many bytes in all; writing more fails with `Full`.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        locked(&self.state).limit_bytes = limit;
    }

    /// Lets lists tell stamps, as those of S3 and Google Cloud Storage do.
    pub fn tell_stamps_in_lists(&self) {
        locked(&self.state).lists_tell_stamps = true;
    }

    /// Leaves a write there that has not come to its end.
    pub fn leave(&self, unfinished: Unfinished) {
        locked(&self.state).unfinished.push(unfinished);
    }

    /// Puts an object there, past all faults and limits.
    pub fn insert(&self, key: &Key, bytes: impl Into<Bytes>) {
        locked(&self.state).insert(key, bytes.into());
    }

    /// Gives an object's bytes, past all faults.
    pub fn object(&self, key: &Key) -> Option<Bytes> {
        locked(&self.state).objects.get(key).map(|object| object.bytes.clone())
    }

    /// Gives all keys in order, past all faults.
    pub fn keys(&self) -> Vec<String> {
        locked(&self.state).objects.keys().map(ToString::to_string).collect()
    }

    /// Inverts one byte of an object, as a bad disk does; false when there is no such byte.
    pub fn flip_byte(&self, key: &Key, at: usize) -> bool {
        let mut state = locked(&self.state);
        let Some(object) = state.objects.get_mut(key) else { return false };
        let mut bytes = object.bytes.to_vec();
        let Some(byte) = bytes.get_mut(at) else { return false };
        *byte = !*byte;
        object.bytes = bytes.into();
        true
    }

    /// Gives every call so far with its key or prefix, oldest first.
    pub fn calls(&self) -> Vec<(Operation, String)> {
        locked(&self.state).calls.clone()
    }

    /// Notes a call and gives the fault that is due.
    fn begin(&self, operation: Operation, key: &str) -> Result<Option<Fault>, StoreError> {
        let mut state = locked(&self.state);
        state.calls.push((operation, key.to_owned()));
        if let Some(kind) = state.refused.get(key).filter(|_| operation == Operation::Get) {
            return Err(self.error(*kind, operation, key, "refused by the test"));
        }
        let mut due = None;
        for (position, (on, remaining, _)) in state.faults.iter_mut().enumerate() {
            if *on == operation {
                *remaining = remaining.saturating_sub(1);
                if *remaining == 0 && due.is_none() {
                    due = Some(position);
                }
            }
        }
        let fault = due.map(|position| state.faults.remove(position).2);
        match fault {
            Some(Fault::Fail(kind)) => Err(self.error(kind, operation, key, "a fault of the test")),
            other => Ok(other),
        }
    }

    fn error(
        &self,
        kind: StoreErrorKind,
        operation: Operation,
        key: &str,
        why: impl Into<String>,
    ) -> StoreError {
        StoreError {
            kind,
            store: self.url.clone(),
            operation: operation.verb(),
            key: key.to_owned(),
            why: why.into(),
        }
    }

    fn refuse_existing(&self, state: &State, key: &Key, mode: PutMode) -> Result<(), StoreError> {
        if mode == PutMode::IfAbsent && state.objects.contains_key(key) {
            let why = "there is one already";
            return Err(self.error(StoreErrorKind::AlreadyExists, Operation::Put, key.as_str(), why));
        }
        Ok(())
    }

    /// Reads the whole body while it fits.
    async fn receive(&self, key: &Key, mut body: Body) -> Result<Bytes, StoreError> {
        let room = locked(&self.state).room(key);
        let mut bytes = BytesMut::new();
        loop {
            let chunk = body.next().await.map_err(|error| {
                self.error(StoreErrorKind::Source, Operation::Put, key.as_str(), error.to_string())
            })?;
            let Some(chunk) = chunk else { return Ok(bytes.freeze()) };
            if room.is_some_and(|room| (bytes.len() + chunk.len()) as u64 > room) {
                let why = "no space left on device";
                return Err(self.error(StoreErrorKind::Full, Operation::Put, key.as_str(), why));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

impl State {
    fn insert(&mut self, key: &Key, bytes: Bytes) -> ObjectInfo {
        self.writes += 1;
        // 2026-01-01T00:00:00Z and a second for each write.
        let first = Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH);
        let modified = first.checked_add(SignedDuration::from_secs(self.writes)).unwrap_or(first);
        let object = Object { bytes, modified };
        let info = info(key, &object);
        self.objects.insert(key.clone(), object);
        // What is written anew does not lie where the one before was archived.
        if self.refused.get(key.as_str()) == Some(&StoreErrorKind::Archived) {
            self.refused.remove(key.as_str());
        }
        info
    }

    /// Room for `key`, not counting what it takes now.
    fn room(&self, key: &Key) -> Option<u64> {
        let others = self.objects.iter().filter(|(other, _)| *other != key);
        let used: u64 = others.map(|(_, object)| object.bytes.len() as u64).sum();
        self.limit_bytes.map(|limit| limit.saturating_sub(used))
    }
}

fn info(key: &Key, object: &Object) -> ObjectInfo {
    let stamp = Some(object.stamp());
    ObjectInfo { stamp, ..ObjectInfo::new(key.clone(), object.bytes.len() as u64, object.modified) }
}

/// Streams bytes in chunks; without an end when `cut` comes first.
fn stream(bytes: Bytes, cut: Option<usize>) -> Body {
    let (sender, body) = Body::channel();
    tokio::spawn(async move {
        let readable = bytes.slice(..cut.unwrap_or(bytes.len()).min(bytes.len()));
        for start in (0..readable.len()).step_by(CHUNK_BYTES) {
            let end = (start + CHUNK_BYTES).min(readable.len());
            if sender.send(readable.slice(start..end)).await.is_err() {
                return;
            }
        }
        if cut.is_none() {
            // A reader that has gone has no use for the end.
            let _ = sender.finish().await;
        }
    });
    body
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn url(&self) -> &str {
        &self.url
    }

    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        let fault = self.begin(Operation::Put, key.as_str())?;
        self.refuse_existing(&locked(&self.state), key, mode)?;
        let bytes = self.receive(key, body).await?;
        let mut state = locked(&self.state);
        // Looked at again under the lock that inserts: another writer may have come first.
        self.refuse_existing(&state, key, mode)?;
        let info = state.insert(key, bytes);
        match fault {
            Some(Fault::Lost) => {
                let why = "the answer got lost";
                Err(self.error(StoreErrorKind::Unavailable, Operation::Put, key.as_str(), why))
            }
            Some(Fault::Fail(_) | Fault::Cut(_)) | None => Ok(info),
        }
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        let cut = match self.begin(Operation::Get, key.as_str())? {
            Some(Fault::Cut(after)) => Some(after),
            Some(Fault::Fail(_) | Fault::Lost) | None => None,
        };
        let Some(bytes) = self.object(key) else {
            let why = "there is no such object";
            return Err(self.error(StoreErrorKind::NotFound, Operation::Get, key.as_str(), why));
        };
        let range = range.unwrap_or(0..bytes.len() as u64);
        if range.start > range.end || range.end > bytes.len() as u64 {
            let why = format!("bytes {}..{} of an object of {} bytes", range.start, range.end, bytes.len());
            return Err(self.error(StoreErrorKind::Invalid, Operation::Get, key.as_str(), why));
        }
        let index = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
        Ok(stream(bytes.slice(index(range.start)..index(range.end)), cut))
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError> {
        self.begin(Operation::Head, key.as_str())?;
        Ok(locked(&self.state).objects.get(key).map(|object| info(key, object)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.begin(Operation::List, prefix)?;
        let state = locked(&self.state);
        let matching = state.objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        let told =
            |info: ObjectInfo| ObjectInfo { stamp: info.stamp.filter(|_| state.lists_tell_stamps), ..info };
        Ok(matching.map(|(key, object)| told(info(key, object))).collect())
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.begin(Operation::Delete, key.as_str())?;
        locked(&self.state).objects.remove(key);
        Ok(())
    }

    async fn read_stamped(
        &self,
        key: &Key,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, Stamp)>, StoreError> {
        self.begin(Operation::Get, key.as_str())?;
        let state = locked(&self.state);
        let Some(object) = state.objects.get(key) else { return Ok(None) };
        if object.bytes.len() > limit_bytes {
            let why = format!("it has more than {limit_bytes} bytes");
            return Err(self.error(StoreErrorKind::Invalid, Operation::Get, key.as_str(), why));
        }
        Ok(Some((object.bytes.clone(), object.stamp())))
    }

    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError> {
        self.begin(Operation::Put, key.as_str())?;
        let mut state = locked(&self.state);
        let found = state.objects.get(key).map(Object::stamp);
        if found.as_ref() != expected {
            let (kind, why) = match expected {
                None => (StoreErrorKind::AlreadyExists, "there is one already"),
                Some(_) => (StoreErrorKind::Changed, "it is in another state"),
            };
            return Err(self.error(kind, Operation::Put, key.as_str(), why));
        }
        state.insert(key, bytes);
        Ok(state.objects.get(key).map_or_else(|| Stamp(String::new()), Object::stamp))
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.begin(Operation::CheckWritable, "")?;
        if locked(&self.state).limit_bytes == Some(0) {
            let why = "no space left on device";
            return Err(self.error(StoreErrorKind::Full, Operation::CheckWritable, "", why));
        }
        Ok(())
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.begin(Operation::List, "")?;
        Ok(locked(&self.state).unfinished.clone())
    }

    async fn remove_abandoned(&self, before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        self.begin(Operation::Delete, "")?;
        let mut state = locked(&self.state);
        let (removed, left) = state.unfinished.drain(..).partition(|write| write.newest < before);
        state.unfinished = left;
        Ok(removed)
    }

    fn bucket(&self) -> Option<&dyn Bucket> {
        Some(&self.bucket)
    }
}
