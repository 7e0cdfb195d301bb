//! The place that a store lies in, as its owner sees it: is it there, how is it kept, what happens in it by rule?

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StoreError;
use crate::environment::Provider;

/// A lifecycle rule in the provider's own JSON: a member of S3's `Rules`, or of Google's `rule`.
pub type LifecycleRule = Value;

/// How something of a bucket is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// It is switched on.
    On,
    /// It is not.
    Off,
    /// There is no such thing here.
    NotApplicable,
}

/// What can be known of a bucket that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// Its region or location, when the service tells.
    pub location: Option<String>,
    /// Whether replaced and deleted objects stay as older versions.
    pub versioning: Setting,
    /// Whether nobody can be given access without credentials, whatever policies and lists say.
    pub public_access_blocked: Setting,
}

/// What can be changed about a bucket. Each is idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketChange {
    /// Make it where the store's configuration says.
    Create,
    /// Switch versioning on.
    KeepVersions,
    /// Block public access, in all its forms.
    BlockPublicAccess,
}

/// A bucket, or a folder in its place.
#[async_trait]
pub trait Bucket: Send + Sync {
    /// Says whose rules it takes; none of a folder.
    fn provider(&self) -> Option<Provider>;

    /// Names it for people: "the bucket `x`".
    fn name(&self) -> String;

    /// Gives the store's place in it: empty, or with a `/` at its end.
    fn prefix(&self) -> String;

    /// Looks at it; `None` when there is none.
    ///
    /// # Errors
    /// `Denied` also for somebody else's.
    async fn look(&self) -> Result<Option<BucketFacts>, StoreError>;

    /// Changes one thing.
    ///
    /// # Errors
    /// `AlreadyExists` when it was to be made and its name is somebody else's.
    async fn change(&self, change: BucketChange) -> Result<(), StoreError>;

    /// Gives all its lifecycle rules, also those that others made.
    ///
    /// # Errors
    /// `Invalid` when there can be none.
    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError>;

    /// Takes rules away and adds others; every other rule stays as it is.
    ///
    /// # Errors
    /// `Changed` when a rule that is to go is not there any more: somebody else is at it.
    async fn change_lifecycle(
        &self,
        remove: &[LifecycleRule],
        add: &[LifecycleRule],
    ) -> Result<(), StoreError>;
}
