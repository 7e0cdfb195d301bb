//! Buckets: made once, with names and settings that the service takes, and read back as they were set.

use google_cloud_gax::error::rpc::Code;
use google_cloud_storage::model::bucket::iam_config::UniformBucketLevelAccess;
use google_cloud_storage::model::bucket::lifecycle::Rule;
use google_cloud_storage::model::bucket::lifecycle::rule::{Action, Condition};
use google_cloud_storage::model::bucket::{IamConfig, Lifecycle, Versioning};
use google_cloud_storage::model::{Bucket, UpdateBucketRequest};

use super::{Bench, RESOURCE, code};

impl Bench {
    fn create(
        &self,
        id: &str,
        bucket: Bucket,
    ) -> google_cloud_storage::builder::storage_control::CreateBucket {
        let bucket = bucket.set_project("projects/mine");
        self.control.create_bucket().set_parent("projects/_").set_bucket_id(id).set_bucket(bucket)
    }

    async fn update(&self, bucket: Bucket, paths: &[&str]) -> Result<Bucket, google_cloud_gax::error::Error> {
        let mut request = UpdateBucketRequest::new().set_bucket(bucket.set_name(RESOURCE));
        request.update_mask.get_or_insert_default().paths = paths.iter().map(ToString::to_string).collect();
        self.control.update_bucket().with_request(request).send().await
    }

    async fn bucket(&self) -> Bucket {
        self.control.get_bucket().set_name(RESOURCE).send().await.unwrap()
    }
}

fn rule(action: &str, class: &str, condition: Condition) -> Lifecycle {
    let action = Action::new().set_type(action).set_storage_class(class);
    Lifecycle::new().set_rule([Rule::new().set_action(action).set_condition(condition)])
}

#[tokio::test]
async fn a_bucket_is_made_once_and_read_back() {
    let bench = Bench::new().await;
    let iam = IamConfig::new()
        .set_public_access_prevention("enforced")
        .set_uniform_bucket_level_access(UniformBucketLevelAccess::new().set_enabled(true));
    let wanted = Bucket::new()
        .set_location("europe-west3")
        .set_storage_class("NEARLINE")
        .set_labels([("team", "dba")])
        .set_versioning(Versioning::new().set_enabled(true))
        .set_iam_config(iam.clone());

    let made = bench.create("second", wanted.clone()).send().await.unwrap();

    let read = bench.control.get_bucket().set_name("projects/_/buckets/second").send().await.unwrap();
    assert_eq!(read, made);
    assert_eq!((read.location.as_str(), read.storage_class.as_str()), ("EUROPE-WEST3", "NEARLINE"));
    assert_eq!(read.iam_config, Some(iam));
    assert_eq!(code(&bench.create("second", wanted).send().await.unwrap_err()), Some(Code::AlreadyExists));
    let listed = bench.control.list_buckets().set_parent("projects/mine").send().await.unwrap();
    let listed: Vec<_> = listed.buckets.into_iter().map(|bucket| bucket.bucket_id).collect();
    assert_eq!(listed, ["backups", "second"]);
}

#[tokio::test]
async fn buckets_that_the_service_would_not_make_are_refused() {
    let bench = Bench::new().await;
    let invalid = Some(Code::InvalidArgument);
    for name in ["ab", "Upper", "google-backups"] {
        assert_eq!(code(&bench.create(name, Bucket::new()).send().await.unwrap_err()), invalid, "{name}");
    }
    let acl = bench.create("second", Bucket::new()).set_predefined_acl("everyone").send().await;
    assert_eq!(code(&acl.unwrap_err()), invalid);
    let class = bench.create("second", Bucket::new().set_storage_class("GLACIER")).send().await;
    assert_eq!(code(&class.unwrap_err()), invalid);
    let homeless =
        bench.control.create_bucket().set_parent("projects/_").set_bucket_id("second").send().await;
    assert_eq!(code(&homeless.unwrap_err()), invalid);
    let missing = bench.control.get_bucket().set_name("projects/_/buckets/second").send().await;
    assert_eq!(code(&missing.unwrap_err()), Some(Code::NotFound));
}

