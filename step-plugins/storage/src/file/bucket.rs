//! The folder of a `file:` store, in the place of a bucket.

use async_trait::async_trait;
use rekindle_engine::environment::Provider;
use rekindle_engine::host::{Bucket, BucketChange, BucketFacts, LifecycleRule, Setting, StoreError};

use super::{FileStore, folder};
use crate::failure::{Failure, Operation};

#[async_trait]
impl Bucket for FileStore {
    fn provider(&self) -> Option<Provider> {
        None
    }

    fn name(&self) -> String {
        format!("the folder {}", self.root().display())
    }

    fn prefix(&self) -> String {
        String::new()
    }

    async fn look(&self) -> Result<Option<BucketFacts>, StoreError> {
        let facts = BucketFacts {
            location: None,
            versioning: Setting::NotApplicable,
            public_access_blocked: Setting::NotApplicable,
        };
        self.blocking(Operation::LookAt, "", |place| {
            Ok(folder::open_root(&place.root)?.is_some().then_some(facts))
        })
        .await
    }

    async fn change(&self, change: BucketChange) -> Result<(), StoreError> {
        self.blocking(Operation::Change, "", move |place| match change {
            BucketChange::Create => folder::Chain::make(&place.root, &[])?.sync(),
            BucketChange::KeepVersions | BucketChange::BlockPublicAccess => {
                Err(Failure::invalid("it is a folder"))
            }
        })
        .await
    }

    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        Err(self.without_rules(Operation::Read))
    }

    async fn change_lifecycle(
        &self,
        _remove: &[LifecycleRule],
        _add: &[LifecycleRule],
    ) -> Result<(), StoreError> {
        Err(self.without_rules(Operation::Change))
    }
}

impl FileStore {
    fn without_rules(&self, operation: Operation) -> StoreError {
        Failure::invalid("a folder has no lifecycle rules").into_error(
            &self.place.url,
            operation,
            "lifecycle",
        )
    }
}
