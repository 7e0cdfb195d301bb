//! Stores in buckets.

use super::tests::body_errors;
use super::*;
use crate::document::Source;
use crate::document::rendering::render;

#[test]
fn a_bucket_is_read_with_how_it_is_reached_and_written() {
    let body = "stores:\n  a: { url: 's3://shop-backups/mysql', region: ap-northeast-2, endpoint: 'https://s3.example', \
                path_style: true, profile: backup, server_side_encryption: 'aws:kms', kms_key: k, \
                storage_class: STANDARD_IA, requester_pays: true }\n  b: { url: 's3://shop-backups' }\n";
    let text = format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{body}");
    let stores = parse(&Source::new("e.yaml", &text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let wanted = StoreConfig {
        region: Some("ap-northeast-2".to_owned()),
        endpoint: Some("https://s3.example".to_owned()),
        path_style: Some(true),
        profile: Some("backup".to_owned()),
        server_side_encryption: Some("aws:kms".to_owned()),
        kms_key: Some("k".to_owned()),
        storage_class: Some("STANDARD_IA".to_owned()),
        requester_pays: Some(true),
        ..StoreConfig::at("s3://shop-backups/mysql")
    };
    assert_eq!(stores.settings.stores[0], wanted);
    assert_eq!(stores.settings.stores[1], StoreConfig::at("s3://shop-backups"));
}

#[test]
fn every_mistake_about_a_bucket_is_told() {
    let body = "stores:
  a: { url: 's3:bucket' }
  b: { url: 's3://B_/x', region: '' }
  c: { url: 's3://bucket//x' }
  d: { url: 's3://bucket', endpoint: 'http://key:hunter2@host', storage_class: DEEP_ARCHIVE }
  e: { url: 's3://bucket', endpoint: host, server_side_encryption: kms }
  f: { url: 's3://bucket', kms_key: k }
  g: { url: 'file:x', region: r, path_style: true }
  h: { url: 's3://bucket', path_style: 'yes', regoin: r }
  i: { url: 's3://key:hunter2@bucket/x' }
";
    let told = body_errors(body);
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
    rekindle::environment::wrong_value: it names no bucket of S3
      e.yaml:5:13 "'s3:bucket'": this value
      help: write `s3://bucket` or `s3://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-` and `.`
    rekindle::environment::wrong_value: it names no bucket of S3
      e.yaml:6:13 "'s3://B_/x'": this value
      help: write `s3://bucket` or `s3://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-` and `.`
    rekindle::environment::wrong_value: `region` is empty
      e.yaml:6:34 "''": this value
      help: write something, or leave the field out
    rekindle::environment::wrong_value: it names no bucket of S3
      e.yaml:7:13 "'s3://bucket//x'": this value
      help: write `s3://bucket` or `s3://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-` and `.`
    rekindle::environment::wrong_value: `endpoint` holds credentials
      e.yaml:8:38 "*************************": this value
      help: write the address alone: credentials come from the AWS environment variables, files and services
    rekindle::environment::wrong_value: objects of the class `DEEP_ARCHIVE` can't be read back when they are needed
      e.yaml:8:80 "DEEP_ARCHIVE": this value
      help: write one that is read at once, such as `STANDARD_IA` or `GLACIER_IR`; archive by a rule of the bucket
    rekindle::environment::wrong_value: `endpoint` is no web address
      e.yaml:9:38 "host": this value
      help: write `https://host` or `https://host:port`
    rekindle::environment::wrong_value: `server_side_encryption` cannot be `kms`
      e.yaml:9:68 "kms": this value
      help: write one of: `AES256`, `aws:kms`, `aws:kms:dsse`
    rekindle::environment::key_without_encryption: `kms_key` is used only with `server_side_encryption: "aws:kms"`
      e.yaml:10:37 "k": would encrypt nothing
      help: add `server_side_encryption: "aws:kms"`
    rekindle::environment::not_for_this_store: `region` says something about buckets of S3, and this store is a folder
      e.yaml:11:23 "region": means nothing here
      help: remove it, or write an `s3://bucket/prefix` URL
    rekindle::environment::not_for_this_store: `path_style` says something about buckets of S3, and this store is a folder
      e.yaml:11:34 "path_style": means nothing here
      help: remove it, or write an `s3://bucket/prefix` URL
    rekindle::environment::wrong_type: `path_style` must be `true` or `false`, found a string
      e.yaml:12:40 "'yes'": expected `true` or `false`
    rekindle::environment::unknown_field: store `h` has no field `regoin`
      e.yaml:12:47 "regoin": not a known field
      help: did you mean `region`?
    rekindle::environment::wrong_value: `url` holds credentials
      e.yaml:13:13 "***************************": this value
      help: write `s3://bucket/prefix`: credentials come from the AWS environment variables, files and services
    "#);
}

#[test]
fn a_bucket_of_google_is_read_with_how_it_is_reached_and_written() {
    let body = "stores:\n  a: { url: 'gs://shop_backups.example/mysql', endpoint: 'http://127.0.0.1:9', anonymous: true, \
                kms_key: k, storage_class: ARCHIVE, requester_pays: true, billing_project: p }\n  b: { url: 'gs://abc' }\n";
    let text = format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{body}");
    let stores = parse(&Source::new("e.yaml", &text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let wanted = StoreConfig {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        anonymous: Some(true),
        kms_key: Some("k".to_owned()),
        storage_class: Some("ARCHIVE".to_owned()),
        requester_pays: Some(true),
        billing_project: Some("p".to_owned()),
        ..StoreConfig::at("gs://shop_backups.example/mysql")
    };
    assert_eq!(stores.settings.stores[0], wanted);
    assert_eq!(stores.settings.stores[1], StoreConfig::at("gs://abc"));
}

#[test]
fn every_mistake_about_a_bucket_of_google_is_told() {
    let body = "stores:
  a: { url: 'gs://-bucket' }
  b: { url: 'gs://key:hunter2@bucket/x' }
  c: { url: 'gs://bucket', endpoint: 'http://storage.example', storage_class: NEARLIN }
  d: { url: 'gs://bucket', requester_pays: true, region: r, server_side_encryption: AES256 }
  e: { url: 'gs://bucket', billing_project: p, endpoint: 'https://key:hunter2@host' }
  f: { url: 's3://bucket', billing_project: p }
  g: { url: 'file:x', kms_key: k, anonymous: true }
";
    let told = body_errors(body);
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
    rekindle::environment::wrong_value: it names no bucket of Google Cloud Storage
      e.yaml:5:13 "'gs://-bucket'": this value
      help: write `gs://bucket` or `gs://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-`, `_` and `.`, the first and the last of them a letter or digit
    rekindle::environment::wrong_value: `url` holds credentials
      e.yaml:6:13 "***************************": this value
      help: write `gs://bucket/prefix`: credentials come from GOOGLE_APPLICATION_CREDENTIALS, `gcloud` or the metadata server
    rekindle::environment::wrong_value: the access token would travel unencrypted to this `endpoint`
      e.yaml:7:38 "'http://storage.example'": this value
      help: write `https://`, or add `anonymous: true` for a server that asks for no credentials
    rekindle::environment::wrong_value: `storage_class` cannot be `NEARLIN`
      e.yaml:7:79 "NEARLIN": this value
      help: did you mean `NEARLINE`?
    rekindle::environment::wrong_value: `requester_pays` does not say which project pays
      e.yaml:8:44 "true": this value
      help: add `billing_project:` with the project's id
    rekindle::environment::not_for_this_store: `region` says something about buckets of S3, and this store is in Google Cloud Storage
      e.yaml:8:50 "region": means nothing here
      help: remove it, or write an `s3://bucket/prefix` URL
    rekindle::environment::not_for_this_store: `server_side_encryption` says something about buckets of S3, and this store is in Google Cloud Storage
      e.yaml:8:61 "server_side_encryption": means nothing here
      help: remove it, or write an `s3://bucket/prefix` URL
    rekindle::environment::wrong_value: `billing_project` pays only with `requester_pays: true`
      e.yaml:9:45 "p": this value
      help: add `requester_pays: true`, or remove it
    rekindle::environment::wrong_value: `endpoint` holds credentials
      e.yaml:9:58 "**************************": this value
      help: write the address alone: credentials come from GOOGLE_APPLICATION_CREDENTIALS, `gcloud` or the metadata server
    rekindle::environment::not_for_this_store: `billing_project` says something about buckets of Google Cloud Storage, and this store is in S3
      e.yaml:10:28 "billing_project": means nothing here
      help: remove it, or write a `gs://bucket/prefix` URL
    rekindle::environment::not_for_this_store: `kms_key` says something about buckets, and this store is a folder
      e.yaml:11:23 "kms_key": means nothing here
      help: remove it, or write an `s3://bucket/prefix` or a `gs://bucket/prefix` URL
    rekindle::environment::not_for_this_store: `anonymous` says something about buckets of Google Cloud Storage, and this store is a folder
      e.yaml:11:35 "anonymous": means nothing here
      help: remove it, or write a `gs://bucket/prefix` URL
    "#);
}
