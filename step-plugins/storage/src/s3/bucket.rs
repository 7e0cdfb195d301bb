//! The bucket itself: made, looked at, set; and its lifecycle rules (Amazon S3 API Reference).

use async_trait::async_trait;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus,
    CreateBucketConfiguration, LifecycleRule as SdkRule, PublicAccessBlockConfiguration,
    TransitionDefaultMinimumObjectSize, VersioningConfiguration,
};
use rekindle_engine::environment::Provider;
use rekindle_engine::host::{
    Bucket, BucketChange, BucketFacts, LifecycleRule, Setting, StoreError, StoreErrorKind,
};

use super::{S3Store, errors, rules};
use crate::failure::{Failure, Operation};

/// The only region whose buckets are made without its name.
const FIRST_REGION: &str = "us-east-1";
/// Servers that speak a part of the protocol say this of the rest.
const UNKNOWN_REQUESTS: [&str; 2] = ["NotImplemented", "MethodNotAllowed"];

fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

async fn look(store: &S3Store) -> Result<Option<BucketFacts>, Failure> {
    let looked = match store.client.head_bucket().bucket(&store.bucket).send().await {
        Ok(looked) => looked,
        Err(error) => {
            let failure = errors::failure(error);
            return match failure.kind {
                StoreErrorKind::NotFound => Ok(None),
                StoreErrorKind::Denied => Err(not_ours(failure)),
                _ => Err(failure),
            };
        }
    };
    Ok(Some(BucketFacts {
        location: looked.bucket_region().map(str::to_owned),
        versioning: versioning(store).await.map_err(not_ours)?,
        public_access_blocked: public_access(store).await.map_err(not_ours)?,
    }))
}

/// All of S3 shares one space of names, so a bucket that is there need not be ours.
fn not_ours(mut failure: Failure) -> Failure {
    if failure.kind == StoreErrorKind::Denied {
        failure.why.push_str("; if it is somebody else's bucket, choose another name for the store's `url:`");
    }
    failure
}

async fn versioning(store: &S3Store) -> Result<Setting, Failure> {
    match store.client.get_bucket_versioning().bucket(&store.bucket).send().await {
        Ok(found) if found.status() == Some(&BucketVersioningStatus::Enabled) => Ok(Setting::On),
        Ok(_) => Ok(Setting::Off),
        Err(error) if UNKNOWN_REQUESTS.contains(&code(&error)) => Ok(Setting::NotApplicable),
        Err(error) => Err(errors::failure(error)),
    }
}

async fn public_access(store: &S3Store) -> Result<Setting, Failure> {
    match store.client.get_public_access_block().bucket(&store.bucket).send().await {
        Ok(found) => {
            let blocks = |block: &PublicAccessBlockConfiguration| {
                [
                    block.block_public_acls(),
                    block.ignore_public_acls(),
                    block.block_public_policy(),
                    block.restrict_public_buckets(),
                ]
                .into_iter()
                .all(|blocked| blocked == Some(true))
            };
            let all = found.public_access_block_configuration().is_some_and(blocks);
            Ok(if all { Setting::On } else { Setting::Off })
        }
        Err(error) if code(&error) == "NoSuchPublicAccessBlockConfiguration" => Ok(Setting::Off),
        Err(error) if UNKNOWN_REQUESTS.contains(&code(&error)) => Ok(Setting::NotApplicable),
        Err(error) => Err(errors::failure(error)),
    }
}

async fn create(store: &S3Store) -> Result<(), Failure> {
    let region = store.client.config().region().map_or(FIRST_REGION, AsRef::as_ref);
    let place = (region != FIRST_REGION).then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region))
            .build()
    });
    let request = store.client.create_bucket().bucket(&store.bucket).set_create_bucket_configuration(place);
    match request.send().await {
        Ok(_) => Ok(()),
        // An answer got lost, or another run came first.
        Err(error) if code(&error) == "BucketAlreadyOwnedByYou" => Ok(()),
        Err(error) if code(&error) == "BucketAlreadyExists" => Err(Failure::new(
            StoreErrorKind::AlreadyExists,
            format!(
                "the name `{}` is taken by somebody else's bucket; choose another one for the store's `url:`",
                store.bucket
            ),
        )),
        Err(error) => Err(errors::failure(error)),
    }
}

async fn keep_versions(store: &S3Store) -> Result<(), Failure> {
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = store.client.put_bucket_versioning().bucket(&store.bucket).versioning_configuration(on);
    request.send().await.map(|_| ()).map_err(errors::failure)
}

async fn block_public_access(store: &S3Store) -> Result<(), Failure> {
    let all = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let request =
        store.client.put_public_access_block().bucket(&store.bucket).public_access_block_configuration(all);
    request.send().await.map(|_| ()).map_err(errors::failure)
}

/// The rules, and what goes along with them.
type Rules = (Vec<SdkRule>, Option<TransitionDefaultMinimumObjectSize>);

async fn read_rules(store: &S3Store) -> Result<Rules, Failure> {
    match store.client.get_bucket_lifecycle_configuration().bucket(&store.bucket).send().await {
        Ok(found) => {
            let least = found.transition_default_minimum_object_size().cloned();
            Ok((found.rules.unwrap_or_default(), least))
        }
        Err(error) if code(&error) == "NoSuchLifecycleConfiguration" => Ok((Vec::new(), None)),
        Err(error) => Err(errors::failure(error)),
    }
}

/// Puts all rules again, since S3 takes them only as a whole; it has no condition for that.
async fn change_rules(
    store: &S3Store,
    remove: &[LifecycleRule],
    add: &[LifecycleRule],
) -> Result<(), Failure> {
    let (mut kept, least) = read_rules(store).await?;
    let before = kept.len();
    kept.retain(|rule| !remove.contains(&rules::to_json(rule)));
    if before - kept.len() != remove.len() {
        let why = "a rule that is to go has been changed by somebody else meanwhile; look again";
        return Err(Failure::new(StoreErrorKind::Changed, why));
    }
    for rule in add {
        kept.push(rules::from_json(rule)?);
    }
    if kept.is_empty() {
        let request = store.client.delete_bucket_lifecycle().bucket(&store.bucket);
        return request.send().await.map(|_| ()).map_err(errors::failure);
    }
    let all = BucketLifecycleConfiguration::builder().set_rules(Some(kept)).build();
    let all = all.map_err(|error| Failure::invalid(error.to_string()))?;
    let request = store
        .client
        .put_bucket_lifecycle_configuration()
        .bucket(&store.bucket)
        .set_transition_default_minimum_object_size(least)
        .lifecycle_configuration(all);
    request.send().await.map(|_| ()).map_err(errors::failure)
}

#[async_trait]
impl Bucket for S3Store {
    fn provider(&self) -> Option<Provider> {
        Some(Provider::S3)
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
            BucketChange::KeepVersions => keep_versions(self).await,
            BucketChange::BlockPublicAccess => block_public_access(self).await,
        };
        changed.map_err(self.error(Operation::Change, ""))
    }

    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let read = read_rules(self).await.map_err(self.error(Operation::Read, "lifecycle"));
        Ok(read?.0.iter().map(rules::to_json).collect())
    }

    async fn change_lifecycle(
        &self,
        remove: &[LifecycleRule],
        add: &[LifecycleRule],
    ) -> Result<(), StoreError> {
        change_rules(self, remove, add).await.map_err(self.error(Operation::Change, "lifecycle"))
    }
}
