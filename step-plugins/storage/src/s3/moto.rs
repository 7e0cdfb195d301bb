//! The contract of stores on moto, and buckets and their rules, which only moto has. The lane `moto` runs these.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::config::Credentials;
use rekindle_emulators::{ACCESS_KEY, MotoServer, SECRET_KEY};
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{
    Body, Bucket, BucketChange, BucketFacts, LifecycleRule, ObjectStore as _, PutMode, Setting,
    StoreErrorKind,
};
use serde_json::json;

use super::S3Store;
use super::open::open_with;
use super::tests::config;
use crate::bucket::patience::Patience;
use crate::contract::{MIB, Store, key, noise, store_contract};

async fn open(server: &MotoServer, config: &StoreConfig) -> S3Store {
    open_as(server, config, Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test")).await
}

async fn open_as(server: &MotoServer, config: &StoreConfig, who: Credentials) -> S3Store {
    let config = StoreConfig { endpoint: Some(server.endpoint().to_owned()), ..config.clone() };
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).empty_test_environment().credentials_provider(who);
    let patience = Patience { attempts: 2, first_wait: Duration::from_millis(50), ..Patience::default() };
    open_with(&config, loader, patience).await.unwrap_or_else(|failure| panic!("{failure:?}"))
}

async fn bucket() -> (S3Store, MotoServer) {
    let server = MotoServer::start().unwrap();
    let store = open(&server, &config("", "s3://backups/mysql")).await;
    (store, server)
}

async fn store() -> (Store, MotoServer) {
    let (store, server) = bucket().await;
    store.change(BucketChange::Create).await.unwrap();
    (Arc::new(store), server)
}

// All facts but two: moto looks whether the condition of a write holds, and then writes, with nothing in between that keeps
// others out, so writers who race can both win there:
// `of_many_writers_if_absent_exactly_one_wins` and `of_many_swaps_none_is_lost`.
store_contract! { store().await;
    an_object_reads_back_as_written
    an_empty_object_is_an_object
    a_large_stream_arrives_whole_and_in_order
    a_range_gives_exactly_its_bytes
    a_range_outside_the_object_is_invalid
    a_stamped_read_is_of_that_state_alone
    what_is_not_there_is_not_found
    if_absent_leaves_what_is_there
    replace_takes_the_place_of_what_is_there
    a_stream_that_fails_leaves_nothing
    a_stream_that_ends_without_a_word_leaves_what_was_there
    nothing_is_seen_of_an_object_before_its_end
    a_list_is_by_prefix_and_in_key_order
    a_list_gives_the_size_of_each
    a_deleted_object_is_gone_and_its_neighbours_stay
    checking_that_it_is_writable_leaves_no_object
    a_swap_changes_only_the_state_that_was_read
    what_is_too_large_to_be_swapped_is_not_read
    an_upload_is_an_object_when_it_is_whole
    an_upload_goes_on_with_the_source_as_it_is_now
    an_upload_if_absent_leaves_what_is_there
    a_state_that_is_not_of_this_upload_is_passed_over
}

#[tokio::test]
async fn encryption_and_class_are_those_of_every_object_however_it_was_written() {
    let server = MotoServer::start().unwrap();
    let options = StoreConfig {
        server_side_encryption: Some("aws:kms".to_owned()),
        kms_key: Some("arn:aws:kms:eu-central-1:111122223333:key/1234abcd".to_owned()),
        storage_class: Some("STANDARD_IA".to_owned()),
        ..config("", "s3://backups/mysql")
    };
    let mut store = open(&server, &options).await;
    store.change(BucketChange::Create).await.unwrap();
    store.put(&key("small"), Body::from_bytes("x"), PutMode::IfAbsent).await.unwrap();
    store.put(&key("large"), Body::from_bytes(noise(6 * MIB)), PutMode::IfAbsent).await.unwrap();
    let place = store.place(&key("large")).unwrap();
    store.copy_from(&place, &key("whole"), PutMode::Replace).await.unwrap().unwrap();
    store.most_copied_at_once_bytes = 5 * MIB as u64;
    store.copy_from(&place, &key("parts"), PutMode::Replace).await.unwrap().unwrap();
    for name in ["small", "large", "whole", "parts"] {
        let found = super::download::look(&store, &format!("mysql/{name}")).await.unwrap().unwrap();
        assert_eq!(found.server_side_encryption().unwrap().as_str(), "aws:kms", "{name}");
        assert_eq!(found.ssekms_key_id(), options.kms_key.as_deref(), "{name}");
        assert_eq!(found.storage_class().unwrap().as_str(), "STANDARD_IA", "{name}");
    }
}

#[tokio::test]
async fn a_bucket_is_made_in_its_region_and_everything_set_reads_back() {
    let (bucket, _server) = bucket().await;
    assert_eq!(bucket.look().await.unwrap(), None);
    bucket.change(BucketChange::Create).await.unwrap();
    let (off, on) = (Setting::Off, Setting::On);
    let facts = |versioning, public_access_blocked| {
        Some(BucketFacts { location: Some("eu-central-1".to_owned()), versioning, public_access_blocked })
    };
    assert_eq!(bucket.look().await.unwrap(), facts(off, off));
    bucket.change(BucketChange::BlockPublicAccess).await.unwrap();
    assert_eq!(bucket.look().await.unwrap(), facts(off, on));
    bucket.change(BucketChange::KeepVersions).await.unwrap();
    assert_eq!(bucket.look().await.unwrap(), facts(on, on));
}

