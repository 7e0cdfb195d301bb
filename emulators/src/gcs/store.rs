//! Buckets and objects behind one lock: whatever a request changes, it changes at once or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::access::Access;
use super::content::Content;
use super::refusal::Refusal;
use super::rewrite::Rewrite;
use super::sessions::Session;

/// One call of `RewriteObject` copies so much, unless it says otherwise.
const REWRITTEN_PER_CALL: u64 = 16 * 1024 * 1024;

/// All that a server holds.
pub(super) struct Store {
    /// Where the bytes of objects lie.
    pub(super) folder: PathBuf,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) access: Access,
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) sessions: BTreeMap<String, Arc<tokio::sync::Mutex<Session>>>,
    pub(super) rewrites: BTreeMap<String, Rewrite>,
    pub(super) rewritten_per_call: u64,
    last_number: i64,
}

/// One bucket and what lies in it.
pub(super) struct Bucket {
    pub(super) resource: v2::Bucket,
    pub(super) live: BTreeMap<String, Arc<Object>>,
    /// What versioning keeps, by name and generation.
    pub(super) noncurrent: BTreeMap<(String, i64), Arc<Object>>,
}

/// One generation of an object.
pub(super) struct Object {
    pub(super) resource: v2::Object,
    pub(super) content: Content,
}

impl Object {
    /// Gives its generation and metageneration.
    pub(super) fn versions(&self) -> (i64, i64) {
        (self.resource.generation, self.resource.metageneration)
    }
}

impl Store {
    pub(super) fn new(folder: &Path) -> Self {
        let state = State {
            access: Access::default(),
            buckets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            rewrites: BTreeMap::new(),
            rewritten_per_call: REWRITTEN_PER_CALL,
            last_number: 0,
        };
        Self { folder: folder.to_owned(), state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives a number above all before, near the microseconds since 1970, as generations are.
    pub(super) fn next_number(&mut self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.last_number = i64::try_from(now).unwrap_or_default().max(self.last_number + 1);
        self.last_number
    }

    /// Gives a text that is never given twice, for a URL.
    pub(super) fn next_token(&mut self, of: &str) -> String {
        let number = self.next_number();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{of}-{number}"))
    }

    pub(super) fn bucket(&self, name: &str) -> Result<&Bucket, Refusal> {
        self.buckets.get(name).ok_or_else(Refusal::no_bucket)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        self.buckets.get_mut(name).ok_or_else(Refusal::no_bucket)
    }

    /// Finds an object that the caller may see; generation 0 is the live one.
    pub(super) fn find(&self, bucket: &str, name: &str, generation: i64) -> Result<Arc<Object>, Refusal> {
        let held = self.bucket(bucket)?;
        self.access.admit_object(name)?;
        let live =
            held.live.get(name).filter(|live| generation == 0 || live.resource.generation == generation);
        live.or_else(|| held.noncurrent.get(&(name.to_owned(), generation)))
            .cloned()
            .ok_or_else(|| Refusal::no_object(bucket, name))
    }
}

impl Bucket {
    pub(super) fn is_versioned(&self) -> bool {
        self.resource.versioning.is_some_and(|versioning| versioning.enabled)
    }

    /// Puts a new live generation in place of the one there.
    pub(super) fn place(&mut self, object: Object) -> v2::Object {
        let resource = object.resource.clone();
        self.retire(&resource.name);
        self.live.insert(resource.name.clone(), Arc::new(object));
        resource
    }

    /// Takes the live generation away; a versioned bucket keeps it as a noncurrent one.
    pub(super) fn retire(&mut self, name: &str) {
        let Some(old) = self.live.remove(name) else { return };
        if self.is_versioned() {
            let mut resource = old.resource.clone();
            resource.delete_time = Some(SystemTime::now().into());
            let key = (name.to_owned(), resource.generation);
            self.noncurrent.insert(key, Arc::new(Object { resource, content: old.content.clone() }));
        }
    }
}

/// Gives the entity tag of something by its versions.
pub(super) fn etag(generation: i64, metageneration: i64) -> String {
    BASE64.encode(format!("{generation}/{metageneration}"))
}