#[tokio::test]
async fn lifecycle_rules_are_read_back() {
    let bench = Bench::new().await;
    let when = Condition::new().set_age_days(30).set_matches_prefix(["mysql/backups/"]);
    let mut rules = rule("SetStorageClass", "COLDLINE", when.clone());
    rules.rule.extend(rule("Delete", "", when.clone()).rule);
    rules.rule.extend(rule("AbortIncompleteMultipartUpload", "", when).rule);

    let updated = bench.update(Bucket::new().set_lifecycle(rules.clone()), &["lifecycle"]).await.unwrap();

    assert_eq!(updated.metageneration, 2);
    assert_eq!(bench.bucket().await.lifecycle, Some(rules));
    bench.update(Bucket::new(), &["lifecycle"]).await.unwrap();
    assert_eq!(bench.bucket().await.lifecycle, None);
}

#[tokio::test]
async fn lifecycle_rules_that_the_service_would_not_take_are_refused() {
    let bench = Bench::new().await;
    let age = Condition::new().set_age_days(1);
    let refused = [
        rule("Archive", "", age.clone()),
        rule("SetStorageClass", "GLACIER", age.clone()),
        rule("SetStorageClass", "", age.clone()),
        rule("Delete", "COLDLINE", age.clone()),
        rule("Delete", "", Condition::new()),
        rule("Delete", "", Condition::new().set_age_days(-1)),
        rule("Delete", "", Condition::new().set_matches_storage_class(["GLACIER"])),
        rule("AbortIncompleteMultipartUpload", "", age.clone().set_is_live(true)),
        Lifecycle::new().set_rule(vec![rule("Delete", "", age).rule.remove(0); 101]),
    ];
    for (number, lifecycle) in refused.into_iter().enumerate() {
        let answer = bench.update(Bucket::new().set_lifecycle(lifecycle), &["lifecycle"]).await;
        assert_eq!(code(&answer.unwrap_err()), Some(Code::InvalidArgument), "{number}");
    }
    assert_eq!(bench.bucket().await.lifecycle, None);
}

#[tokio::test]
async fn a_bucket_changes_by_a_mask() {
    let bench = Bench::new().await;
    let wanted = Bucket::new()
        .set_labels([("team", "dba")])
        .set_versioning(Versioning::new().set_enabled(true))
        .set_iam_config(IamConfig::new().set_public_access_prevention("enforced"));

    let paths = ["labels.team", "iam_config.public_access_prevention"];
    let updated = bench.update(wanted.clone(), &paths).await.unwrap();

    assert_eq!(updated.labels["team"], "dba");
    assert_eq!(updated.iam_config.unwrap().public_access_prevention, "enforced");
    assert_eq!(updated.versioning, None);
    for path in ["location", "metageneration"] {
        let refused = bench.update(wanted.clone(), &[path]).await.unwrap_err();
        assert_eq!(code(&refused), Some(Code::InvalidArgument), "{path}");
    }
    let open = IamConfig::new().set_public_access_prevention("open");
    let refused = bench.update(Bucket::new().set_iam_config(open), &["iam_config"]).await.unwrap_err();
    assert_eq!(code(&refused), Some(Code::InvalidArgument));
}

#[tokio::test]
async fn a_versioned_bucket_keeps_what_was_replaced_and_deleted() {
    let bench = Bench::new().await;
    let versioned = Bucket::new().set_versioning(Versioning::new().set_enabled(true));
    bench.update(versioned, &["versioning"]).await.unwrap();
    let first = bench.write("a", b"one".to_vec()).await.generation;
    let second = bench.write("a", b"two".to_vec()).await.generation;
    bench.control.delete_object().set_bucket(RESOURCE).set_object("a").send().await.unwrap();
    let list = bench.control.list_objects().set_parent(RESOURCE);

    let kept = list.clone().set_versions(true).send().await.unwrap().objects;

    assert_eq!(kept.iter().map(|object| object.generation).collect::<Vec<_>>(), [first, second]);
    assert!(kept.iter().all(|object| object.delete_time.is_some()));
    assert!(list.send().await.unwrap().objects.is_empty());
    let reader = bench.storage.read_object(RESOURCE, "a").set_generation(first).send().await.unwrap();
    assert_eq!(super::collect(reader).await.unwrap(), b"one");
}

#[tokio::test]
async fn only_an_empty_bucket_is_deleted() {
    let bench = Bench::new().await;
    bench.place("a");
    let delete = || bench.control.delete_bucket().set_name(RESOURCE).send();
    assert_eq!(code(&delete().await.unwrap_err()), Some(Code::FailedPrecondition));

    bench.control.delete_object().set_bucket(RESOURCE).set_object("a").send().await.unwrap();
    delete().await.unwrap();

    assert_eq!(code(&delete().await.unwrap_err()), Some(Code::NotFound));
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));
}
