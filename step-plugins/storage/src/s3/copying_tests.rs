//! Copies over regions, those that a service can't make, and those whose answer got lost.

use rekindle_emulators::{Fault, S3Server};
use rekindle_engine::host::{Body, ObjectStore as _, ProviderPlace, PutMode, StoreErrorKind};

use super::S3Store;
use super::tests::{BUCKET, open};
use crate::contract::{MIB, key, noise};
use crate::fault_bench::{asked, listed, read};

const REDIRECT: &str = "PermanentRedirect";

struct Bench {
    server: S3Server,
    from: ProviderPlace,
    to: S3Store,
}

/// An object of 12 MiB in one bucket, and an empty bucket in `eu-central-1` that copies at once.
async fn bench() -> Bench {
    let server = S3Server::start(BUCKET).await.unwrap();
    std::fs::create_dir(server.root().join("offsite")).unwrap();
    let source = open(&server, "s3://backups/mysql").await;
    source.put(&key("a"), Body::from_bytes(noise(12 * MIB)), PutMode::IfAbsent).await.unwrap();
    let to = open(&server, "s3://offsite").await;
    Bench { from: source.place(&key("a")).unwrap(), to, server }
}

impl Bench {
    fn in_parts(&mut self) {
        self.to.most_copied_at_once_bytes = 5 * MIB as u64;
    }

    /// Gives the regions that matching requests were signed for.
    fn regions(&self, words: &[&str]) -> Vec<String> {
        let said = self.server.faults().said("authorization").into_iter();
        let matching = said.filter(|(seen, _)| words.iter().all(|word| seen.contains(word)));
        // `…Credential=KEY/DAY/REGION/s3/aws4_request, …`
        matching.map(|(_, said)| said.unwrap().split('/').nth(2).unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_copy_over_regions_is_made_by_the_service() {
    let mut bench = bench().await;
    let there = Some(("x-amz-bucket-region", "eu-west-1"));
    for (name, status) in [("whole", 301), ("parts", 400)] {
        bench.server.faults().add("HEAD", "backups/mysql/a", 1, Fault::Refuse(status, REDIRECT, there));
        let copied = bench.to.copy_from(&bench.from, &key(name), PutMode::IfAbsent).await.unwrap().unwrap();
        assert_eq!(copied.size_bytes, 12 * MIB as u64);
        assert!(read(&bench.to, name).await.unwrap() == noise(12 * MIB));
        bench.in_parts();
    }
    let (here, there) = ("eu-central-1", "eu-west-1");
    // After that of the write.
    assert_eq!(bench.regions(&["HEAD", "backups/mysql/a"])[1..], [here, there, here, there]);
    assert_eq!(bench.regions(&["PUT", "CopyObject"]), [here]);
    assert_eq!(bench.regions(&["PUT", "UploadPartCopy"]), [here, here, here]);
    assert_eq!(asked(bench.server.faults(), &["GET", "backups/mysql/a"]), 0);
}

#[tokio::test]
async fn what_the_service_can_not_copy_is_left_to_who_reads_and_puts() {
    let mut bench = bench().await;
    bench.in_parts();
    let there = Some(("x-amz-bucket-region", "eu-west-1"));
    let cases = [
        ("HEAD", "backups/mysql/a", 301, REDIRECT, None),
        ("HEAD", "backups/mysql/a", 301, REDIRECT, there),
        ("HEAD", "backups/mysql/a", 400, "AuthorizationHeaderMalformed", None),
        ("HEAD", "backups/mysql/a", 403, "AccessDenied", None),
        // Of a bucket in another partition.
        ("HEAD", "backups/mysql/a", 404, "NoSuchBucket", None),
        ("PUT", "CopyObject", 501, "NotImplemented", None),
        ("PUT", "CopyObject", 403, "AccessDenied", None),
        ("PUT", "CopyObject", 404, "NoSuchKey", None),
        ("PUT", "UploadPartCopy", 501, "NotImplemented", None),
        ("PUT", "UploadPartCopy", 405, "MethodNotAllowed", None),
    ];
    for (method, about, status, code, header) in cases {
        bench.to.most_copied_at_once_bytes = if about == "UploadPartCopy" { MIB as u64 } else { u64::MAX };
        let before = asked(bench.server.faults(), &[method, about]);
        let times = if header.is_some() { 2 } else { 1 };
        bench.server.faults().add(method, about, times, Fault::Refuse(status, code, header));
        let copied = bench.to.copy_from(&bench.from, &key("copy"), PutMode::Replace).await;
        assert_eq!(copied.unwrap(), None, "{about} {status} {code}");
        assert_eq!(asked(bench.server.faults(), &[method, about]) - before, times, "{about} {status} {code}");
    }
    assert_eq!(listed(&bench.to).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_is_too_busy_to_copy_is_told() {
    let bench = bench().await;
    bench.server.faults().add("PUT", "CopyObject", 9, Fault::Refuse(503, "SlowDown", None));
    let told = bench.to.copy_from(&bench.from, &key("copy"), PutMode::Replace).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Unavailable);
    assert_eq!(asked(bench.server.faults(), &["PUT", "CopyObject"]), 3);
}

#[tokio::test]
async fn a_source_that_is_replaced_meanwhile_is_told() {
    let bench = bench().await;
    bench.server.faults().add("PUT", "CopyObject", 1, Fault::Refuse(412, "PreconditionFailed", None));
    let told = bench.to.copy_from(&bench.from, &key("copy"), PutMode::Replace).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::Changed);
    insta::assert_snapshot!(told, @"failed to write `copy` in s3://offsite: the object to copy was replaced meanwhile");
}

#[tokio::test]
async fn a_copy_whose_answer_got_lost_knows_its_own_object() {
    let mut bench = bench().await;
    bench.server.faults().add("PUT", "CopyObject", 1, Fault::LoseAnswer);
    bench.to.copy_from(&bench.from, &key("whole"), PutMode::IfAbsent).await.unwrap().unwrap();
    assert_eq!(asked(bench.server.faults(), &["PUT", "CopyObject"]), 2);

    bench.in_parts();
    for (name, mode) in [("parts", PutMode::IfAbsent), ("again", PutMode::Replace)] {
        bench.server.faults().add("POST", &format!("{name}?uploadId"), 1, Fault::LoseAnswer);
        bench.to.copy_from(&bench.from, &key(name), mode).await.unwrap().unwrap();
        assert!(read(&bench.to, name).await.unwrap() == noise(12 * MIB));
    }
    // One that lies there already is not ours, however equal.
    let told = bench.to.copy_from(&bench.from, &key("whole"), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(told.kind, StoreErrorKind::AlreadyExists);
}
