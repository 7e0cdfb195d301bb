//! The contract of stores on real buckets. The lanes `real-s3` and `real-gcs` run these where `REKINDLE_REAL_S3` and
//! `REKINDLE_REAL_GCS` name a URL to test below, with the credentials that the provider's tools find.
//!
//! Each test has a prefix of its own there, and removes what it wrote.

use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::Stores as _;

use crate::contract::Store;
use crate::naming::new_mark;
use crate::{EveryStore, FileStores};

/// Removes what a test has written.
struct Emptied(StoreConfig);

impl Drop for Emptied {
    fn drop(&mut self) {
        let config = self.0.clone();
        // Another runtime, and so another client: the test's own stands still meanwhile.
        let emptying = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let store = open(&config).await;
                for object in store.list("").await.unwrap_or_default() {
                    let _ = store.delete(&object.key).await;
                }
                let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
                let _ = store.remove_abandoned(later).await;
            });
        });
        let _ = emptying.join();
    }
}

async fn open(config: &StoreConfig) -> Store {
    EveryStore::new(FileStores::new("/nowhere")).open(config, None).await.unwrap()
}

/// Opens a place of its own below the URL that a variable names.
async fn store(variable: &str) -> (Store, Emptied) {
    let url = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names no URL to test below"));
    let region = std::env::var("AWS_REGION").ok();
    let url = format!("{}/rekindle-test-{}", url.trim_end_matches('/'), new_mark());
    let config = StoreConfig { region, ..StoreConfig::at(url) };
    (open(&config).await, Emptied(config))
}

mod s3 {
    crate::contract::store_contract!(super::store("REKINDLE_REAL_S3").await);
}

mod gcs {
    crate::contract::store_contract!(super::store("REKINDLE_REAL_GCS").await);
}
