//! Resumable uploads: chunks, what is kept of them, and how a session ends.

use futures_util::FutureExt as _;
use google_cloud_storage::streaming_source::{SizeHint, StreamingSource};

use super::{BUCKET, Bench, MIB, RESOURCE, Said, noise};

const QUANTUM: usize = 256 * 1024;

/// A source that does not know its size.
struct Unsized(std::collections::VecDeque<bytes::Bytes>);

impl StreamingSource for Unsized {
    type Error = std::io::Error;

    async fn next(&mut self) -> Option<Result<bytes::Bytes, Self::Error>> {
        self.0.pop_front().map(Ok)
    }

    async fn size_hint(&self) -> Result<SizeHint, Self::Error> {
        Ok(SizeHint::new())
    }
}

/// Begins an upload by hand and gives its path and query.
async fn begin(bench: &Bench, query: &str, resource: &str) -> String {
    let target = format!("/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=a{query}");
    let said = bench.ask("POST", &target, &["Content-Type: application/json"], resource).await;
    assert_eq!(said.status, 200, "{}", said.body);
    let location = said.header("location").unwrap();
    location.strip_prefix(bench.server.endpoint()).unwrap().to_owned()
}

async fn put(bench: &Bench, upload: &str, range: &str, body: &str) -> Said {
    bench.ask("PUT", upload, &[&format!("Content-Range: bytes {range}")], body).await
}

#[tokio::test]
async fn several_mib_go_up_in_small_chunks() {
    let bench = Bench::new().await;
    let bytes = noise(5 * MIB + 17);
    let pieces: Vec<bytes::Bytes> = bytes.chunks(100_000).map(bytes::Bytes::copy_from_slice).collect();
    let write = |name: &str| {
        bench
            .storage
            .write_object(RESOURCE, name, Unsized(pieces.clone().into()))
            .with_resumable_upload_threshold(0_usize)
            .with_resumable_upload_buffer_size(QUANTUM)
    };

    let written = write("a").set_if_generation_match(0).send_buffered().boxed().await.unwrap();

    assert!(bench.read("a").await.unwrap() == bytes);
    assert_eq!(usize::try_from(written.size).unwrap(), bytes.len());
    let seen = bench.server.faults().seen();
    assert_eq!(seen.iter().filter(|request| request.starts_with("PUT")).count(), 21);
    let refused = write("a").set_if_generation_match(0).send_buffered().boxed().await.unwrap_err();
    assert_eq!(refused.http_status_code(), Some(412));
}

#[tokio::test]
async fn every_size_around_a_chunk_goes_up() {
    let bench = Bench::new().await;
    for size in [0, 1, QUANTUM - 1, QUANTUM, QUANTUM + 1, 2 * QUANTUM] {
        for known in [true, false] {
            let bytes = noise(size);
            let piece = bytes::Bytes::from(bytes.clone());
            let result = if known {
                let write = bench.storage.write_object(RESOURCE, "a", piece);
                let write = write.with_resumable_upload_threshold(0_usize);
                write.with_resumable_upload_buffer_size(QUANTUM).send_buffered().boxed().await
            } else {
                let write = bench.storage.write_object(RESOURCE, "a", Unsized([piece].into()));
                let write = write.with_resumable_upload_threshold(0_usize);
                write.with_resumable_upload_buffer_size(QUANTUM).send_buffered().boxed().await
            };
            result.unwrap();
            assert!(bench.read("a").await.unwrap() == bytes, "{size}, known: {known}");
        }
    }
}

