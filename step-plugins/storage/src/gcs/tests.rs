//! The contract of stores on a server of Google Cloud Storage, and what only that can get wrong.

use std::sync::Arc;

use bytes::Bytes;
use google_cloud_storage::model::Object;
use rekindle_emulators::{Fault, GcsServer};
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{Body, ObjectStore, ProviderPlace, PutMode, StoreErrorKind};

use super::joining::{Pieces, Row};
use super::open::open_with;
use super::requests::{self, Write};
use super::{GcsStore, Sum, download};
use crate::bucket::patience::Patience;
use crate::contract::{MIB, Store, key, names, noise, store_contract, text};

pub(crate) const BUCKET: &str = "backups";

pub(crate) fn config(endpoint: &str, url: &str) -> StoreConfig {
    StoreConfig { endpoint: Some(endpoint.to_owned()), anonymous: Some(true), ..StoreConfig::at(url) }
}

pub(crate) async fn open_as(config: &StoreConfig) -> GcsStore {
    open_with(config, Patience::of_a_test()).await.unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// Opens a store with nothing of this machine's environment.
pub(crate) async fn open(server: &GcsServer, url: &str) -> GcsStore {
    open_as(&config(server.endpoint(), url)).await
}

async fn store() -> (Store, GcsServer) {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(open(&server, "gs://backups/mysql").await);
    (store, server)
}

store_contract!(store().await);

/// Names everything in the bucket, parts as well.
pub(super) async fn everything(store: &GcsStore) -> Vec<String> {
    let page = store.control.list_objects().set_parent(store.bucket()).set_page_size(1000).send();
    page.await.unwrap().objects.into_iter().map(|object| object.name).collect()
}

async fn look(store: &GcsStore, object: &str) -> Object {
    requests::look(store, &store.bucket(), object).await.unwrap().unwrap()
}

/// Leaves an object by its whole name, as others or a killed write do.
async fn leave(store: &GcsStore, object: &str) {
    let write = Write { object, only_if: None, class: "", mark: "other" };
    requests::write(store, &write, Bytes::from_static(b"x"), Sum::of(b"x")).await.unwrap();
}

#[tokio::test]
async fn what_comes_in_many_parts_is_whole_and_its_checksum_is_kept() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql/").await;
    let bytes = noise(19 * MIB + 7);
    let info = store.put(&key("large"), Body::from_bytes(bytes.clone()), PutMode::IfAbsent).await.unwrap();
    assert_eq!(info.size_bytes, bytes.len() as u64);
    let found = look(&store, "mysql/large").await;
    assert_eq!(download::stored_sum(&found), Some(Sum::of(&bytes).text()));
    assert_eq!(everything(&store).await, ["mysql/large"]);
    let read = store.get(&key("large"), None).await.unwrap().collect(32 * MIB).await.unwrap();
    assert!(read == bytes);
    let range = 5 * MIB as u64 - 3..5 * MIB as u64 + 5;
    let part = store.get(&key("large"), Some(range)).await.unwrap().collect(8).await.unwrap();
    assert_eq!(part, bytes[5 * MIB - 3..5 * MIB + 5]);
    let again = store.put(&key("large"), Body::from_bytes(bytes), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(again.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(everything(&store).await, ["mysql/large"]);
    // Sessions that can be gone on with are what the client can corrupt.
    assert!(!server.faults().seen().iter().any(|seen| seen.contains("uploadType=resumable")));
}

#[tokio::test]
async fn parts_are_joined_in_their_order_however_they_arrive() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql").await;
    let pieces = Arc::new(Pieces::of_write(&store, "w"));
    let mut row = Row::new(&pieces);
    let all: Vec<u8> = (0..70).collect();
    // Every two of them the wrong way round, and the first one late.
    let order = (2..=70).map(|number| if number % 2 == 0 { number + 1 } else { number - 1 });
    for number in order.filter(|number| *number <= 70).chain([70, 1]) {
        let byte = Bytes::from(vec![all[number - 1]]);
        let number = u32::try_from(number).unwrap();
        row.arrived(Arc::clone(&pieces).send(number, byte).await.unwrap()).await.unwrap();
    }
    let whole = row.whole().await.unwrap().unwrap();
    assert_eq!(whole.sum, Sum::of(&all));
    // What was joined is gone at once.
    assert_eq!(everything(&store).await, std::slice::from_ref(&whole.name));
    let place = (store.bucket(), whole.name.as_str(), whole.generation);
    super::copying::rewrite(&store, place, "mysql/whole", Some(0), "w").await.unwrap();
    let read = store.get(&key("whole"), None).await.unwrap().collect(100).await.unwrap();
    assert_eq!(read, all);
    pieces.clear().await;
    assert_eq!(everything(&store).await, ["mysql/whole"]);
}

#[tokio::test]
async fn objects_are_of_the_class_and_under_the_key_that_were_asked_for() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let config = StoreConfig {
        storage_class: Some("NEARLINE".to_owned()),
        kms_key: Some(kms_key.to_owned()),
        ..config(server.endpoint(), "gs://backups")
    };
    let store = open_as(&config).await;
    for (name, length) in [("small", 3), ("large", 9 * MIB)] {
        store.put(&key(name), Body::from_bytes(noise(length)), PutMode::IfAbsent).await.unwrap();
        let found = look(&store, name).await;
        assert_eq!((found.storage_class.as_str(), found.size), ("NEARLINE", i64::try_from(length).unwrap()));
        assert!(found.kms_key.starts_with(kms_key), "{}", found.kms_key);
    }
}

