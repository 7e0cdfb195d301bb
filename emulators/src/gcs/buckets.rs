//! Making, changing, listing and deleting buckets (`CreateBucket`, `UpdateBucket`, `ListBuckets`, `DeleteBucket`).

use std::collections::BTreeMap;
use std::time::SystemTime;

use googleapis_tonic_google_storage_v2::google::storage::v2;
use v2::bucket::IamConfig;

use super::lifecycle;
use super::listing::page_size;
use super::names;
use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::{Bucket, Store, etag};

const MOST_LABELS: usize = 64;

impl Store {
    /// Makes a bucket of this name with what is usual.
    pub(super) fn make_bucket(&self, name: &str) -> Result<v2::Bucket, Refusal> {
        self.create_bucket(v2::CreateBucketRequest {
            parent: "projects/_".to_owned(),
            bucket_id: name.to_owned(),
            bucket: Some(v2::Bucket { project: "projects/emulator".to_owned(), ..Default::default() }),
            ..Default::default()
        })
    }

    pub(super) fn create_bucket(&self, request: v2::CreateBucketRequest) -> Result<v2::Bucket, Refusal> {
        let mut bucket = request.bucket.unwrap_or_default();
        if !matches!(request.parent.as_str(), "" | "projects/_") {
            return Err(Refusal::invalid("The parent of a bucket must be empty or `projects/_`"));
        }
        if bucket.project.strip_prefix("projects/").is_none_or(str::is_empty) {
            return Err(Refusal::required("A bucket needs a project, as `projects/ID`"));
        }
        if !bucket.name.is_empty() {
            return Err(Refusal::invalid("The name of a new bucket is given by its id"));
        }
        names::check_bucket(&request.bucket_id)?;
        names::check_bucket_acl(&request.predefined_acl)?;
        names::check_object_acl(&request.predefined_default_object_acl)?;
        check(&bucket)?;
        check_public(&bucket, &[&request.predefined_acl, &request.predefined_default_object_acl])?;
        let now = SystemTime::now();
        bucket.name = format!("projects/_/buckets/{}", request.bucket_id);
        bucket.bucket_id.clone_from(&request.bucket_id);
        bucket.metageneration = 1;
        bucket.etag = etag(0, 1);
        bucket.create_time = Some(now.into());
        bucket.update_time = Some(now.into());
        let or = |given: &mut String, usual: &str| {
            if given.is_empty() {
                usual.clone_into(given);
            }
        };
        or(&mut bucket.location, "US");
        bucket.location.make_ascii_uppercase();
        or(&mut bucket.location_type, "multi-region");
        or(&mut bucket.storage_class, "STANDARD");
        or(&mut bucket.rpo, "DEFAULT");
        or(&mut bucket.iam_config.get_or_insert_default().public_access_prevention, "inherited");

        let mut state = self.state();
        if state.buckets.contains_key(&request.bucket_id) {
            return Err(Refusal::conflict(
                "Your previous request to create the named bucket succeeded and you already own it.",
            ));
        }
        let held = Bucket { resource: bucket.clone(), live: BTreeMap::new(), noncurrent: BTreeMap::new() };
        state.buckets.insert(request.bucket_id, held);
        Ok(bucket)
    }

    pub(super) fn get_bucket(&self, request: &v2::GetBucketRequest) -> Result<v2::Bucket, Refusal> {
        let state = self.state();
        let held = state.bucket(names::bucket_of(&request.name)?)?;
        let conditions = conditions(request.if_metageneration_match, request.if_metageneration_not_match);
        conditions.for_read((0, held.resource.metageneration))?;
        Ok(held.resource.clone())
    }

    pub(super) fn update_bucket(&self, request: &v2::UpdateBucketRequest) -> Result<v2::Bucket, Refusal> {
        let wanted = request.bucket.as_ref().ok_or_else(|| Refusal::required("No bucket is given"))?;
        let paths = request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() {
            return Err(Refusal::required("An update mask is required"));
        }
        names::check_bucket_acl(&request.predefined_acl)?;
        names::check_object_acl(&request.predefined_default_object_acl)?;
        let mut state = self.state();
        let held = state.bucket_mut(names::bucket_of(&wanted.name)?)?;
        let conditions = conditions(request.if_metageneration_match, request.if_metageneration_not_match);
        conditions.for_change(Some((0, held.resource.metageneration)))?;
        let mut changed = held.resource.clone();
        for path in paths {
            update_field(&mut changed, wanted, path)?;
        }
        check(&changed)?;
        check_public(&changed, &[&request.predefined_acl, &request.predefined_default_object_acl])?;
        changed.metageneration += 1;
        changed.etag = etag(0, changed.metageneration);
        changed.update_time = Some(SystemTime::now().into());
        held.resource = changed.clone();
        Ok(changed)
    }

    pub(super) fn delete_bucket(&self, request: &v2::DeleteBucketRequest) -> Result<(), Refusal> {
        let name = names::bucket_of(&request.name)?;
        let mut state = self.state();
        let held = state.bucket(name)?;
        let conditions = conditions(request.if_metageneration_match, request.if_metageneration_not_match);
        conditions.for_change(Some((0, held.resource.metageneration)))?;
        if !held.live.is_empty() || !held.noncurrent.is_empty() {
            return Err(Refusal::not_empty());
        }
        state.buckets.remove(name);
        Ok(())
    }

