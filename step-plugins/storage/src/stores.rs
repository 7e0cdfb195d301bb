//! A store's configuration in, the opened store out: by the scheme of its URL, with the encryption it asks for.

use std::sync::Arc;

use async_trait::async_trait;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{ObjectStore, Secret, StoreError, Stores};

use crate::encrypted;
use crate::failure::Operation;
use crate::file::FileStores;
use crate::{gcs, s3};

/// Opens `file:`, `s3:` and `gs:` stores.
#[derive(Debug, Clone)]
pub struct EveryStore {
    files: FileStores,
}

impl EveryStore {
    /// Makes an opener; `files` says where relative `file:` URLs begin.
    pub fn new(files: FileStores) -> Self {
        Self { files }
    }
}

#[async_trait]
impl Stores for EveryStore {
    async fn open(
        &self,
        config: &StoreConfig,
        identity: Option<Secret>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let opened: Result<Arc<dyn ObjectStore>, _> = match config.url.split_once(':') {
            Some(("s3", _)) => s3::open(config).await.map(|store| Arc::new(store) as _),
            Some(("gs", _)) => gcs::open(config).await.map(|store| Arc::new(store) as _),
            _ => return encrypted::around(Arc::new(self.files.at(config)?), config, identity.as_ref()),
        };
        let store = opened.map_err(|failure| failure.into_error(&config.url, Operation::Open, ""))?;
        encrypted::around(store, config, identity.as_ref())
    }
}
