//! What may go wrong at this machine's end, and with what was kept.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use rekindle_engine::host::ChecksumAlgorithm::{self, Crc32c, Crc64Nvme};
use rekindle_engine::host::{Checksum, Key, ObjectInfo, UploadSource as _};
use rekindle_engine::step::ErrorClass;
use rekindle_engine::testing;
use serde_json::json;

use super::{LocalFile, State, Sums, Watched, differs_from_checksum, told};
use crate::reading::Meter;
use crate::testing::Shop;

#[test]
fn what_the_system_says_comes_with_what_to_do() {
    let says = |kind: io::ErrorKind| told("write", Path::new("back/dump.sql"), &io::Error::from(kind));
    insta::assert_snapshot!(says(io::ErrorKind::StorageFull), @"failed to write `back/dump.sql`: no storage space");
    for (kind, help) in [
        (io::ErrorKind::StorageFull, "free space there"),
        (io::ErrorKind::PermissionDenied, "let the user that runs rekindle do that"),
        (io::ErrorKind::NotFound, "check the path"),
    ] {
        let error = says(kind);
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(error.help.unwrap().contains(help), "{kind}");
    }
    assert_eq!(says(io::ErrorKind::TimedOut).class, ErrorClass::Transient);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_has_no_end() {
    let (shop, folder) = (Shop::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("dump.sql");
    std::fs::write(&path, "0123456789").unwrap();
    let test = shop.context();
    let source = Watched::new(LocalFile::open(&path).unwrap(), Meter::new(&test.cx, 10));
    assert_eq!(source.read(0..5).await.unwrap().collect(5).await.unwrap(), b"01234");
    assert_eq!(source.read(5..10).await.unwrap().collect(5).await.unwrap(), b"56789");
    assert_eq!(source.whole().unwrap().size_bytes, 10);

    std::fs::write(&path, "0123456789 and more").unwrap();
    source.read(0..5).await.unwrap().collect(5).await.unwrap();
    source.read(5..10).await.unwrap().collect(5).await.unwrap_err();
    let told = source.failure().unwrap();
    assert_eq!(told.class, ErrorClass::Transient);
    assert!(told.message.contains("changed while it was uploaded"), "{told}");
}

#[tokio::test]
async fn only_what_was_kept_of_the_same_transfer_is_given_back() {
    let shop = Shop::new();
    let checkpoint = json!({ "of": "primary/a", "state": { "upload_id": "7" } });
    let test = testing::context(&shop.world).checkpoint(checkpoint).build();
    assert_eq!(State::new(&test.cx, "primary/a").earlier(), Some(&json!({ "upload_id": "7" })));
    assert_eq!(State::new(&test.cx, "primary/b").earlier(), None);
}

#[test]
fn another_size_or_checksum_is_another_object() {
    let mut sums = Sums::default();
    sums.update(b"123456789");
    let whole = sums.finish();
    let key = Key::new("a").unwrap();
    let info = |size_bytes, algorithm: ChecksumAlgorithm, value: &str| ObjectInfo {
        checksum: Some(Checksum { algorithm, value: value.to_owned() }),
        ..ObjectInfo::new(key.clone(), size_bytes, Timestamp::UNIX_EPOCH)
    };
    assert_eq!(differs_from_checksum(&info(9, Crc64Nvme, "rosUhgp5mIg="), &whole), None);
    assert_eq!(differs_from_checksum(&info(9, Crc32c, "4waSgw=="), &whole), None);
    assert!(differs_from_checksum(&info(8, Crc32c, "4waSgw=="), &whole).is_some());
    let told = differs_from_checksum(&info(9, Crc32c, "AAAAAA=="), &whole).unwrap();
    assert_eq!(told, "the object has the CRC32C AAAAAA==, the file 4waSgw==");
}
