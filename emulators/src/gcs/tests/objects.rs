//! Objects: what is written is read, found, joined, copied, changed, listed and deleted.

use futures_util::FutureExt as _;
use google_cloud_gax::error::rpc::Code;
use google_cloud_storage::builder_ext::RewriteObjectExt as _;
use google_cloud_storage::model::compose_object_request::SourceObject;
use google_cloud_storage::model::{Object, ObjectChecksums, UpdateObjectRequest};
use google_cloud_storage::model_ext::ReadRange;

use super::{Bench, MIB, RESOURCE, code, collect, noise};

#[tokio::test]
async fn what_is_written_is_read_whole_and_in_part() {
    let bench = Bench::new().await;
    let bytes = noise(3 * MIB);
    let written = bench
        .storage
        .write_object(RESOURCE, "a b/\u{e9}%2F", bytes::Bytes::from(bytes.clone()))
        .set_metadata([("backup", "one")])
        .set_content_type("application/gzip")
        .compute_md5()
        .send_buffered()
        .boxed()
        .await
        .unwrap();

    let reader = bench.storage.read_object(RESOURCE, "a b/\u{e9}%2F").send().await.unwrap();
    let told = reader.object();
    assert!(collect(reader).await.unwrap() == bytes);
    assert_eq!((told.generation, told.metageneration), (written.generation, 1));
    assert_eq!((told.size, told.content_type.as_str()), (3 * 1024 * 1024, "application/gzip"));
    assert_eq!(told.metadata["backup"], "one");
    assert_eq!(told.checksums, written.checksums);
    assert_eq!(told.etag, written.etag);

    for (range, wanted) in [
        (ReadRange::segment(1000, 500_000), &bytes[1000..501_000]),
        (ReadRange::offset(3_000_000), &bytes[3_000_000..]),
        (ReadRange::tail(7), &bytes[bytes.len() - 7..]),
    ] {
        let reader = bench.storage.read_object(RESOURCE, "a b/\u{e9}%2F").set_read_range(range);
        assert!(collect(reader.send().await.unwrap()).await.unwrap() == wanted);
    }
}

#[tokio::test]
async fn generations_rise_and_a_gone_one_is_not_read() {
    let bench = Bench::new().await;
    let first = bench.write("a", b"one".to_vec()).await;
    let second = bench.write("a", b"two".to_vec()).await;

    assert!(second.generation > first.generation);
    assert_eq!(bench.read("a").await.unwrap(), b"two");
    let old = bench.storage.read_object(RESOURCE, "a").set_generation(first.generation).send().await;
    assert_eq!(old.unwrap_err().http_status_code(), Some(404));
}

#[tokio::test]
async fn an_object_is_written_only_when_it_is_not_there() {
    let bench = Bench::new().await;
    let write = |text: &'static str| {
        bench.storage.write_object(RESOURCE, "a", text).set_if_generation_match(0).send_buffered().boxed()
    };
    write("one").await.unwrap();

    let refused = write("two").await.unwrap_err();

    assert_eq!(refused.http_status_code(), Some(412));
    assert_eq!(bench.read("a").await.unwrap(), b"one");
}

