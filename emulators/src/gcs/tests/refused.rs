//! What must be refused, said over a bare connection: the clients never would.

use futures_util::FutureExt as _;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::{BUCKET, Bench, RESOURCE, code};

const OBJECT: &str = "/storage/v1/b/backups/o/a";
const INSERT: &str = "/upload/storage/v1/b/backups/o";

async fn multipart(bench: &Bench, target: &str, parts: &[&str]) -> super::Said {
    let parts: Vec<String> = parts.iter().map(|part| format!("--b\r\n\r\n{part}\r\n")).collect();
    let body = format!("{}--b--\r\n", parts.concat());
    bench.ask("POST", target, &["Content-Type: multipart/related; boundary=b"], &body).await
}

#[tokio::test]
async fn what_is_not_there_is_404_in_the_words_of_the_api() {
    let bench = Bench::new().await;

    let missing = bench.ask("GET", &format!("{OBJECT}?alt=media"), &[], "").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.message(), "No such object: backups/a");
    let body: serde_json::Value = serde_json::from_str(&missing.body).unwrap();
    assert_eq!(body["error"]["errors"][0]["reason"], "notFound");

    let read = bench.ask("GET", "/storage/v1/b/nowhere/o/a?alt=media", &[], "").await;
    assert_eq!((read.status, read.message().as_str()), (404, "The specified bucket does not exist."));
    for kind in ["media", "resumable"] {
        let target = format!("/upload/storage/v1/b/nowhere/o?uploadType={kind}&name=a");
        assert_eq!(bench.ask("POST", &target, &[], "").await.status, 404);
    }
    let list = bench.control.list_objects().set_parent("projects/_/buckets/nowhere").send().await;
    assert_eq!(code(&list.unwrap_err()), Some(Code::NotFound));
}

#[tokio::test]
async fn a_range_behind_the_end_is_416() {
    let bench = Bench::new().await;
    bench.write("a", b"0123456789".to_vec()).await;
    let target = format!("{OBJECT}?alt=media");

    let part = bench.ask("GET", &target, &["Range: bytes=8-20"], "").await;
    let behind = bench.ask("GET", &target, &["Range: bytes=10-"], "").await;

    assert_eq!(
        (part.status, part.header("content-range"), part.body.as_str()),
        (206, Some("bytes 8-9/10"), "89")
    );
    assert_eq!(part.header("x-goog-stored-content-length"), Some("10"));
    assert_eq!((behind.status, behind.header("content-range")), (416, Some("bytes */10")));
}

#[tokio::test]
async fn preconditions_of_a_read_hold_or_refuse() {
    let bench = Bench::new().await;
    let generation = bench.write("a", b"x".to_vec()).await.generation;
    let ask =
        async |condition: String| bench.ask("GET", &format!("{OBJECT}?alt=media&{condition}"), &[], "").await;

    assert_eq!(ask(format!("ifGenerationMatch={generation}")).await.status, 200);
    assert_eq!(
        ask("ifGenerationMatch=7".to_owned()).await.message(),
        "At least one of the pre-conditions you specified did not hold."
    );
    assert_eq!(ask(format!("ifGenerationNotMatch={generation}")).await.status, 304);
    assert_eq!(ask("ifMetagenerationMatch=2".to_owned()).await.status, 412);
    assert_eq!(ask("ifMetagenerationNotMatch=1".to_owned()).await.status, 304);
    assert_eq!(ask("ifGenerationMatch=x".to_owned()).await.status, 400);
    assert_eq!(ask(format!("generation={}", generation - 1)).await.status, 404);
}

