//! A store that notes which bytes are asked of it.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_engine::host::{Body, Key, ObjectInfo, ObjectStore, ProviderPlace, PutMode, Stamp, StoreError};
use rekindle_engine::testing::MemoryStore;

/// A memory store in a bucket of a provider that copies by itself.
pub(super) struct Watched {
    pub(super) memory: MemoryStore,
    asked: Mutex<Vec<Option<Range<u64>>>>,
    /// Takes the place of an object as soon as something of it was read.
    successor: Mutex<Option<Bytes>>,
    /// All stores of the provider, by bucket.
    pub(super) provider: Vec<Arc<MemoryStore>>,
}

impl Watched {
    pub(super) fn new() -> Arc<Self> {
        Self::of(Vec::new())
    }

    pub(super) fn of(provider: Vec<Arc<MemoryStore>>) -> Arc<Self> {
        let memory = MemoryStore::new("memory:watched");
        Arc::new(Self { memory, asked: Mutex::default(), successor: Mutex::default(), provider })
    }

    /// Puts an object in the place of the one that is read next, after its first read.
    pub(super) fn replace_after_a_read(&self, successor: Bytes) {
        *self.successor.lock().unwrap() = Some(successor);
    }

    /// Gives the ranges that were asked for since the last call.
    pub(super) fn take_asked(&self) -> Vec<Option<Range<u64>>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl ObjectStore for Watched {
    fn url(&self) -> &str {
        self.memory.url()
    }

    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        self.memory.put(key, body, mode).await
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        self.asked.lock().unwrap().push(range.clone());
        let body = self.memory.get(key, range).await;
        if let Some(successor) = self.successor.lock().unwrap().take() {
            self.memory.insert(key, successor);
        }
        body
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError> {
        self.memory.head(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.memory.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.memory.delete(key).await
    }

    async fn read_stamped(
        &self,
        key: &Key,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, Stamp)>, StoreError> {
        self.memory.read_stamped(key, limit_bytes).await
    }

    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError> {
        self.memory.swap(key, expected, bytes).await
    }

    fn place(&self, key: &Key) -> Option<ProviderPlace> {
        Some(ProviderPlace { service: "watched".into(), bucket: "0".into(), object: key.to_string() })
    }

    async fn copy_from(
        &self,
        from: &ProviderPlace,
        key: &Key,
        mode: PutMode,
    ) -> Result<Option<ObjectInfo>, StoreError> {
        let bucket = self.provider.get(from.bucket.parse::<usize>().unwrap());
        let Some(bucket) = bucket.filter(|_| from.service == "watched") else { return Ok(None) };
        let object = bucket.object(&Key::new(&*from.object).unwrap()).unwrap();
        self.memory.put(key, Body::from_bytes(object), mode).await.map(Some)
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.memory.check_writable().await
    }
}