#[tokio::test]
async fn of_two_writers_at_once_one_wins() {
    let bench = Bench::new().await;
    let writes = (0..8).map(|_| {
        bench
            .storage
            .write_object(RESOURCE, "lock", "mine")
            .set_if_generation_match(0)
            .send_buffered()
            .boxed()
    });

    let outcomes = futures_util::future::join_all(writes).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_object_is_swapped_only_from_the_generation_that_was_seen() {
    let bench = Bench::new().await;
    let seen = bench.write("a", b"one".to_vec()).await.generation;
    let swap = |seen: i64| {
        bench.storage.write_object(RESOURCE, "a", "two").set_if_generation_match(seen).send_buffered().boxed()
    };

    swap(seen).await.unwrap();

    assert_eq!(swap(seen).await.unwrap_err().http_status_code(), Some(412));
    let delete =
        bench.control.delete_object().set_bucket(RESOURCE).set_object("a").set_if_generation_match(seen);
    assert_eq!(code(&delete.send().await.unwrap_err()), Some(Code::FailedPrecondition));
    assert_eq!(bench.read("a").await.unwrap(), b"two");
}

#[tokio::test]
async fn a_wrong_checksum_makes_no_object() {
    let bench = Bench::new().await;
    for size in [3, 3 * MIB] {
        let bytes = bytes::Bytes::from(noise(size));
        let write = bench.storage.write_object(RESOURCE, "a", bytes).with_known_crc32c(7_u32);

        let refused = write.with_resumable_upload_threshold(MIB).send_buffered().boxed().await.unwrap_err();

        assert_eq!(refused.http_status_code(), Some(400), "{size}");
        assert_eq!(bench.read("a").await.unwrap_err().http_status_code(), Some(404), "{size}");
    }
}

#[tokio::test]
async fn objects_are_composed_of_composed_ones() {
    let bench = Bench::new().await;
    let parts: Vec<Vec<u8>> = (0..3).map(|part| noise(100_000 + part)).collect();
    for (number, part) in parts.iter().enumerate() {
        bench.write(&format!("part-{number}"), part.clone()).await;
    }
    let compose = |to: &str, names: &[&str]| {
        let sources: Vec<_> = names.iter().map(|name| SourceObject::new().set_name(*name)).collect();
        let to = Object::new().set_name(to).set_bucket(RESOURCE).set_content_type("text/plain");
        bench.control.compose_object().set_destination(to).set_source_objects(sources)
    };
    let two = compose("two", &["part-0", "part-1"]).send().await.unwrap();
    let all = compose("all", &["two", "part-2"]).set_if_generation_match(0).send().await.unwrap();

    assert_eq!((two.component_count, all.component_count), (2, 3));
    let whole = parts.concat();
    assert!(bench.read("all").await.unwrap() == whole);
    let crc32c = u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &whole)).unwrap();
    assert_eq!(all.checksums, Some(ObjectChecksums::new().set_crc32c(crc32c)));
    assert_eq!(all.content_type, "text/plain");

    let wrong = compose("wrong", &["two"]).set_object_checksums(ObjectChecksums::new().set_crc32c(1_u32));
    assert_eq!(code(&wrong.send().await.unwrap_err()), Some(Code::InvalidArgument));
    let many = compose("many", &["two"; 33]).send().await.unwrap_err();
    assert_eq!(code(&many), Some(Code::InvalidArgument));
    let missing = compose("missing", &["two", "nothing"]).send().await.unwrap_err();
    assert_eq!(code(&missing), Some(Code::NotFound));
    assert_eq!(
        code(&compose("all", &["two"]).set_if_generation_match(0).send().await.unwrap_err()),
        Some(Code::FailedPrecondition)
    );
}

#[tokio::test]
async fn a_large_object_is_copied_in_several_calls() {
    let bench = Bench::new().await;
    bench.server.rewrite_at_most(1024 * 1024);
    let bytes = noise(2 * MIB + 5);
    let written = bench.write("a", bytes.clone()).await;
    let rewrite = bench
        .control
        .rewrite_object()
        .set_source_bucket(RESOURCE)
        .set_source_object("a")
        .set_destination_bucket(RESOURCE)
        .set_destination_name("b")
        .set_if_generation_match(0);

    let begun = rewrite.clone().send().await.unwrap();
    assert!(!begun.done && begun.total_bytes_rewritten == 1024 * 1024);
    assert_eq!(bench.read("b").await.unwrap_err().http_status_code(), Some(404));
    let copied = rewrite.clone().rewrite_until_done().await.unwrap();

    assert!(bench.read("b").await.unwrap() == bytes);
    assert_eq!(copied.checksums, written.checksums);
    let foreign = rewrite.clone().set_destination_name("c").set_rewrite_token(begun.rewrite_token);
    assert_eq!(code(&foreign.send().await.unwrap_err()), Some(Code::InvalidArgument));
    assert_eq!(code(&rewrite.send().await.unwrap_err()), Some(Code::FailedPrecondition));
}

