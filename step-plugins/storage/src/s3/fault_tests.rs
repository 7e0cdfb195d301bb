//! Bad conditions: what is told, how often it is tried, and that nothing half-made is ever found.

use rekindle_emulators::{Fault, S3Server, SECRET_KEY};
use rekindle_engine::host::{Body, ObjectStore as _, PutMode, StoreErrorKind};

use super::S3Store;
use super::tests::{BUCKET, config, open, open_as};
use crate::contract::{MIB, key, noise};
use crate::fault_bench::{asked, listed, put, read};

async fn bench() -> (S3Server, S3Store) {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store = open(&server, "s3://backups/mysql").await;
    (server, store)
}

#[tokio::test]
async fn wrong_expired_and_refused_credentials_are_told_and_not_tried_again() {
    let (server, store) = bench().await;
    let wrong = open_as(&config(server.endpoint(), "s3://backups/mysql"), "wrong").await;
    let told = put(&wrong, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Denied);
    insta::assert_snapshot!(told, @"failed to write `a` in s3://backups/mysql: SignatureDoesNotMatch (HTTP 403); the secret key is wrong");
    assert_eq!(asked(server.faults(), &["PUT"]), 1);

    server.faults().add("PUT", "mysql/b", 9, Fault::Refuse(400, "ExpiredToken", None));
    let told = put(&store, "b", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Denied);
    insta::assert_snapshot!(told, @"failed to write `b` in s3://backups/mysql: by the test (ExpiredToken, HTTP 400); the credentials have expired: log in again");
    assert_eq!(asked(server.faults(), &["PUT", "mysql/b"]), 1);

    put(&store, "c", b"x").await.unwrap();
    server.faults().add("GET", "mysql/c", 9, Fault::Refuse(403, "AccessDenied", None));
    insta::assert_snapshot!(read(&store, "c").await.unwrap_err(), @"failed to read `c` in s3://backups/mysql: by the test (AccessDenied, HTTP 403); the credentials lack a permission that a store needs: the guide lists them");
    assert_eq!(asked(server.faults(), &["GET", "mysql/c"]), 1);
    assert_eq!(listed(&store).await, ["c"]);
}