#[tokio::test]
async fn a_session_tells_how_far_it_is_and_then_its_object() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "", r#"{"metadata":{"k":"v"}}"#).await;
    let chunk = "x".repeat(QUANTUM);

    let nothing = put(&bench, &upload, "*/*", "").await;
    let first = put(&bench, &upload, &format!("0-{}/*", QUANTUM - 1), &chunk).await;
    let status = put(&bench, &upload, &format!("*/{}", QUANTUM + 3), "").await;
    let done = put(&bench, &upload, &format!("{QUANTUM}-{}/{}", QUANTUM + 2, QUANTUM + 3), "end").await;
    let again = put(&bench, &upload, "*/*", "").await;
    let more = put(&bench, &upload, "0-0/1", "x").await;

    assert_eq!((nothing.status, nothing.header("range")), (308, None));
    assert_eq!((first.status, first.header("range")), (308, Some("bytes=0-262143")));
    assert_eq!((status.status, status.header("range")), (308, Some("bytes=0-262143")));
    assert_eq!((done.status, again.status, more.status), (200, 200, 410));
    assert_eq!(done.body, again.body);
    assert_eq!(bench.read("a").await.unwrap(), format!("{chunk}end").into_bytes());
}

#[tokio::test]
async fn odd_chunks_gaps_and_lies_are_refused_and_leave_the_session_as_it_was() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "", "{}").await;

    assert_eq!(put(&bench, &upload, "0-9/*", "0123456789").await.status, 400);
    assert_eq!(put(&bench, &upload, "0-9/20", "0123456789").await.status, 400);
    assert_eq!(put(&bench, &upload, "5-9/10", "56789").await.status, 503);
    assert_eq!(put(&bench, &upload, "0-9/10", "01234").await.status, 400);
    assert_eq!(put(&bench, &upload, "odd", "01234").await.status, 400);
    let endless = "x".repeat(QUANTUM + 3);
    assert_eq!(put(&bench, &upload, "0-*/10", &endless).await.status, 400);
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));

    assert_eq!(put(&bench, &upload, "0-9/10", "0123456789").await.status, 200);
    assert_eq!(bench.read("a").await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn bytes_that_are_there_already_are_not_taken_twice() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "", "{}").await;
    let bytes = String::from_utf8(noise(2 * QUANTUM).iter().map(|byte| byte % 26 + b'a').collect()).unwrap();
    let (end, total) = (2 * QUANTUM - 1, 2 * QUANTUM);
    put(&bench, &upload, &format!("0-{}/*", QUANTUM - 1), &bytes[..QUANTUM]).await;

    let done = put(&bench, &upload, &format!("0-{end}/{total}"), &bytes).await;

    assert_eq!(done.status, 200, "{}", done.body);
    assert!(bench.read("a").await.unwrap() == bytes.into_bytes());
}

#[tokio::test]
async fn the_checksum_of_the_last_chunk_is_compared() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "", "{}").await;
    let headers = ["Content-Range: bytes 0-2/3", "x-goog-hash: crc32c=AAAAAA=="];

    let refused = bench.ask("PUT", &upload, &headers, "abc").await;

    assert_eq!(refused.status, 400);
    assert!(refused.message().starts_with("Provided CRC32C \"AAAAAA==\" doesn't match"));
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));
    assert_eq!(put(&bench, &upload, "*/*", "").await.status, 410);
}

#[tokio::test]
async fn a_cancelled_session_stays_cancelled() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "", "{}").await;

    assert_eq!(bench.ask("DELETE", &upload, &[], "").await.status, 499);
    assert_eq!(bench.ask("DELETE", &upload, &[], "").await.status, 499);
    assert_eq!(put(&bench, &upload, "0-2/3", "abc").await.status, 499);
    assert_eq!(put(&bench, &format!("{upload}x"), "0-2/3", "abc").await.status, 404);
    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404));
}

#[tokio::test]
async fn a_precondition_that_held_at_the_start_must_hold_at_the_end() {
    let bench = Bench::new().await;
    let upload = begin(&bench, "&ifGenerationMatch=0", "{}").await;
    bench.write("a", b"first".to_vec()).await;

    assert_eq!(put(&bench, &upload, "0-2/3", "abc").await.status, 412);
    assert_eq!(bench.read("a").await.unwrap(), b"first");
}
