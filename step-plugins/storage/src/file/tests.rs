//! What is particular to folders: links, permissions, room, leftovers, URLs.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{Body, ObjectStore as _, PutMode, StoreError, StoreErrorKind};

use super::{FileStore, FileStores};
use crate::contract::{Store, key, names, put, store_contract, text};

fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(FileStore::new(folder.path())), folder)
}

store_contract!(store());

async fn try_put(store: &Store, name: &str, mode: PutMode) -> Result<(), StoreError> {
    store.put(&key(name), Body::from_bytes("x"), mode).await.map(|_| ())
}

fn files_below(folder: &Path) -> Vec<String> {
    let found = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\\n"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_is_a_path_below_the_root_that_only_the_owner_reads() {
    let (store, folder) = store();
    put(&store, "backups/shop/x.gz", "hi").await;
    let file = folder.path().join("backups/shop/x.gz");
    assert_eq!(std::fs::read(&file).unwrap(), b"hi");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let above = folder.path().join("backups");
    assert_eq!(std::fs::metadata(above).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_link_that_leads_outside_is_not_followed() {
    let (store, folder) = store();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();

    for mode in [PutMode::IfAbsent, PutMode::Replace] {
        let error = try_put(&store, "out/x", mode).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        assert!(error.why.contains("`out` is a symbolic link"), "{error}");
    }
    for name in ["out/secret", "file"] {
        assert_eq!(store.get(&key(name), None).await.err().unwrap().kind, StoreErrorKind::Invalid, "{name}");
        assert_eq!(store.head(&key(name)).await.unwrap_err().kind, StoreErrorKind::Invalid, "{name}");
    }
    assert!(store.delete(&key("out/secret")).await.is_err());
    assert!(names(&store, "").await.is_empty());
    // Replacing a link replaces the link, not what it points at.
    put(&store, "file", "mine").await;
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"s");
    assert_eq!(files_below(outside.path()), ["secret"]);
}

#[tokio::test]
async fn the_root_may_be_a_link() {
    let real = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(real.path(), folder.path().join("root")).unwrap();
    let store: Store = Arc::new(FileStore::new(folder.path().join("root")));
    put(&store, "a", "1").await;
    assert_eq!(std::fs::read(real.path().join("a")).unwrap(), b"1");
}

#[tokio::test]
async fn unfinished_objects_can_not_be_named_as_keys() {
    let (store, _folder) = store();
    for name in [".partial/x", ".partial", ".partial-check-1"] {
        assert_eq!(try_put(&store, name, PutMode::Replace).await.unwrap_err().kind, StoreErrorKind::Invalid);
        assert_eq!(store.delete(&key(name)).await.unwrap_err().kind, StoreErrorKind::Invalid);
    }
    put(&store, "a/.partial/x", "1").await;
    assert_eq!(names(&store, "").await, ["a/.partial/x"]);
}

#[tokio::test]
async fn an_object_and_a_folder_can_not_share_a_name() {
    let (store, _folder) = store();
    put(&store, "a/b", "1").await;
    put(&store, "c", "1").await;
    for mode in [PutMode::IfAbsent, PutMode::Replace] {
        assert_eq!(try_put(&store, "a", mode).await.unwrap_err().kind, StoreErrorKind::Invalid);
        assert_eq!(try_put(&store, "c/d", mode).await.unwrap_err().kind, StoreErrorKind::Invalid);
    }
    assert_eq!(store.head(&key("a")).await.unwrap(), None);
    store.delete(&key("a")).await.unwrap();
    assert_eq!(names(&store, "").await, ["a/b", "c"]);
}

#[tokio::test]
async fn a_name_that_is_too_long_for_the_file_system_is_invalid() {
    let (store, _folder) = store();
    let error = try_put(&store, &"n".repeat(300), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn failed_writes_leave_no_file_behind() {
    let (store, folder) = store();
    let (sender, body) = Body::channel();
    sender.send(Bytes::from_static(b"half")).await.unwrap();
    drop(sender);
    store.put(&key("a/b"), body, PutMode::Replace).await.unwrap_err();
    put(&store, "k", "1").await;
    try_put(&store, "k", PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(files_below(folder.path()), ["k"]);
    assert!(!folder.path().join("a").exists());
}

#[tokio::test]
async fn a_put_whose_caller_is_gone_makes_no_object() {
    let (store, folder) = store();
    let (sender, body) = Body::channel();
    let writer = Arc::clone(&store);
    let put = tokio::spawn(async move { writer.put(&key("k"), body, PutMode::IfAbsent).await });
    for _ in 0..16 {
        sender.send(Bytes::from_static(b"part")).await.unwrap();
    }
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    sender.finish().await.unwrap();
    // The thread that writes sees it at the end of the stream; nothing tells us when, so look until it has.
    for _ in 0..10_000 {
        if files_below(folder.path()).is_empty() {
            return;
        }
        assert_eq!(store.head(&key("k")).await.unwrap(), None);
    }
    panic!("the unfinished object is still there");
}

#[tokio::test]
async fn deleting_the_last_object_removes_its_empty_folders() {
    let (store, folder) = store();
    put(&store, "a/b/c", "1").await;
    put(&store, "a/d", "1").await;
    store.delete(&key("a/b/c")).await.unwrap();
    assert!(!folder.path().join("a/b").exists());
    store.delete(&key("a/d")).await.unwrap();
    assert!(!folder.path().join("a").exists());
    assert!(folder.path().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_survive_deletions_that_remove_their_folder() {
    let (store, _folder) = store();
    let other = Arc::clone(&store);
    let deletions = tokio::spawn(async move {
        for _ in 0..200 {
            other.delete(&key("a/b/one")).await.unwrap();
            put(&other, "a/b/one", "1").await;
        }
    });
    for _ in 0..200 {
        put(&store, "a/b/two", "2").await;
        store.delete(&key("a/b/two")).await.unwrap();
    }
    deletions.await.unwrap();
    assert_eq!(names(&store, "").await, ["a/b/one"]);
}

#[tokio::test]
async fn a_missing_root_is_named_and_made_by_the_first_write_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("not/yet");
    let store: Store = Arc::new(FileStore::new(&root));
    store.check_writable().await.unwrap();
    assert_eq!(store.head(&key("k")).await.unwrap(), None);
    let error = store.list("").await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("failed to list file://{0}: the folder `{0}` does not exist", root.display())
    );
    assert!(!folder.path().join("not").exists());
    put(&store, "k", "1").await;
    assert_eq!(text(&store, "k").await, "1");
}

#[tokio::test]
async fn a_root_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("file");
    std::fs::write(&root, "x").unwrap();
    let store: Store = Arc::new(FileStore::new(&root));
    for error in [
        store.check_writable().await.unwrap_err(),
        try_put(&store, "k", PutMode::Replace).await.unwrap_err(),
        store.list("").await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        assert!(error.why.ends_with("is not a folder"), "{error}");
    }
}

#[tokio::test]
async fn only_old_unfinished_objects_are_removed() {
    let (store, folder) = store();
    put(&store, "k", "1").await;
    let partial = folder.path().join(".partial");
    for (name, age_hours) in [("1-1", 30), ("1-2", 1)] {
        let file = std::fs::File::create(partial.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs((100 - age_hours) * 3600)).unwrap();
    }
    let told = store.list_unfinished().await.unwrap().into_iter().map(|one| one.name);
    assert_eq!(told.collect::<Vec<_>>(), [".partial/1-1", ".partial/1-2"]);
    let a_day_before = Timestamp::from_second((100 - 24) * 3600).unwrap();
    assert_eq!(store.remove_abandoned(a_day_before).await.unwrap().len(), 1);
    assert_eq!(files_below(&partial), ["1-2"]);
    assert_eq!(names(&store, "").await, ["k"]);
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let (store, folder) = store();
    put(&store, "k", &"x".repeat(8 << 20)).await;
    let body = store.get(&key("k"), None).await.unwrap();
    std::fs::File::options().write(true).open(folder.path().join("k")).unwrap().set_len(10).unwrap();
    assert!(body.collect(16 << 20).await.is_err());
}

/// A mount that goes away with this guard.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: mounting a tmpfs needs root and CAP_SYS_ADMIN");
        }
        mounted.then(|| Self(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_leaves_nothing() {
    let Some(mount) = Mount::new("size=1m") else { return };
    let store: Store = Arc::new(FileStore::new(mount.0.path()));
    put(&store, "small", "1").await;
    let too_large = Body::from_bytes(vec![1_u8; 2 << 20]);
    let error = store.put(&key("large"), too_large, PutMode::Replace).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
    assert_eq!(files_below(mount.0.path()), ["small"]);
    put(&store, "next", &"2".repeat(500_000)).await;
}

#[tokio::test]
async fn a_full_disk_is_not_writable() {
    let Some(mount) = Mount::new("size=64k") else { return };
    let store: Store = Arc::new(FileStore::new(mount.0.path()));
    put(&store, "all", &"x".repeat(64 << 10)).await;
    assert_eq!(store.check_writable().await.unwrap_err().kind, StoreErrorKind::Full);
}

#[tokio::test]
async fn a_read_only_file_system_is_denied() {
    let Some(mount) = Mount::new("size=64k,ro") else { return };
    let store: Store = Arc::new(FileStore::new(mount.0.path()));
    assert_eq!(store.check_writable().await.unwrap_err().kind, StoreErrorKind::Denied);
    assert_eq!(try_put(&store, "k", PutMode::Replace).await.unwrap_err().kind, StoreErrorKind::Denied);
}

fn open(url: &str) -> Result<String, String> {
    let store = FileStores::new("/base").at(&StoreConfig::at(url));
    store.map(|store| store.url().to_owned()).map_err(|error| error.to_string())
}

#[test]
fn file_urls_are_absolute_or_relative_to_the_base() {
    for (url, wanted) in [
        ("file:///var/backups", "file:///var/backups"),
        ("file:/var/backups/", "file:///var/backups/"),
        ("file:backups", "file:///base/backups"),
        ("file:./a/./b", "file:///base/a/b"),
        ("file:///with%20blank/100%25", "file:///with blank/100%"),
    ] {
        assert_eq!(open(url).as_deref(), Ok(wanted), "{url}");
    }
}

#[test]
fn other_urls_are_refused_with_what_to_write() {
    let mut errors = String::new();
    for url in ["ftp://bucket/x", "backups", "file:", "file://", "file://host/x", "file:/100%", "file:/%00"] {
        errors.push_str(&open(url).unwrap_err());
        errors.push('\n');
    }
    insta::assert_snapshot!(errors, @r"
    failed to open ftp://bucket/x: the scheme `ftp:` is not known; `file:` and `s3:` are
    failed to open backups: it has no scheme; write `file:///absolute/folder` or `file:relative/folder`
    failed to open file:: it names no folder
    failed to open file://: `` stands where a host does; an absolute folder has three slashes: `file:///…`
    failed to open file://host/x: `host` stands where a host does; an absolute folder has three slashes: `file:///…`
    failed to open file:/100%: `%` must be followed by two hexadecimal digits; a plain one is `%25`
    failed to open file:/%00: its path is not UTF-8 text
    ");
}