#[tokio::test]
async fn a_missing_bucket_is_not_an_empty_one() {
    let server = S3Server::start(BUCKET).await.unwrap();
    let store = open(&server, "s3://nowhere/mysql").await;
    let told = store.list("").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Invalid);
    insta::assert_snapshot!(told, @"failed to list s3://nowhere/mysql: NoSuchBucket (HTTP 404); make the bucket first, or correct the store's `url:`");
    assert_eq!(store.check_writable().await.unwrap_err().kind, StoreErrorKind::Invalid);
    assert_eq!(put(&store, "a", b"x").await.unwrap_err().kind, StoreErrorKind::Invalid);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_not_for_ever() {
    let (server, store) = bench().await;
    for (name, status, code) in
        [("a", 500, "InternalError"), ("b", 503, "SlowDown"), ("c", 503, "ServiceUnavailable")]
    {
        server.faults().add("PUT", &format!("mysql/{name}"), 2, Fault::Refuse(status, code, None));
        put(&store, name, b"x").await.unwrap();
        assert_eq!(asked(server.faults(), &["PUT", &format!("mysql/{name}")]), 3, "{code}");
    }
    server.faults().add("PUT", "mysql/d", 99, Fault::Refuse(503, "SlowDown", None));
    let told = put(&store, "d", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    insta::assert_snapshot!(told, @"failed to write `d` in s3://backups/mysql: by the test (SlowDown, HTTP 503); it was tried several times: go on later");
    assert_eq!(asked(server.faults(), &["PUT", "mysql/d"]), 3);
    assert_eq!(listed(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_obeyed() {
    let (server, store) = bench().await;
    let later = Some(("retry-after", "1"));
    server.faults().add("PUT", "mysql/a", 1, Fault::Refuse(503, "SlowDown", later));
    let begun = std::time::Instant::now();
    put(&store, "a", b"x").await.unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_cut_in_a_part_costs_that_part_again() {
    let (server, store) = bench().await;
    let bytes = noise(17 * MIB);
    server.faults().add("PUT", "partNumber=2", 1, Fault::CutRequest(3 * MIB));
    put(&store, "large", &bytes).await.unwrap();
    assert!(read(&store, "large").await.unwrap() == bytes);
    assert_eq!(asked(server.faults(), &["PUT", "partNumber=2"]), 2);
    assert_eq!(asked(server.faults(), &["PUT", "partNumber=1"]), 1);
}

#[tokio::test]
async fn an_upload_that_can_not_be_ended_leaves_nothing_to_be_found() {
    let (server, store) = bench().await;
    server.faults().add("PUT", "partNumber=2", 99, Fault::Refuse(500, "InternalError", None));
    let told = put(&store, "large", &noise(17 * MIB)).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    assert_eq!(listed(&store).await, Vec::<String>::new());
    // The upload itself is aborted in the background.
    for _ in 0..500 {
        if asked(server.faults(), &["DELETE", "uploadId"]) > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(store.remove_abandoned(later).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_write_whose_answer_got_lost_knows_its_own_object() {
    let (server, store) = bench().await;
    server.faults().add("PUT", "mysql/a", 1, Fault::LoseAnswer);
    put(&store, "a", b"mine").await.unwrap();
    assert_eq!(asked(server.faults(), &["PUT", "mysql/a"]), 2);

    server.faults().add("POST", "large?uploadId", 1, Fault::LoseAnswer);
    let bytes = noise(9 * MIB);
    put(&store, "large", &bytes).await.unwrap();
    assert!(read(&store, "large").await.unwrap() == bytes);

    server.faults().add("PUT", "mysql/lease", 1, Fault::LoseAnswer);
    let first = store.swap(&key("lease"), None, "one".into()).await.unwrap();
    server.faults().add("PUT", "mysql/lease", 1, Fault::LoseAnswer);
    store.swap(&key("lease"), Some(&first), "two".into()).await.unwrap();
    assert_eq!(read(&store, "lease").await.unwrap(), b"two");
    // The same bytes of somebody else are somebody else's.
    assert_eq!(put(&store, "a", b"mine").await.unwrap_err().kind, StoreErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_server_that_stands_still_is_given_up() {
    let (server, store) = bench().await;
    server.faults().add("PUT", "mysql/a", 99, Fault::Stall);
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    insta::assert_snapshot!(told, @"failed to write `a` in s3://backups/mysql: no answer, after several tries (dispatch failure: timeout: HTTP read timeout occurred after 2s: timed out); check the network, `endpoint:` and HTTPS_PROXY");
    assert_eq!(asked(server.faults(), &["PUT", "mysql/a"]), 3);
}

#[tokio::test]
async fn a_read_that_is_cut_off_or_stands_still_goes_on_from_the_byte_it_had() {
    let (server, store) = bench().await;
    let bytes = noise(5 * MIB);
    put(&store, "a", &bytes).await.unwrap();
    server.faults().add("GET", "mysql/a", 1, Fault::CutAnswer(MIB));
    server.faults().add("GET", "mysql/a", 1, Fault::StallAnswer(MIB));
    assert!(read(&store, "a").await.unwrap() == bytes);
    assert_eq!(asked(server.faults(), &["GET", "mysql/a"]), 3);

    // Never a byte: given up, and not read as an end.
    server.faults().add("GET", "mysql/a", 99, Fault::CutAnswer(0));
    read(&store, "a").await.unwrap_err();
}

#[tokio::test]
async fn a_large_object_comes_side_by_side_and_every_span_goes_on_by_itself() {
    let (server, store) = bench().await;
    let bytes = noise(41 * MIB);
    put(&store, "a", &bytes).await.unwrap();
    server.faults().add_after(1, "GET", "mysql/a", 1, Fault::CutAnswer(3 * MIB));
    server.faults().add_after(1, "GET", "mysql/a", 1, Fault::StallAnswer(2 * MIB));
    assert!(read(&store, "a").await.unwrap() == bytes);
    assert_eq!(asked(server.faults(), &["GET", "mysql/a"]), 6 + 2);

    // Of bytes that are wrong in one span, the checksum of the whole tells.
    server.faults().add_after(2, "GET", "mysql/a", 1, Fault::Flip(1000));
    insta::assert_snapshot!(read(&store, "a").await.unwrap_err(), @"what came has another checksum than what is stored (CRC64NVME)");
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
    server.faults().add("GET", "mysql/a", 1, Fault::Shorten(10));
    read(&store, "a").await.unwrap_err();
    server.faults().add("GET", "mysql/a", 1, Fault::Flip(1000));
    read(&store, "a").await.unwrap_err();

    // A range has no checksum, but a length.
    server.faults().add("GET", "mysql/a", 1, Fault::Shorten(10));
    let range = store.get(&key("a"), Some(100..1100)).await.unwrap().collect(2000).await.unwrap();
    assert_eq!(range, noise(MIB)[100..1100]);
}

#[tokio::test]
async fn what_the_store_has_other_than_what_was_sent_is_removed() {
    let (server, store) = bench().await;
    server.faults().add("PUT", "mysql/a", 1, Fault::Lie("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="));
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Corrupt);
    insta::assert_snapshot!(told, @"failed to write `a` in s3://backups/mysql: what is stored has the checksum AAAAAAAAAAA=, what was sent Lb1nAmRU5LE= (CRC64NVME)");
    assert_eq!(listed(&store).await, Vec::<String>::new());

    server.faults().add("PUT", "mysql/a", 1, Fault::Refuse(400, "BadDigest", None));
    assert_eq!(put(&store, "a", b"x").await.unwrap_err().kind, StoreErrorKind::Corrupt);
    assert_eq!(listed(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_fills_up_says_so_and_keeps_nothing_half() {
    let (server, store) = bench().await;
    server.faults().add_after(1, "PUT", "partNumber", 99, Fault::Refuse(507, "QuotaExceeded", None));
    let told = put(&store, "large", &noise(17 * MIB)).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Full);
    insta::assert_snapshot!(told, @"failed to write `large` in s3://backups/mysql: by the test (QuotaExceeded, HTTP 507); free space there, or raise the quota");
    assert_eq!(listed(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let (server, store) = bench().await;
    server.faults().add("PUT", "mysql/a", 99, Fault::Refuse(403, "RequestTimeTooSkewed", None));
    let told = put(&store, "a", b"x").await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Denied);
    insta::assert_snapshot!(told, @"failed to write `a` in s3://backups/mysql: by the test (RequestTimeTooSkewed, HTTP 403); this machine's clock is off: set it right");
    assert!(asked(server.faults(), &["PUT", "mysql/a"]) <= 3);
    assert!(!told.to_string().contains(SECRET_KEY));
}