    pub(super) fn list_buckets(
        &self,
        request: &v2::ListBucketsRequest,
    ) -> Result<v2::ListBucketsResponse, Refusal> {
        if request.parent.strip_prefix("projects/").is_none_or(str::is_empty) {
            return Err(Refusal::required("The parent of a list of buckets is a project"));
        }
        let most = page_size(request.page_size)?;
        let state = self.state();
        let matching = |name: &&String| name.starts_with(&request.prefix) && **name > request.page_token;
        let mut found: Vec<&String> = state.buckets.keys().filter(matching).take(most + 1).collect();
        let more = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| more).map(|last| (*last).clone());
        let buckets = found.into_iter().map(|name| state.buckets[name].resource.clone()).collect();
        let next_page_token = next.unwrap_or_default();
        Ok(v2::ListBucketsResponse { buckets, next_page_token, ..Default::default() })
    }
}

fn conditions(metageneration: Option<i64>, not_metageneration: Option<i64>) -> Preconditions {
    Preconditions { metageneration, not_metageneration, ..Preconditions::default() }
}

fn check(bucket: &v2::Bucket) -> Result<(), Refusal> {
    if !bucket.storage_class.is_empty() {
        names::check_class(&bucket.storage_class)?;
    }
    let prevention = bucket.iam_config.as_ref().map_or("", |iam| iam.public_access_prevention.as_str());
    if !matches!(prevention, "" | "inherited" | "enforced") {
        return Err(Refusal::invalid(format!("Invalid public access prevention `{prevention}`")));
    }
    let fits = |(key, value): (&String, &String)| {
        let plain = |text: &str| {
            text.len() <= 128
                && text.chars().count() <= 63
                && text.chars().all(|c| matches!(c, '-' | '_') || (c.is_alphanumeric() && !c.is_uppercase()))
        };
        key.chars().next().is_some_and(char::is_alphabetic) && plain(key) && plain(value)
    };
    if bucket.labels.len() > MOST_LABELS || !bucket.labels.iter().all(fits) {
        return Err(Refusal::invalid(
            "The labels of a bucket are too many, too long or have other characters",
        ));
    }
    bucket.lifecycle.as_ref().map_or(Ok(()), lifecycle::check)
}

/// Predefined ACLs don't go with uniform access, and public ones not with the prevention of public access.
fn check_public(bucket: &v2::Bucket, predefined: &[&str]) -> Result<(), Refusal> {
    let iam = bucket.iam_config.clone().unwrap_or_default();
    if iam.uniform_bucket_level_access.is_some_and(|uniform| uniform.enabled)
        && predefined.iter().any(|acl| !acl.is_empty())
    {
        let message =
            "Cannot use ACL API to update bucket policy when uniform bucket-level access is enabled.";
        return Err(Refusal::invalid(message));
    }
    let public = |acl: &&str| matches!(*acl, "publicRead" | "publicReadWrite" | "authenticatedRead");
    if iam.public_access_prevention == "enforced" && predefined.iter().any(public) {
        return Err(Refusal::condition());
    }
    Ok(())
}

fn update_field(bucket: &mut v2::Bucket, wanted: &v2::Bucket, path: &str) -> Result<(), Refusal> {
    if let Some(key) = path.strip_prefix("labels.") {
        match wanted.labels.get(key) {
            Some(value) => bucket.labels.insert(key.to_owned(), value.clone()),
            None => bucket.labels.remove(key),
        };
        return Ok(());
    }
    let iam = || wanted.iam_config.clone().unwrap_or_default();
    let kept = |bucket: &mut v2::Bucket| bucket.iam_config.take().unwrap_or_default();
    match path {
        "lifecycle" | "lifecycle.rule" => bucket.lifecycle.clone_from(&wanted.lifecycle),
        "versioning" | "versioning.enabled" => bucket.versioning = wanted.versioning,
        "labels" => bucket.labels.clone_from(&wanted.labels),
        "storage_class" => bucket.storage_class.clone_from(&wanted.storage_class),
        "default_event_based_hold" => bucket.default_event_based_hold = wanted.default_event_based_hold,
        "soft_delete_policy" => bucket.soft_delete_policy = wanted.soft_delete_policy,
        "iam_config" => bucket.iam_config = Some(iam()),
        "iam_config.public_access_prevention" => {
            let public_access_prevention = iam().public_access_prevention;
            bucket.iam_config = Some(IamConfig { public_access_prevention, ..kept(bucket) });
        }
        "iam_config.uniform_bucket_level_access" | "iam_config.uniform_bucket_level_access.enabled" => {
            let uniform_bucket_level_access = iam().uniform_bucket_level_access;
            bucket.iam_config = Some(IamConfig { uniform_bucket_level_access, ..kept(bucket) });
        }
        "name" | "bucket_id" | "project" | "location" | "create_time" | "metageneration" => {
            return Err(Refusal::invalid(format!("The field `{path}` of a bucket can't be updated")));
        }
        other => return Err(Refusal::not_here(&format!("updating the field `{other}` of a bucket"))),
    }
    Ok(())
}
