//! The contract of stores on a real S3 server, and what only S3 can get wrong.

use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_sdk_s3::config::Credentials;
use rekindle_backup::binlog::TimelineKey;
use rekindle_backup::layout::BackupUri;
use rekindle_emulators::{ACCESS_KEY, S3Server, SECRET_KEY};
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{Body, ObjectStore, PutMode};

use super::open::open_with;
use crate::bucket::patience::Patience;
use crate::contract::{MIB, Store, key, names, noise, store_contract, text};

pub(crate) const BUCKET: &str = "backups";

/// Opens a store with credentials of its own and nothing of this machine's environment.
pub(crate) async fn open(server: &S3Server, url: &str) -> super::S3Store {
    let config = config(server.endpoint(), url);
    open_as(&config, SECRET_KEY).await
}

pub(crate) fn config(endpoint: &str, url: &str) -> StoreConfig {
    StoreConfig {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: Some(true),
        ..StoreConfig::at(url)
    }
}

pub(crate) async fn open_as(config: &StoreConfig, secret_key: &str) -> super::S3Store {
    let who = Credentials::new(ACCESS_KEY, secret_key, None, None, "test");
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).empty_test_environment().credentials_provider(who);
    open_with(config, loader, Patience::of_a_test()).await.unwrap_or_else(|failure| panic!("{failure:?}"))
}

async fn store() -> (Store, S3Server) {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(open(&server, "s3://backups/mysql").await);
    (store, server)
}

store_contract!(store().await);

#[tokio::test]
async fn what_comes_in_many_parts_is_whole_and_its_checksum_is_kept() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store = open(&server, "s3://backups/mysql/").await;
    let bytes = noise(19 * MIB + 7);
    let info = store.put(&key("large"), Body::from_bytes(bytes.clone()), PutMode::IfAbsent).await.unwrap();
    assert_eq!(info.size_bytes, bytes.len() as u64);
    let found = super::download::look(&store, "mysql/large").await.unwrap().unwrap();
    assert_eq!(found.checksum_crc64_nvme(), Some(super::Sum::of(&bytes).text().as_str()));
    assert!(found.e_tag().unwrap().ends_with("-4\""), "{:?}", found.e_tag());
    let read = store.get(&key("large"), None).await.unwrap().collect(32 * MIB).await.unwrap();
    assert!(read == bytes);
    let range = 5 * MIB as u64 - 3..5 * MIB as u64 + 5;
    let part = store.get(&key("large"), Some(range)).await.unwrap().collect(8).await.unwrap();
    assert_eq!(part, bytes[5 * MIB - 3..5 * MIB + 5]);
    let again = store.put(&key("large"), Body::from_bytes(bytes), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(again.kind, rekindle_engine::host::StoreErrorKind::AlreadyExists);
}

#[tokio::test]
async fn abandoned_uploads_are_removed_by_age_and_only_below_the_prefix() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let (mine, other) = (open(&server, "s3://backups/mine").await, open(&server, "s3://backups/other").await);
    for (store, object) in [(&mine, "mine/a"), (&mine, "mine/b/c"), (&other, "other/a")] {
        let begun = store.client.create_multipart_upload().bucket(BUCKET).key(object).send().await.unwrap();
        assert!(begun.upload_id().is_some());
    }
    let told = mine.list_unfinished().await.unwrap();
    assert_eq!(
        told.iter().map(|one| one.key.clone()).collect::<Vec<_>>(),
        [Some(key("a")), Some(key("b/c"))]
    );
    assert!(told.iter().all(|one| one.begun == Some(one.newest)));
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    assert_eq!(mine.remove_abandoned(now - hour).await.unwrap().len(), 0);
    assert_eq!(mine.remove_abandoned(now + hour).await.unwrap().len(), 2);
    assert_eq!(mine.remove_abandoned(now + hour).await.unwrap().len(), 0);
    assert_eq!(other.remove_abandoned(now + hour).await.unwrap().len(), 1);
}

#[tokio::test]
async fn in_a_bucket_without_a_prefix_uploads_of_others_stay() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store = open(&server, "s3://backups").await;
    let backup = format!("{}b1/full.sql.gz", BackupUri::cluster_prefix("shop"));
    let archive = format!("{}1/t/a.gz", TimelineKey::cluster_prefix("shop"));
    let others = ["videos/a.mp4", "backups-of-mail/a.tar"];
    for object in
        [&backup, &archive, "runs/plans/r/plan.json", ".rekindle-can-write"].into_iter().chain(others)
    {
        store.client.create_multipart_upload().bucket(BUCKET).key(object).send().await.unwrap();
    }
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(store.remove_abandoned(later).await.unwrap().len(), 4);
    let left = store.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let left: Vec<_> = left.uploads().iter().map(|upload| upload.key().unwrap()).collect();
    assert_eq!(left, ["backups-of-mail/a.tar", "videos/a.mp4"]);
}

#[tokio::test]
async fn a_list_goes_on_over_pages() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store: Store = Arc::new(open(&server, "s3://backups/mysql").await);
    let folder = server.root().join(BUCKET).join("mysql/many");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2_345 {
        std::fs::write(folder.join(format!("{number:05}")), b"x").unwrap();
    }
    let all = names(&store, "many/").await;
    assert_eq!((all.len(), all[0].as_str(), all[2_344].as_str()), (2_345, "many/00000", "many/02344"));
    assert!(all.is_sorted());
}

#[tokio::test]
async fn the_provider_copies_by_itself_whole_and_in_parts() {
    let server = S3Server::start(BUCKET).await.unwrap();
    std::fs::create_dir(server.root().join("offsite")).unwrap();
    let from = open(&server, "s3://backups/mysql").await;
    let mut to = open(&server, "s3://offsite").await;
    let bytes = noise(12 * MIB);
    from.put(&key("a b/ü"), Body::from_bytes(bytes.clone()), PutMode::IfAbsent).await.unwrap();
    let place = from.place(&key("a b/ü")).unwrap();

    for most in [u64::MAX, 5 * MIB as u64] {
        to.most_copied_at_once_bytes = most;
        let copied = to.copy_from(&place, &key("copy"), PutMode::Replace).await.unwrap().unwrap();
        assert_eq!(copied.size_bytes, bytes.len() as u64);
        let read = to.get(&key("copy"), None).await.unwrap().collect(32 * MIB).await.unwrap();
        assert!(read == bytes);
        let again = to.copy_from(&place, &key("copy"), PutMode::IfAbsent).await.unwrap_err();
        assert_eq!(again.kind, rekindle_engine::host::StoreErrorKind::AlreadyExists);
    }
    let elsewhere = rekindle_engine::host::ProviderPlace { service: "s3 https://else".to_owned(), ..place };
    assert_eq!(to.copy_from(&elsewhere, &key("copy"), PutMode::Replace).await.unwrap(), None);
}

#[tokio::test]
async fn what_others_put_there_that_is_no_key_is_passed_over() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store: Store = Arc::new(open(&server, "s3://backups/mysql").await);
    store.put(&key("a/b"), Body::from_bytes("x"), PutMode::IfAbsent).await.unwrap();
    std::fs::write(server.root().join(BUCKET).join("outside"), b"x").unwrap();
    assert_eq!(names(&store, "").await, ["a/b"]);
    assert_eq!(text(&store, "a/b").await, "x");
}