#[tokio::test]
async fn a_multipart_upload_is_two_or_three_parts_that_agree() {
    let bench = Bench::new().await;
    let target = format!("{INSERT}?uploadType=multipart");
    // CRC32C of "123456789" is e3069283 (RFC 3720 names the polynomial).
    let good = r#"{"name":"a","crc32c":"4waSgw==","md5Hash":"JfnnlDI7RTiF9RgfG2JNCw=="}"#;

    assert_eq!(multipart(&bench, &target, &[good, "123456789"]).await.status, 200);
    let tail = r#"{"crc32c":"4waSgw=="}"#;
    assert_eq!(multipart(&bench, &target, &[r#"{"name":"b"}"#, "123456789", tail]).await.status, 200);

    for parts in [
        &[good, "12345678"][..],
        &[r#"{"name":"c"}"#, "12345678", tail],
        &[r#"{"name":"c","crc32c":"AAAAAA=="}"#, "123456789", tail],
        &[r#"{"name":"c","md5Hash":"AAAAAAAAAAAAAAAAAAAAAA=="}"#, "123456789"],
        &[r#"{"name":"c","md5Hash":"short"}"#, "123456789"],
        &[r#"{"name":"c"}"#],
        &["{}", "123456789"],
        &["{", "123456789"],
        &[r#"{"name":"c","storageClass":"GLACIER"}"#, "123456789"],
        &[r#"{"name":"c","metadata":{"k":1}}"#, "123456789"],
        &[r#"{"name":"c"}"#, "1", "{}", "{}"],
    ] {
        assert_eq!(multipart(&bench, &target, parts).await.status, 400, "{parts:?}");
    }
    assert_eq!(bench.read("a").await.unwrap(), b"123456789");
    assert_eq!(bench.read("c").await.unwrap_err().http_status_code(), Some(404));
}

#[tokio::test]
async fn names_and_metadata_that_are_too_long_are_refused() {
    let bench = Bench::new().await;
    let long = "x".repeat(1025);
    let media = async |name: &str| {
        bench.ask("POST", &format!("{INSERT}?uploadType=media&name={name}"), &[], "").await
    };

    for name in [&long, "..", "a%0Ab", ""] {
        assert_eq!(media(name).await.status, 400, "{name}");
    }
    let large = format!(r#"{{"name":"a","metadata":{{"k":"{}"}}}}"#, "v".repeat(8192));
    assert_eq!(multipart(&bench, &format!("{INSERT}?uploadType=multipart"), &[&large, ""]).await.status, 400);
    assert_eq!(bench.ask("POST", &format!("{INSERT}?uploadType=guess&name=a"), &[], "").await.status, 400);
    assert_eq!(media("a&predefinedAcl=everyone").await.status, 400);
}

#[tokio::test]
async fn without_the_token_nothing_is_answered() {
    let bench = Bench::new().await;
    bench.write("a", b"x".to_vec()).await;
    bench.server.require_token("secret");

    assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(401));
    let get = bench.control.get_object().set_bucket(RESOURCE).set_object("a").send().await;
    assert_eq!(code(&get.unwrap_err()), Some(Code::Unauthenticated));
    let target = format!("{OBJECT}?alt=media");
    assert_eq!(bench.ask("GET", &target, &["Authorization: Bearer other"], "").await.status, 401);
    assert_eq!(bench.ask("GET", &target, &["Authorization: Bearer secret"], "").await.body, "x");
}

#[tokio::test]
async fn a_forbidden_object_is_403_and_its_neighbours_are_not() {
    let bench = Bench::new().await;
    for name in ["secret/a", "open"] {
        bench.write(name, b"x".to_vec()).await;
    }
    bench.server.forbid("secret/");

    assert_eq!(bench.read("secret/a").await.unwrap_err().http_status_code(), Some(403));
    let delete = bench.control.delete_object().set_bucket(RESOURCE).set_object("secret/a").send().await;
    assert_eq!(code(&delete.unwrap_err()), Some(Code::PermissionDenied));
    let write = bench.storage.write_object(RESOURCE, "secret/b", "x").send_buffered().boxed().await;
    assert_eq!(write.unwrap_err().http_status_code(), Some(403));
    assert_eq!(bench.read("open").await.unwrap(), b"x");
}

#[tokio::test]
async fn what_is_not_here_says_so() {
    let bench = Bench::new().await;
    bench.place("a");

    assert_eq!(bench.ask("PATCH", OBJECT, &[], "{}").await.status, 501);
    assert_eq!(bench.ask("GET", &format!("/storage/v1/b/{BUCKET}/o"), &[], "").await.status, 501);
    assert_eq!(bench.ask("GET", "/elsewhere", &[], "").await.status, 404);
    let moved =
        bench.control.move_object().set_bucket(RESOURCE).set_source_object("a").set_destination_object("b");
    assert_eq!(code(&moved.send().await.unwrap_err()), Some(Code::Unimplemented));
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    let bench = Bench::new().await;
    bench.write("a", b"x".to_vec()).await;
    let folder = bench.server.root().to_owned();
    let address = bench.server.endpoint().strip_prefix("http://").unwrap().to_owned();

    drop(bench.server);

    assert!(!folder.exists());
    tokio::task::yield_now().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_requester_who_pays_must_be_told() {
    let bench = Bench::new().await;
    bench.place("a");
    let pays = v2::bucket::Billing { requester_pays: true };
    bench.server.store.state().bucket_mut(BUCKET).unwrap().resource.billing = Some(pays);
    let target = format!("{OBJECT}?alt=media");

    assert_eq!(bench.ask("GET", &target, &[], "").await.status, 400);
    assert_eq!(bench.ask("GET", &format!("{target}&userProject=mine"), &[], "").await.status, 200);
    let get = || bench.control.get_object().set_bucket(RESOURCE).set_object("a");
    assert_eq!(code(&get().send().await.unwrap_err()), Some(Code::InvalidArgument));
    get().with_quota_project("mine").send().await.unwrap();
}

#[tokio::test]
async fn contents_are_read_below_download_as_well() {
    let bench = Bench::new().await;
    bench.ask("POST", &format!("{INSERT}?uploadType=media&name=a"), &[], "contents").await;
    for prefix in ["", "/download"] {
        assert_eq!(bench.ask("GET", &format!("{prefix}{OBJECT}?alt=media"), &[], "").await.body, "contents");
    }
}
