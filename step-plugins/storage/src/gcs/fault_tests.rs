//! Bad conditions: what is told, how often it is tried, and that nothing half-made is ever found.

use rekindle_emulators::{Fault, GcsServer};
use rekindle_engine::host::{Body, ObjectStore as _, PutMode, StoreErrorKind};

use super::requests::{Write, write as write_object};
use super::tests::{BUCKET, everything, open};
use super::upload::{Expected, settle};
use super::{GcsStore, Sum};
use crate::contract::{MIB, key, noise};
use crate::fault_bench::{asked, listed, put, read};

async fn bench() -> (GcsServer, GcsStore) {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://backups/mysql").await;
    (server, store)
}

/// What the query of a write says of an object below the prefix.
fn written(name: &str) -> String {
    format!("name=mysql%2F{name}&")
}

/// What the path of a read says of an object below the prefix.
fn path(name: &str) -> String {
    format!("/o/mysql%2F{name}?")
}

#[tokio::test]
async fn wrong_expired_and_refused_credentials_are_told_and_not_tried_again() {
    let (server, store) = bench().await;
    put(&store, "c", b"x").await.unwrap();
    server.forbid("mysql/c");
    insta::assert_snapshot!(read(&store, "c").await.unwrap_err(), @"failed to read `c` in gs://backups/mysql: the caller does not have access to the Google Cloud Storage object mysql/c. (forbidden, HTTP 403); the credentials lack a permission that a store needs: the guide lists them");
    insta::assert_snapshot!(store.head(&key("c")).await.unwrap_err(), @"failed to look at `c` in gs://backups/mysql: the caller does not have access to the Google Cloud Storage object mysql/c. (PERMISSION_DENIED); the credentials lack a permission that a store needs: the guide lists them");
    assert_eq!(asked(server.faults(), &["GET", &path("c")]), 1);

    server.require_token("good");
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Denied);
    insta::assert_snapshot!(told, @"failed to write `a` in gs://backups/mysql: Invalid Credentials (authError, HTTP 401); the credentials have expired or are not taken: log in again");
    assert_eq!(asked(server.faults(), &["POST", &written("a")]), 1);
    insta::assert_snapshot!(store.list("").await.unwrap_err(), @"failed to list gs://backups/mysql: Invalid Credentials (UNAUTHENTICATED); the credentials have expired or are not taken: log in again");
    assert_eq!(asked(server.faults(), &["ListObjects"]), 1);
    assert_eq!(store.check_writable().await.unwrap_err().kind, StoreErrorKind::Denied);
}