#[tokio::test]
async fn metadata_changes_by_a_mask() {
    let bench = Bench::new().await;
    let written = bench.write("a", b"x".to_vec()).await;
    let update = |paths: &[&str]| {
        let wanted = Object::new()
            .set_name("a")
            .set_bucket(RESOURCE)
            .set_metadata([("verified", "content")])
            .set_content_type("text/plain");
        let mut request = UpdateObjectRequest::new().set_object(wanted);
        request.update_mask.get_or_insert_default().paths = paths.iter().map(ToString::to_string).collect();
        bench.control.update_object().with_request(request)
    };

    let updated = update(&["metadata.verified"]).set_if_metageneration_match(1).send().await.unwrap();

    assert_eq!(updated.metadata["verified"], "content");
    assert_eq!(updated.content_type, "application/octet-stream");
    assert_eq!((updated.generation, updated.metageneration), (written.generation, 2));
    let stale = update(&["metadata"]).set_if_metageneration_match(1).send().await.unwrap_err();
    assert_eq!(code(&stale), Some(Code::FailedPrecondition));
    assert_eq!(code(&update(&["size"]).send().await.unwrap_err()), Some(Code::InvalidArgument));
    assert_eq!(code(&update(&[]).send().await.unwrap_err()), Some(Code::InvalidArgument));
}

#[tokio::test]
async fn a_long_list_comes_in_pages_in_the_order_of_names() {
    let bench = Bench::new().await;
    let mut names: Vec<String> = (0..1200).map(|number| format!("list/{}", number * 7919 % 1200)).collect();
    for name in &names {
        bench.place(name);
    }
    bench.place("other");
    names.sort();
    let list = bench.control.list_objects().set_parent(RESOURCE).set_prefix("list/");

    let first = list.clone().send().await.unwrap();
    let second = list.clone().set_page_token(first.next_page_token.clone()).send().await.unwrap();

    assert_eq!((first.objects.len(), second.objects.len()), (1000, 200));
    assert_eq!(second.next_page_token, "");
    let listed: Vec<String> =
        first.objects.into_iter().chain(second.objects).map(|object| object.name).collect();
    assert!(listed == names);
    let some = list.clone().set_page_size(2).set_lexicographic_start("list/77").send().await.unwrap();
    let some: Vec<&str> = some.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(some, ["list/77", "list/770"]);
    assert_eq!(
        code(&list.clone().set_page_token("!").send().await.unwrap_err()),
        Some(Code::InvalidArgument)
    );
    assert_eq!(code(&list.set_page_size(-1).send().await.unwrap_err()), Some(Code::InvalidArgument));
}

#[tokio::test]
async fn a_delimiter_folds_names_across_pages() {
    let bench = Bench::new().await;
    for name in ["a/1", "a/2", "b", "c/1", "c/2", "d"] {
        bench.place(name);
    }
    let list = bench.control.list_objects().set_parent(RESOURCE).set_delimiter("/").set_page_size(2);
    let (mut token, mut pages) = (String::new(), Vec::new());
    loop {
        let page = list.clone().set_page_token(token).send().await.unwrap();
        let names = page.prefixes.into_iter().chain(page.objects.into_iter().map(|object| object.name));
        pages.push(names.collect::<Vec<_>>());
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }

    assert_eq!(pages, [["a/", "b"], ["c/", "d"]]);
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let bench = Bench::new().await;
    bench.write("a", b"x".to_vec()).await;
    let delete = || bench.control.delete_object().set_bucket(RESOURCE).set_object("a").send();

    delete().await.unwrap();

    assert_eq!(code(&delete().await.unwrap_err()), Some(Code::NotFound));
    let get = bench.control.get_object().set_bucket(RESOURCE).set_object("a").send().await;
    assert_eq!(code(&get.unwrap_err()), Some(Code::NotFound));
    assert_eq!(std::fs::read_dir(bench.server.root()).unwrap().count(), 0);
}
