//! Memory stores by their URL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{MemoryStore, locked};
use crate::environment::StoreConfig;
use crate::host::{ObjectStore, Secret, StoreError, StoreErrorKind, Stores};

/// Opens a [`MemoryStore`] for any URL: the same one every time.
#[derive(Default)]
pub struct MemoryStores {
    stores: Mutex<BTreeMap<String, Arc<MemoryStore>>>,
    refused: Mutex<BTreeMap<String, StoreErrorKind>>,
}

impl MemoryStores {
    /// Gives the store of a URL, making it when it is new.
    pub fn store(&self, url: &str) -> Arc<MemoryStore> {
        let mut stores = locked(&self.stores);
        let store = stores.entry(url.to_owned()).or_insert_with(|| Arc::new(MemoryStore::new(url)));
        Arc::clone(store)
    }

    /// Makes every opening of a URL fail.
    pub fn refuse(&self, url: &str, kind: StoreErrorKind) {
        locked(&self.refused).insert(url.to_owned(), kind);
    }
}

#[async_trait]
impl Stores for MemoryStores {
    async fn open(
        &self,
        config: &StoreConfig,
        _: Option<Secret>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let refused = |kind, why: &str| StoreError {
            kind,
            store: config.url.clone(),
            operation: "look at",
            key: String::new(),
            why: why.to_owned(),
        };
        if let Some(kind) = locked(&self.refused).get(&config.url) {
            return Err(refused(*kind, "refused by the test"));
        }
        if config.encrypt.is_some() {
            return Err(refused(StoreErrorKind::Invalid, "memory stores do not encrypt"));
        }
        Ok(self.store(&config.url))
    }
}