#[tokio::test]
async fn a_missing_bucket_is_not_an_empty_one() {
    let server = GcsServer::start(BUCKET).await.unwrap();
    let store = open(&server, "gs://nowhere/mysql").await;
    let told = store.list("").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Invalid);
    insta::assert_snapshot!(told, @"failed to list gs://nowhere/mysql: The specified bucket does not exist. (NOT_FOUND); make the bucket first, or correct the store's `url:`");
    assert_eq!(store.check_writable().await.unwrap_err().kind, StoreErrorKind::Invalid);
    assert_eq!(store.head(&key("a")).await.unwrap_err().kind, StoreErrorKind::Invalid);
    assert_eq!(store.delete(&key("a")).await.unwrap_err().kind, StoreErrorKind::Invalid);
    let read = store.read_stamped(&key("a"), 10).await.unwrap_err();
    assert_eq!(read.kind, StoreErrorKind::Invalid);
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Invalid);
    insta::assert_snapshot!(told, @"failed to write `a` in gs://nowhere/mysql: The specified bucket does not exist. (notFound, HTTP 404); make the bucket first, or correct the store's `url:`");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_not_for_ever() {
    let (server, store) = bench().await;
    for (name, status, reason) in
        [("a", 500, "internalError"), ("b", 503, "backendError"), ("c", 429, "rateLimitExceeded")]
    {
        server.faults().add("POST", &written(name), 2, Fault::Refuse(status, reason, None));
        server.faults().add(
            "POST",
            &format!("GetObject mysql/{name}"),
            2,
            Fault::Refuse(status, reason, None),
        );
        put(&store, name, b"x").await.unwrap();
        assert_eq!(asked(server.faults(), &["POST", &written(name)]), 3, "{reason}");
        assert_eq!(asked(server.faults(), &["GetObject", &format!("mysql/{name}")]), 3, "{reason}");
    }
    server.faults().add("POST", &written("d"), 99, Fault::Refuse(429, "rateLimitExceeded", None));
    let told = put(&store, "d", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    insta::assert_snapshot!(told, @"failed to write `d` in gs://backups/mysql: by the test (rateLimitExceeded, HTTP 429); it was tried several times: go on later");
    assert_eq!(asked(server.faults(), &["POST", &written("d")]), 3);
    server.faults().add("POST", "GetObject mysql/e", 99, Fault::Refuse(503, "backendError", None));
    let told = store.head(&key("e")).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    insta::assert_snapshot!(told, @"failed to look at `e` in gs://backups/mysql: backendError by the test (UNAVAILABLE); it was tried several times: go on later");
    assert_eq!(asked(server.faults(), &["GetObject mysql/e"]), 3);
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_obeyed_by_both_clients() {
    let (server, store) = bench().await;
    let later = Some(("retry-after", "1"));
    server.faults().add("POST", &written("a"), 1, Fault::Refuse(503, "backendError", later));
    let begun = std::time::Instant::now();
    put(&store, "a", b"x").await.unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "{:?}", begun.elapsed());

    server.faults().add("POST", "GetObject", 1, Fault::Refuse(503, "backendError", later));
    let begun = std::time::Instant::now();
    assert!(store.head(&key("a")).await.unwrap().is_some());
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_cut_in_a_part_costs_that_part_again() {
    let (server, store) = bench().await;
    let bytes = noise(17 * MIB);
    server.faults().add("POST", "%2F2&", 1, Fault::CutRequest(3 * MIB));
    put(&store, "large", &bytes).await.unwrap();
    assert!(read(&store, "large").await.unwrap() == bytes);
    let sent = |number| asked(server.faults(), &["POST", "rekindle-parts", &format!("%2F{number}&")]);
    assert_eq!((sent(1), sent(2), sent(3)), (1, 2, 1));
    assert_eq!(everything(&store).await, ["mysql/large"]);
}

#[tokio::test]
async fn an_upload_that_can_not_be_ended_leaves_nothing_to_be_found() {
    let (server, store) = bench().await;
    server.faults().add("POST", "%2F2&", 99, Fault::Refuse(500, "internalError", None));
    let told = put(&store, "large", &noise(17 * MIB)).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    assert_eq!(listed(&store).await, Vec::<String>::new());
    // The parts themselves are removed in the background.
    for _ in 0..500 {
        if everything(&store).await.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(everything(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn parts_that_can_not_be_removed_do_not_spoil_the_write() {
    let (server, store) = bench().await;
    server.faults().add("POST", "DeleteObject", 99, Fault::Refuse(503, "backendError", None));
    put(&store, "large", &noise(9 * MIB)).await.unwrap();
    assert_eq!(listed(&store).await, ["large"]);
    assert!(everything(&store).await.len() > 1);
}

#[tokio::test]
async fn a_write_whose_answer_got_lost_knows_its_own_object() {
    let (server, store) = bench().await;
    server.faults().add("POST", &written("a"), 1, Fault::LoseAnswer);
    put(&store, "a", b"mine").await.unwrap();
    assert_eq!(asked(server.faults(), &["POST", &written("a")]), 2);

    // Of a part, of two parts put together, and of the step that makes the object appear.
    server.faults().add("POST", "%2F1&", 1, Fault::LoseAnswer);
    server.faults().add("POST", "ComposeObject", 1, Fault::LoseAnswer);
    server.faults().add("POST", "RewriteObject", 1, Fault::LoseAnswer);
    let bytes = noise(9 * MIB);
    put(&store, "large", &bytes).await.unwrap();
    assert!(read(&store, "large").await.unwrap() == bytes);
    assert_eq!(asked(server.faults(), &["ComposeObject"]), 2);
    assert_eq!(asked(server.faults(), &["RewriteObject"]), 2);

    server.faults().add("POST", &written("lease"), 1, Fault::LoseAnswer);
    let first = store.swap(&key("lease"), None, "one".into()).await.unwrap();
    server.faults().add("POST", &written("lease"), 1, Fault::LoseAnswer);
    store.swap(&key("lease"), Some(&first), "two".into()).await.unwrap();
    assert_eq!(read(&store, "lease").await.unwrap(), b"two");
    // The same bytes of somebody else are somebody else's.
    assert_eq!(put(&store, "a", b"mine").await.unwrap_err().kind, StoreErrorKind::AlreadyExists);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_not_taken_for_a_failure() {
    let (server, store) = bench().await;
    server.faults().add("POST", &written("a"), 1, Fault::CutAnswer(20));
    put(&store, "a", b"mine").await.unwrap();
    server.faults().add("POST", &written("b"), 1, Fault::Shorten(20));
    put(&store, "b", b"mine").await.unwrap();
    assert_eq!(listed(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_server_that_stands_still_is_given_up() {
    let (server, store) = bench().await;
    server.faults().add("POST", &written("a"), 99, Fault::Stall);
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    insta::assert_snapshot!(told, @"failed to write `a` in gs://backups/mysql: no answer, after several tries (timed out after 2s); check the network, `endpoint:` and HTTPS_PROXY");
    assert_eq!(asked(server.faults(), &["POST", &written("a")]), 3);
    server.faults().add("POST", "GetObject mysql/b", 99, Fault::Stall);
    let told = store.head(&key("b")).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    assert_eq!(asked(server.faults(), &["GetObject mysql/b"]), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_what_to_look_at() {
    let (server, store) = bench().await;
    drop(server);
    let told = store.list("").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    assert!(told.to_string().contains("check the network, `endpoint:`"), "{told}");
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_read_that_is_cut_off_or_stands_still_goes_on_from_the_byte_it_had() {
    let (server, store) = bench().await;
    let bytes = noise(5 * MIB);
    put(&store, "a", &bytes).await.unwrap();
    server.faults().add("GET", &path("a"), 1, Fault::CutAnswer(MIB));
    server.faults().add("GET", &path("a"), 1, Fault::StallAnswer(MIB));
    assert!(read(&store, "a").await.unwrap() == bytes);
    assert_eq!(asked(server.faults(), &["GET", &path("a")]), 3);

    // Never a byte: given up, and not read as an end.
    server.faults().add("GET", &path("a"), 99, Fault::CutAnswer(0));
    read(&store, "a").await.unwrap_err();
    assert!(asked(server.faults(), &["GET", &path("a")]) <= 3 + 5);
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_read_is_not_put_together_of_two() {
    let (_server, store) = bench().await;
    put(&store, "a", &noise(41 * MIB)).await.unwrap();
    let body = store.get(&key("a"), None).await.unwrap();
    // However fast the others come: the last span is asked for when the reader has taken something.
    store.put(&key("a"), Body::from_bytes("other"), PutMode::Replace).await.unwrap();
    let told = body.collect(64 * MIB).await.unwrap_err();
    insta::assert_snapshot!(told, @"`mysql/a` was replaced while it was read");
}

#[tokio::test]
async fn a_body_that_is_short_or_wrong_with_a_good_status_is_found_out() {
    let (server, store) = bench().await;
    put(&store, "a", &noise(MIB)).await.unwrap();
    server.faults().add("GET", &path("a"), 1, Fault::Flip(1000));
    insta::assert_snapshot!(read(&store, "a").await.unwrap_err(), @"what came has another checksum than what is stored (CRC32C)");
    // A checksum that is not that of the bytes is no better.
    server.faults().add("GET", &path("a"), 1, Fault::Lie("x-goog-hash", "crc32c=AAAAAA=="));
    insta::assert_snapshot!(read(&store, "a").await.unwrap_err(), @"what came has another checksum than what is stored (CRC32C)");
    let flipped = Fault::Flip(0);
    server.faults().add("GET", &path("a"), 1, flipped);
    let told = store.read_stamped(&key("a"), 2 * MIB).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Corrupt);

    // What is missing at the end is asked for, with a whole read and with a range, which has no checksum.
    server.faults().add("GET", &path("a"), 1, Fault::Shorten(10));
    assert!(read(&store, "a").await.unwrap() == noise(MIB));
    server.faults().add("GET", &path("a"), 1, Fault::Shorten(10));
    let range = store.get(&key("a"), Some(100..1100)).await.unwrap().collect(2000).await.unwrap();
    assert_eq!(range, noise(MIB)[100..1100]);
}

#[tokio::test]
async fn bytes_that_are_damaged_on_their_way_to_the_service_are_never_an_object() {
    let (_server, store) = bench().await;
    let write = Write { object: "mysql/a", only_if: Some(0), class: "", mark: "m" };
    let told = write_object(&store, &write, "damaged".into(), Sum::of(b"sent")).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Corrupt);
    assert_eq!(listed(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_store_has_other_than_what_was_sent_is_removed() {
    let (_server, store) = bench().await;
    for (name, sent) in [("a", "here"), ("b", "longer")] {
        let object = format!("mysql/{name}");
        let write = Write { object: &object, only_if: Some(0), class: "", mark: "m" };
        write_object(&store, &write, "have".into(), Sum::of(b"have")).await.unwrap();
        let expected = Expected::of(Sum::of(sent.as_bytes()));
        let told = settle(&store, &key(name), "m", &expected, Ok(())).await.unwrap_err();
        assert_eq!(told.kind, StoreErrorKind::Corrupt, "{told:?}");
    }
    assert_eq!(everything(&store).await, Vec::<String>::new());

    // What somebody else has put there since is theirs.
    put(&store, "a", b"theirs").await.unwrap();
    settle(&store, &key("a"), "m", &Expected::of(Sum::of(b"ours")), Ok(())).await.unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn a_store_that_fills_up_says_so_and_keeps_nothing_half() {
    let (server, store) = bench().await;
    server.faults().add_after(1, "POST", "rekindle-parts", 99, Fault::Refuse(403, "quotaExceeded", None));
    let told = put(&store, "large", &noise(17 * MIB)).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Full);
    insta::assert_snapshot!(told, @"failed to write `large` in gs://backups/mysql: by the test (quotaExceeded, HTTP 403); free space there, or raise the quota");
    assert_eq!(listed(&store).await, Vec::<String>::new());
}
