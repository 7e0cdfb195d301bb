//! The bucket itself: made, looked at, set; and its lifecycle rules (Cloud Storage API reference,
//! `google.storage.v2.Bucket`).

use async_trait::async_trait;
use google_cloud_storage::model::bucket::{IamConfig, Lifecycle, Versioning};
use google_cloud_storage::model::{Bucket as Resource, UpdateBucketRequest};
use rekindle_engine::environment::Provider;
use rekindle_engine::host::{
    Bucket, BucketChange, BucketFacts, LifecycleRule, Setting, StoreError, StoreErrorKind,
};

use super::retry::patiently;
use super::{GcsStore, errors, resource, rules};
use crate::failure::{Failure, Operation};

/// What prevents public access, whatever policies and lists say.
const ENFORCED: &str = "enforced";

async fn read(store: &GcsStore) -> Result<Resource, Failure> {
    patiently(store, 0, || {
        let request = store.control.get_bucket().set_name(resource(&store.bucket));
        store.billed(request).send()
    })
    .await
}

async fn look(store: &GcsStore) -> Result<Option<BucketFacts>, Failure> {
    let found = match read(store).await {
        Ok(found) => found,
        Err(failure) if errors::is_missing_bucket(&failure) => return Ok(None),
        Err(failure) => return Err(not_ours(failure)),
    };
    let on = |on: bool| if on { Setting::On } else { Setting::Off };
    let prevention = found.iam_config.map(|iam| iam.public_access_prevention);
    Ok(Some(BucketFacts {
        location: (!found.location.is_empty()).then_some(found.location),
        versioning: on(found.versioning.is_some_and(|versioning| versioning.enabled)),
        public_access_blocked: on(prevention.as_deref() == Some(ENFORCED)),
    }))
}

/// All of Cloud Storage shares one space of names, so a bucket that is there need not be ours.
fn not_ours(mut failure: Failure) -> Failure {
    if failure.kind == StoreErrorKind::Denied {
        failure.why.push_str("; if it is somebody else's bucket, choose another name for the store's `url:`");
    }
    failure
}

async fn create(store: &GcsStore) -> Result<(), Failure> {
    let Some(project) = &store.how.project else {
        return Err(Failure::invalid("a bucket is made in a project: set `project:` of the store to its id"));
    };
    let created = patiently(store, 0, || {
        let bucket = Resource::new()
            .set_project(format!("projects/{project}"))
            .set_location(store.how.location.clone().unwrap_or_default());
        let request = store.control.create_bucket().set_parent("projects/_").set_bucket_id(&store.bucket);
        store.billed(request.set_bucket(bucket)).send()
    });
    match created.await {
        Ok(_) => Ok(()),
        // An answer got lost, another run came first, or the name is somebody else's.
        Err(failure) if failure.kind == StoreErrorKind::AlreadyExists => match look(store).await? {
            Some(_) => Ok(()),
            None => Err(failure),
        },
        Err(failure) => Err(failure),
    }
}

/// Changes one field of the bucket.
async fn update(
    store: &GcsStore,
    field: &str,
    bucket: Resource,
    if_state: Option<i64>,
) -> Result<(), Failure> {
    let mut wanted = UpdateBucketRequest::new()
        .set_bucket(bucket.set_name(resource(&store.bucket)))
        .set_or_clear_if_metageneration_match(if_state);
    wanted.update_mask.get_or_insert_default().paths = vec![field.to_owned()];
    let updated = patiently(store, 0, || {
        store.billed(store.control.update_bucket().with_request(wanted.clone())).send()
    });
    updated.await.map(|_| ()).map_err(errors::of_the_bucket)
}

/// Puts all rules again, since the API takes them only as a whole, unless the bucket was changed meanwhile.
async fn change_rules(
    store: &GcsStore,
    remove: &[LifecycleRule],
    add: &[LifecycleRule],
) -> Result<(), Failure> {
    let changed_meanwhile = || {
        let why = "the bucket has been changed by somebody else meanwhile; look again";
        Failure::new(StoreErrorKind::Changed, why)
    };
    let found = read(store).await.map_err(errors::of_the_bucket)?;
    let mut kept = found.lifecycle.map(|lifecycle| lifecycle.rule).unwrap_or_default();
    let before = kept.len();
    kept.retain(|rule| !remove.contains(&rules::to_json(rule)));
    if before - kept.len() != remove.len() {
        return Err(changed_meanwhile());
    }
    for rule in add {
        kept.push(rules::from_json(rule)?);
    }
    let wanted = Resource::new().set_lifecycle(Lifecycle::new().set_rule(kept));
    match update(store, "lifecycle", wanted, Some(found.metageneration)).await {
        // What the API calls a failed precondition.
        Err(failure) if failure.kind == StoreErrorKind::AlreadyExists => Err(changed_meanwhile()),
        updated => updated,
    }
}

#[async_trait]
impl Bucket for GcsStore {
    fn provider(&self) -> Option<Provider> {
        Some(Provider::Gcs)
    }

    fn name(&self) -> String {
        format!("the bucket `{}`", self.bucket)
    }

    fn prefix(&self) -> String {
        self.prefix.clone()
    }

    async fn look(&self) -> Result<Option<BucketFacts>, StoreError> {
        look(self).await.map_err(self.error(Operation::LookAt, ""))
    }

    async fn change(&self, change: BucketChange) -> Result<(), StoreError> {
        let changed = match change {
            BucketChange::Create => create(self).await,
            BucketChange::KeepVersions => {
                let versioning = Versioning::new().set_enabled(true);
                update(self, "versioning", Resource::new().set_versioning(versioning), None).await
            }
            BucketChange::BlockPublicAccess => {
                let iam = IamConfig::new().set_public_access_prevention(ENFORCED);
                let field = "iam_config.public_access_prevention";
                update(self, field, Resource::new().set_iam_config(iam), None).await
            }
        };
        changed.map_err(self.error(Operation::Change, ""))
    }

    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let found = read(self).await.map_err(errors::of_the_bucket);
        let found = found.map_err(self.error(Operation::Read, "lifecycle"))?;
        let rules = found.lifecycle.map(|lifecycle| lifecycle.rule).unwrap_or_default();
        Ok(rules.iter().map(rules::to_json).collect())
    }

    async fn change_lifecycle(
        &self,
        remove: &[LifecycleRule],
        add: &[LifecycleRule],
    ) -> Result<(), StoreError> {
        change_rules(self, remove, add).await.map_err(self.error(Operation::Change, "lifecycle"))
    }
}