#[tokio::test]
async fn each_change_can_be_made_again_as_after_a_lost_answer() {
    let (bucket, _server) = bucket().await;
    for change in [BucketChange::Create, BucketChange::KeepVersions, BucketChange::BlockPublicAccess] {
        bucket.change(change).await.unwrap();
        bucket.change(change).await.unwrap();
    }
}

fn delete_after(id: &str, days: u32) -> LifecycleRule {
    json!({ "ID": id, "Status": "Enabled", "Filter": { "Prefix": "mysql/" }, "Expiration": { "Days": days } })
}

#[tokio::test]
async fn rules_are_changed_one_by_one_and_others_stay_as_they_are() {
    let (bucket, _server) = bucket().await;
    bucket.change(BucketChange::Create).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), Vec::<LifecycleRule>::new());
    bucket.change_lifecycle(&[], &[delete_after("a", 3), delete_after("b", 4)]).await.unwrap();
    bucket.change_lifecycle(&[delete_after("a", 3)], &[delete_after("a", 5)]).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), [delete_after("b", 4), delete_after("a", 5)]);
    let late = bucket.change_lifecycle(&[delete_after("a", 3)], &[delete_after("a", 6)]).await.unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Changed);
    bucket.change_lifecycle(&bucket.lifecycle().await.unwrap(), &[]).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), Vec::<LifecycleRule>::new());
}

#[tokio::test]
async fn rules_of_others_with_all_that_they_can_say_survive_a_change() {
    use aws_sdk_s3::types as t;
    let (bucket, _server) = bucket().await;
    bucket.change(BucketChange::Create).await.unwrap();
    let tag = t::Tag::builder().key("team").value("shop").build().unwrap();
    let and = t::LifecycleRuleAndOperator::builder().prefix("logs/").tags(tag).build();
    let moved = t::NoncurrentVersionTransition::builder()
        .noncurrent_days(30)
        .storage_class(t::TransitionStorageClass::Glacier)
        .build();
    let rule = t::LifecycleRule::builder()
        .id("theirs")
        .status(t::ExpirationStatus::Disabled)
        .filter(t::LifecycleRuleFilter::builder().and(and).build())
        .noncurrent_version_transitions(moved)
        .expiration(t::LifecycleExpiration::builder().days(9).build())
        .build()
        .unwrap();
    let all = t::BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let put =
        bucket.client.put_bucket_lifecycle_configuration().bucket("backups").lifecycle_configuration(all);
    put.send().await.unwrap();
    let theirs = bucket.lifecycle().await.unwrap();
    insta::assert_snapshot!(theirs[0], @r#"{"ID":"theirs","Status":"Disabled","Filter":{"And":{"Prefix":"logs/","Tags":[{"Key":"team","Value":"shop"}]}},"Expiration":{"Days":9},"NoncurrentVersionTransitions":[{"NoncurrentDays":30,"StorageClass":"GLACIER"}]}"#);
    bucket.change_lifecycle(&[], &[delete_after("a", 3)]).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), [theirs[0].clone(), delete_after("a", 3)]);
}

#[tokio::test]
async fn the_rules_of_the_guide_read_back_as_declared() {
    let (bucket, _server) = bucket().await;
    bucket.change(BucketChange::Create).await.unwrap();
    let declared = crate::lifecycle::guide_rules("mysql/");
    bucket.change_lifecycle(&[], &declared).await.unwrap();
    assert_eq!(bucket.lifecycle().await.unwrap(), declared);
}

#[tokio::test]
async fn rules_of_a_bucket_that_is_not_there_are_no_empty_list() {
    let (bucket, _server) = bucket().await;
    let error = bucket.lifecycle().await.unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"failed to read `lifecycle` in s3://backups/mysql: The specified bucket does not exist (NoSuchBucket, HTTP 404); make the bucket first, or correct the store's `url:`");
}

/// Gives credentials of another account (AWS Security Token Service API Reference, `AssumeRole`).
fn of_somebody_else(server: &MotoServer) -> Credentials {
    use std::io::{Read as _, Write as _};
    let role =
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s&RoleArn=arn:aws:iam::111122223333:role/r";
    let request = format!(
        "POST / HTTP/1.0\r\nHost: sts.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/us-east-1/sts/aws4_request\r\n\
         Content-Length: {}\r\n\r\n{role}",
        role.len()
    );
    let mut connection =
        std::net::TcpStream::connect(server.endpoint().trim_start_matches("http://")).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let field = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{answer}"));
        rest.split('<').next().unwrap().to_owned()
    };
    Credentials::new(
        field("AccessKeyId"),
        field("SecretAccessKey"),
        Some(field("SessionToken")),
        None,
        "test",
    )
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_is_told_so() {
    let (theirs, server) = bucket().await;
    theirs.change(BucketChange::Create).await.unwrap();
    let who = of_somebody_else(&server);
    let ours = open_as(&server, &config("", "s3://backups/mysql"), who).await;
    let error = ours.change(BucketChange::Create).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    insta::assert_snapshot!(error.to_string(), @"failed to change s3://backups/mysql: the name `backups` is taken by somebody else's bucket; choose another one for the store's `url:`");
}
