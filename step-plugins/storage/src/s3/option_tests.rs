//! What a store's options make its requests say, as the server got it. What becomes of it there is tested on moto.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_emulators::S3Server;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{Body, ObjectStore as _, PutMode, StoreErrorKind};

use super::S3Store;
use super::open::open_with;
use super::tests::{BUCKET, config, open_as};
use crate::bucket::patience::Patience;
use crate::contract::{MIB, key, noise};
use crate::fault_bench::{put, read};

/// Opens a store with options and lets it do all that a store can do with objects.
async fn everything(server: &S3Server, options: StoreConfig) {
    let mut store = open_as(&options, rekindle_emulators::SECRET_KEY).await;
    put(&store, "small", b"x").await.unwrap();
    put(&store, "large", &noise(9 * MIB)).await.unwrap();
    copy(&store, "whole").await;
    store.most_copied_at_once_bytes = 5 * MIB as u64;
    copy(&store, "parts").await;
    read(&store, "large").await.unwrap();
    store.get(&key("large"), Some(1..5)).await.unwrap().collect(9).await.unwrap();
    let (_, stamp) = store.read_stamped(&key("small"), 9).await.unwrap().unwrap();
    store.swap(&key("small"), Some(&stamp), "y".into()).await.unwrap();
    store.head(&key("small")).await.unwrap().unwrap();
    store.list("").await.unwrap();
    store.check_writable().await.unwrap();
    let begun = store.client.create_multipart_upload().bucket(BUCKET).key("mysql/left");
    begun.request_payer("requester".into()).send().await.unwrap();
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(store.remove_abandoned(later).await.unwrap().len(), 1);
    store.delete(&key("small")).await.unwrap();
    assert!(server.faults().seen().len() > 20);
}

async fn copy(store: &S3Store, name: &str) {
    let place = store.place(&key("large")).unwrap();
    store.copy_from(&place, &key(name), PutMode::Replace).await.unwrap().unwrap();
}

/// Gives what a header says in each kind of request that has it, sorted; `-` where one of that kind has it not.
fn said(server: &S3Server, header: &str) -> Vec<String> {
    let said = server.faults().said(header).into_iter();
    let mut by_kind = BTreeMap::<String, BTreeSet<Option<String>>>::new();
    for (seen, value) in said.filter(|(seen, _)| !seen.contains("mysql/left")) {
        by_kind.entry(kind(&seen)).or_default().insert(value);
    }
    by_kind.retain(|_, values| values.iter().any(Option::is_some));
    let mut lines = Vec::new();
    for (kind, values) in by_kind {
        lines.extend(values.iter().map(|value| format!("{kind} {}", value.as_deref().unwrap_or("-"))));
    }
    lines
}

/// Names what a request is: the method and the first words of its query.
fn kind(seen: &str) -> String {
    let (method, target) = seen.split_once(' ').unwrap();
    let query = target.split(' ').next().unwrap().split_once('?').map_or("", |(_, query)| query);
    let words = query.split('&').map(|word| {
        word.split_once('=').map_or(word, |(name, value)| match name {
            "x-id" => value,
            name => name,
        })
    });
    format!("{method} {}", words.collect::<Vec<_>>().join("&"))
}

#[tokio::test]
async fn encryption_by_a_key_and_the_class_go_with_every_write_of_an_object() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let options = StoreConfig {
        server_side_encryption: Some("aws:kms".to_owned()),
        kms_key: Some("arn:aws:kms:eu-central-1:111122223333:key/1234abcd".to_owned()),
        storage_class: Some("REDUCED_REDUNDANCY".to_owned()),
        ..config(server.endpoint(), "s3://backups/mysql")
    };
    everything(&server, options).await;
    insta::assert_snapshot!(said(&server, "x-amz-server-side-encryption").join("\n"), @r"
    POST uploads aws:kms
    PUT CopyObject aws:kms
    PUT PutObject aws:kms
    ");
    insta::assert_snapshot!(said(&server, "x-amz-server-side-encryption-aws-kms-key-id").join("\n"), @r"
    POST uploads arn:aws:kms:eu-central-1:111122223333:key/1234abcd
    PUT CopyObject arn:aws:kms:eu-central-1:111122223333:key/1234abcd
    PUT PutObject arn:aws:kms:eu-central-1:111122223333:key/1234abcd
    ");
    insta::assert_snapshot!(said(&server, "x-amz-storage-class").join("\n"), @r"
    POST uploads REDUCED_REDUNDANCY
    PUT CopyObject REDUCED_REDUNDANCY
    PUT PutObject REDUCED_REDUNDANCY
    ");
    assert_eq!(said(&server, "x-amz-request-payer"), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_asks_pays_for_every_request_about_objects() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let options =
        StoreConfig { requester_pays: Some(true), ..config(server.endpoint(), "s3://backups/mysql") };
    everything(&server, options).await;
    let silent: Vec<String> = server
        .faults()
        .said("x-amz-request-payer")
        .into_iter()
        .filter(|(_, payer)| payer.as_deref() != Some("requester"))
        .map(|(seen, _)| seen)
        .collect();
    assert_eq!(silent, Vec::<String>::new());
    insta::assert_snapshot!(said(&server, "x-amz-request-payer").join("\n"), @r"
    DELETE AbortMultipartUpload&uploadId requester
    DELETE DeleteObject requester
    GET GetObject requester
    GET list-type&prefix requester
    GET uploads&prefix requester
    HEAD  requester
    POST uploadId requester
    POST uploads requester
    PUT CopyObject requester
    PUT PutObject requester
    PUT UploadPart&partNumber&uploadId requester
    PUT UploadPartCopy&partNumber&uploadId requester
    ");
}

#[tokio::test]
async fn without_options_nothing_is_asked_for() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store =
        open_as(&config(server.endpoint(), "s3://backups/mysql"), rekindle_emulators::SECRET_KEY).await;
    store.put(&key("large"), Body::from_bytes(noise(9 * MIB)), PutMode::IfAbsent).await.unwrap();
    copy(&store, "copy").await;
    for header in ["x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-request-payer"] {
        assert_eq!(said(&server, header), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_class_that_there_is_not_is_refused_before_anything_is_asked() {
    let open = async |class: &str, endpoint: Option<&str>| {
        let options = StoreConfig {
            region: Some("eu-central-1".to_owned()),
            storage_class: Some(class.to_owned()),
            endpoint: endpoint.map(str::to_owned),
            ..StoreConfig::at("s3://backups")
        };
        let loader = aws_config::defaults(aws_config::BehaviorVersion::latest()).empty_test_environment();
        open_with(&options, loader, Patience::of_a_test()).await.map(|_| ())
    };
    let told = open("STANDARD_AI", None).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Invalid);
    insta::assert_snapshot!(told.why, @"S3 has no storage class `STANDARD_AI` (did you mean `STANDARD_IA`?); write one of STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, REDUCED_REDUNDANCY");
    insta::assert_snapshot!(open("COLD", None).await.unwrap_err().why, @"S3 has no storage class `COLD`; write one of STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, REDUCED_REDUNDANCY");
    open("STANDARD_IA", None).await.unwrap();
    // Others than Amazon have others.
    open("COLD", Some("https://ceph.example")).await.unwrap();
}