#[tokio::test]
async fn abandoned_parts_are_removed_by_the_age_of_their_write_and_only_below_the_prefix() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let (mine, other) = (open(&server, "gs://backups/mine").await, open(&server, "gs://backups/other").await);
    for part in ["mine/.rekindle-parts//w/1", "mine/.rekindle-parts//w/2", "mine/.rekindle-parts//v/1"] {
        leave(&mine, part).await;
    }
    leave(&other, "other/.rekindle-parts//w/1").await;
    mine.put(&key("a"), Body::from_bytes("x"), PutMode::IfAbsent).await.unwrap();
    let told: Vec<_> =
        mine.list_unfinished().await.unwrap().into_iter().map(|one| (one.name, one.key)).collect();
    assert_eq!(told, [".rekindle-parts//v", ".rekindle-parts//w"].map(|name| (name.to_owned(), None)));
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    assert_eq!(mine.remove_abandoned(now - hour).await.unwrap().len(), 0);
    assert_eq!(mine.remove_abandoned(now + hour).await.unwrap().len(), 2);
    assert_eq!(mine.remove_abandoned(now + hour).await.unwrap().len(), 0);
    assert_eq!(everything(&mine).await, ["mine/a", "other/.rekindle-parts//w/1"]);
    assert_eq!(other.remove_abandoned(now + hour).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_goes_on_over_pages() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql").await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..2_345 {
        let store = store.clone();
        writers.spawn(async move { leave(&store, &format!("mysql/many/{number:05}")).await });
        if writers.len() > 16 {
            writers.join_next().await.unwrap().unwrap();
        }
    }
    writers.join_all().await;
    let store: Store = Arc::new(store);
    let all = names(&store, "many/").await;
    assert_eq!((all.len(), all[0].as_str(), all[2_344].as_str()), (2_345, "many/00000", "many/02344"));
    assert!(all.is_sorted());
    let pages = server.faults().seen().iter().filter(|seen| seen.contains("ListObjects")).count();
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn the_provider_copies_by_itself_in_as_many_steps_as_it_wants() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let from = open(&server, "gs://backups/mysql").await;
    let to = open(&server, "gs://backups").await;
    let bytes = noise(5 * MIB);
    from.put(&key("a b/ü"), Body::from_bytes(bytes.clone()), PutMode::IfAbsent).await.unwrap();
    let place = from.place(&key("a b/ü")).unwrap();

    for most in [64, 1] {
        server.rewrite_at_most(most * MIB as u64);
        let copied = to.copy_from(&place, &key("copy"), PutMode::Replace).await.unwrap().unwrap();
        assert_eq!(copied.size_bytes, bytes.len() as u64);
        let read = to.get(&key("copy"), None).await.unwrap().collect(32 * MIB).await.unwrap();
        assert!(read == bytes);
        let again = to.copy_from(&place, &key("copy"), PutMode::IfAbsent).await.unwrap_err();
        assert_eq!(again.kind, StoreErrorKind::AlreadyExists);
    }
    let reads = server.faults().seen().iter().filter(|seen| seen.starts_with("GET")).count();
    assert_eq!(reads, 2, "only the test itself reads");
    let elsewhere = ProviderPlace { service: "gs https://else".to_owned(), ..place.clone() };
    assert_eq!(to.copy_from(&elsewhere, &key("copy"), PutMode::Replace).await.unwrap(), None);
    let gone = ProviderPlace { object: "mysql/gone".to_owned(), ..place.clone() };
    let told = to.copy_from(&gone, &key("copy"), PutMode::Replace).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::NotFound);
    for (status, about) in [(400, "GetObject"), (501, "RewriteObject"), (403, "RewriteObject")] {
        server.faults().add("POST", about, 1, Fault::Refuse(status, "invalid", None));
        let left = to.copy_from(&place, &key("other"), PutMode::Replace).await;
        assert_eq!(left.unwrap(), None, "{about} {status}");
    }
    server.forbid("mysql/");
    assert_eq!(to.copy_from(&place, &key("other"), PutMode::Replace).await.unwrap(), None);
}

#[tokio::test]
async fn what_others_put_there_that_is_no_key_is_passed_over() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql").await;
    for object in ["outside", "mysql/folder/", "mysql//odd", "mysql/.rekindle-parts//w/1"] {
        leave(&store, object).await;
    }
    let store: Store = Arc::new(store);
    store.put(&key("a/b"), Body::from_bytes("x"), PutMode::IfAbsent).await.unwrap();
    assert_eq!(names(&store, "").await, ["a/b"]);
    assert_eq!(names(&store, ".rekindle").await, Vec::<String>::new());
    assert_eq!(text(&store, "a/b").await, "x");
}

#[tokio::test]
async fn a_state_of_another_store_is_no_state_here() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql").await;
    let stamp = rekindle_engine::host::Stamp("\"etag\"".to_owned());
    let told = store.swap(&key("lease"), Some(&stamp), Bytes::new()).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Invalid);
}

#[tokio::test]
async fn who_pays_is_said_along_with_the_request() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let config =
        StoreConfig { billing_project: Some("shop-1".to_owned()), ..config(&endpoint, "gs://backups") };
    let told = open_as(&config).await.get(&key("a"), None).await.map(|_| ()).unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Denied);
    let asked = asked.await.unwrap();
    assert!(asked.contains("x-goog-user-project: shop-1"), "{asked}");
}
