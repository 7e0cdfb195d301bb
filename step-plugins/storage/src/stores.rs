//! A store's configuration in, the opened store out: by the scheme of its URL.

use std::sync::Arc;

use async_trait::async_trait;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{ObjectStore, StoreError, Stores};

use crate::failure::Operation;
use crate::file::FileStores;
use crate::s3;

/// Opens `file:` and `s3:` stores.
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
    async fn open(&self, config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, StoreError> {
        if !config.url.starts_with("s3:") {
            return self.files.open(config).await;
        }
        match s3::open(config).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(failure) => Err(failure.into_error(&config.url, Operation::Open, "")),
        }
    }
}
