//! Bad conditions reach the official clients as the real ones would.

use futures_util::FutureExt as _;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::retry_policy::NeverRetry;

use super::{Bench, MIB, RESOURCE, code, collect, noise};
use crate::Fault;

const QUANTUM: usize = 256 * 1024;

#[tokio::test]
async fn a_refusal_is_worded_for_each_protocol_and_counted() {
    let bench = Bench::new().await;
    bench.write("a", b"x".to_vec()).await;
    let faults = bench.server.faults();
    faults.add("GET", "/o/a", 1, Fault::Refuse(429, "rateLimitExceeded", Some(("retry-after", "1"))));
    faults.add("POST", "Storage/GetObject a", 1, Fault::Refuse(403, "forbidden", None));

    let read =
        bench.storage.read_object(RESOURCE, "a").with_retry_policy(NeverRetry).send().await.unwrap_err();
    let get = || bench.control.get_object().set_bucket(RESOURCE).set_object("a");
    let refused = get().send().await.unwrap_err();

    assert_eq!(read.http_status_code(), Some(429));
    assert_eq!(read.http_headers().unwrap()["retry-after"], "1");
    assert_eq!(code(&refused), Some(Code::PermissionDenied));
    get().send().await.unwrap();
    let seen = faults.seen();
    assert_eq!(seen.iter().filter(|seen| *seen == "POST /google.storage.v2.Storage/GetObject a").count(), 2);
}

#[tokio::test]
async fn an_unavailable_server_is_asked_again() {
    let bench = Bench::new().await;
    bench.server.faults().add("POST", "uploadType", 1, Fault::Refuse(503, "backendError", None));

    let write = bench.storage.write_object(RESOURCE, "a", "x").set_if_generation_match(0);
    write.send_buffered().boxed().await.unwrap();

    assert_eq!(bench.read("a").await.unwrap(), b"x");
    assert_eq!(bench.server.faults().seen().len(), 3);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_object() {
    let bench = Bench::new().await;
    bench.server.faults().add("POST", "uploadType", 1, Fault::LoseAnswer);

    let write = bench.storage.write_object(RESOURCE, "a", "x").with_retry_policy(NeverRetry);
    let lost = write.send_buffered().boxed().await;

    assert!(lost.is_err());
    assert_eq!(bench.read("a").await.unwrap(), b"x");
}

#[tokio::test]
async fn a_lost_answer_of_grpc_leaves_its_effect() {
    let bench = Bench::new().await;
    bench.write("a", b"x".to_vec()).await;
    bench.server.faults().add("POST", "DeleteObject a", 1, Fault::LoseAnswer);

    let delete = bench.control.delete_object().set_bucket(RESOURCE).set_object("a");
    let lost = delete.with_retry_policy(NeverRetry).send().await;

    assert!(lost.is_err());
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));
}

#[tokio::test]
async fn a_request_that_is_cut_makes_no_object() {
    let bench = Bench::new().await;
    bench.server.faults().add("POST", "uploadType", 1, Fault::CutRequest(100_000));

    let write = bench.storage.write_object(RESOURCE, "a", bytes::Bytes::from(noise(MIB)));
    let cut = write.with_retry_policy(NeverRetry).send_buffered().boxed().await;

    assert!(cut.is_err());
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));
    assert_eq!(std::fs::read_dir(bench.server.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cut_answer_is_read_on_from_the_same_generation() {
    let bench = Bench::new().await;
    let bytes = noise(MIB);
    let generation = bench.write("a", bytes.clone()).await.generation;
    bench.server.faults().add("GET", "/o/a", 1, Fault::CutAnswer(300_000));

    assert!(bench.read("a").await.unwrap() == bytes);

    let last = bench.server.faults().seen().pop().unwrap();
    assert!(last.contains(&format!("generation={generation}")), "{last}");
}

#[tokio::test]
async fn damage_on_the_way_is_noticed() {
    let bench = Bench::new().await;
    bench.write("a", noise(MIB)).await;
    for fault in [Fault::Flip(500_000), Fault::Lie("x-goog-hash", "crc32c=AAAAAA==")] {
        bench.server.faults().add("GET", "/o/a", 1, fault.clone());
        let reader = bench.storage.read_object(RESOURCE, "a").send().await.unwrap();
        assert!(collect(reader).await.is_err(), "{fault:?}");
    }
    bench.server.faults().add("GET", "/o/a", 1, Fault::Shorten(10));
    let reader = bench.storage.read_object(RESOURCE, "a").send().await.unwrap();
    let short = collect(reader).await.unwrap_or_default();
    assert!(short.len() < MIB);
}

#[tokio::test]
async fn a_chunk_that_was_kept_in_part_leaves_the_session_open() {
    let bench = Bench::new().await;
    let bytes = noise(4 * QUANTUM);
    bench.server.faults().add("PUT", "upload_id", 1, Fault::KeepPart(QUANTUM + 10, 503));

    let write = bench.storage.write_object(RESOURCE, "a", bytes::Bytes::from(bytes.clone()));
    let write = write.with_resumable_upload_threshold(0_usize).with_resumable_upload_buffer_size(8 * QUANTUM);
    let written = write.send_unbuffered().boxed().await.unwrap();

    assert_eq!(usize::try_from(written.size).unwrap(), bytes.len());
    assert!(bench.read("a").await.unwrap() == bytes);
    let puts = bench.server.faults().seen().iter().filter(|seen| seen.starts_with("PUT")).count();
    assert_eq!(puts, 3);
}

#[tokio::test]
async fn a_chunk_may_be_kept_in_part_without_an_error() {
    let bench = Bench::new().await;
    bench.server.faults().add("PUT", "backups/a b", 1, Fault::KeepPart(QUANTUM, 308));
    let target = "/upload/storage/v1/b/backups/o?uploadType=resumable&name=backups%2Fa+b";
    let begun = bench.ask("POST", target, &[], "").await;
    let upload = begun.header("location").unwrap().strip_prefix(bench.server.endpoint()).unwrap();
    let body = "x".repeat(2 * QUANTUM);
    let range = format!("Content-Range: bytes 0-{}/{}", 2 * QUANTUM - 1, 2 * QUANTUM);

    let kept = bench.ask("PUT", upload, &[&range], &body).await;
    let again = bench.ask("PUT", upload, &[&range], &body).await;

    assert_eq!((kept.status, kept.header("range")), (308, Some("bytes=0-262143")));
    assert_eq!(again.status, 200);
    assert!(bench.read("backups/a b").await.unwrap() == body.into_bytes());
}
