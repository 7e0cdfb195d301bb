//! Streams that are whole, and every way in which they are not.

use std::io::Write as _;

use rekindle_engine::testing::MemoryStore;

use super::*;
use crate::dump::WriterOptions;
use crate::layout::{BackupUri, MANIFEST};
use crate::sealed;

fn chunk(kind: u8, path: &str, rest: &[u8]) -> Vec<u8> {
    let mut chunk = b"XBSTCK01\0".to_vec();
    chunk.push(kind);
    chunk.extend_from_slice(&u32::try_from(path.len()).unwrap().to_le_bytes());
    chunk.extend_from_slice(path.as_bytes());
    chunk.extend_from_slice(rest);
    chunk
}

fn payload(path: &str, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut rest = (bytes.len() as u64).to_le_bytes().to_vec();
    rest.extend_from_slice(&offset.to_le_bytes());
    rest.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    rest.extend_from_slice(bytes);
    chunk(b'P', path, &rest)
}

const CHECKPOINTS: &str =
    "backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 44880\nlast_lsn = 47289\nrecover_binlog_info = 0\n";

/// A hole, a file that is renamed and one that is removed: everything that MariaDB sends.
fn mbstream() -> Vec<u8> {
    [
        payload("ibdata1", 0, b"0123456789"),
        payload("./shop/a.ibd", 0, b"abc"),
        chunk(b'S', "./shop/a.ibd", &4096_u64.to_le_bytes()),
        payload("ibdata1", 10, b"more"),
        chunk(b'E', "ibdata1", b""),
        payload("./shop/a.ibd", 4096, b"def"),
        chunk(b'E', "./shop/a.ibd", b""),
        chunk(b'E', "empty", b""),
        chunk(b'R', "empty", &[5, 0, 0, 0, b'o', b't', b'h', b'e', b'r']),
        chunk(b'D', "other", b""),
        payload("xtrabackup_checkpoints", 0, CHECKPOINTS.as_bytes()),
        chunk(b'E', "xtrabackup_checkpoints", b""),
        payload("xtrabackup_binlog_info", 0, b"bin.000001\t936\t0-1-4\n"),
        chunk(b'E', "xtrabackup_binlog_info", b""),
    ]
    .concat()
}

fn watch(format: StreamFormat, bytes: &[u8], step: usize) -> Result<StreamContents, StreamError> {
    let mut watch = StreamWatch::new(format);
    for part in bytes.chunks(step) {
        watch.push(part)?;
    }
    watch.finish()
}

#[test]
fn a_stream_reads_the_same_however_it_is_cut() {
    let stream = mbstream();
    let whole = watch(StreamFormat::Mbstream, &stream, stream.len()).unwrap();
    assert_eq!((whole.files, whole.metadata.len()), (5, 2));
    for step in [1, 2, 3, 13, 14, 15, 64] {
        assert_eq!(watch(StreamFormat::Mbstream, &stream, step).unwrap(), whole, "{step}");
    }
    let metadata = Metadata::read(&whole).unwrap();
    assert_eq!((metadata.from_lsn, metadata.to_lsn, metadata.last_lsn), (0, 44880, 47289));
    assert_eq!(metadata.point.binlog_file.as_deref(), Some("bin.000001"));
    assert_eq!((metadata.point.binlog_position, metadata.point.gtid.as_deref()), (Some(936), Some("0-1-4")));
}

#[test]
fn a_stream_that_is_cut_anywhere_is_refused_unless_no_file_is_open() {
    let stream = mbstream();
    let mut whole = Vec::new();
    for cut in 0..=stream.len() {
        if watch(StreamFormat::Mbstream, &stream[..cut], 7).is_ok() {
            whole.push(cut);
        }
    }
    // Between two files a cut can't be seen in the stream itself: there the tool's own word decides, which comes last.
    assert_eq!(whole.last(), Some(&stream.len()));
    for cut in &whole[..whole.len() - 1] {
        let contents = watch(StreamFormat::Mbstream, &stream[..*cut], 7).unwrap();
        assert!(
            Metadata::read(&contents).is_err() || !contents.metadata.contains_key("xtrabackup_binlog_info")
        );
    }
}

#[test]
fn what_is_wrong_with_a_stream_is_said() {
    let wrong = |format, bytes: &[u8]| watch(format, bytes, 5).unwrap_err().to_string();
    let mut flipped = mbstream();
    flipped[14 + 7 + 20 + 2] ^= 1;
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, &flipped), @"the bytes of `ibdata1` before byte 51 of the stream do not match their checksum");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, b""), @"the stream has no file in it");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, b"ERROR 1045 (28000)"), @"at byte 10 of the stream: no chunk begins here");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, &mbstream()[..30]), @"the stream breaks off after 30 bytes");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, &payload("a", 0, b"x")), @"the stream ends before its file `a` does");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, &payload("../etc/cron.d/x", 0, b"x")), @"at byte 45 of the stream: the path `../etc/cron.d/x` leads elsewhere");
    insta::assert_snapshot!(wrong(StreamFormat::Mbstream, &payload("/etc/cron.d/x", 0, b"x")), @"at byte 45 of the stream: the path `/etc/cron.d/x` leads elsewhere");
    insta::assert_snapshot!(wrong(StreamFormat::Xbstream, &chunk(b'R', "a", b"")), @"at byte 10 of the stream: a chunk of the unknown type 0x52");
}

#[test]
fn a_sparse_chunk_of_percona_has_its_map_in_the_checksum() {
    let map: Vec<u8> = [5_u32, 4096].iter().flat_map(|number| number.to_le_bytes()).collect();
    let sparse = |crc: u32| {
        let mut rest = 1_u32.to_le_bytes().to_vec();
        rest.extend_from_slice(&3_u64.to_le_bytes());
        rest.extend_from_slice(&0_u64.to_le_bytes());
        rest.extend_from_slice(&crc.to_le_bytes());
        [chunk(b'S', "t.ibd", &[&rest[..], &map, b"abc"].concat()), chunk(b'E', "t.ibd", b"")].concat()
    };
    let good = sparse(crc32fast::hash(&[&map[..], b"abc"].concat()));
    assert_eq!(watch(StreamFormat::Xbstream, &good, 3).unwrap().payload_bytes, 3);
    assert!(watch(StreamFormat::Xbstream, &sparse(0), 3).is_err());
}

#[test]
fn a_gtid_set_of_several_lines_is_one() {
    let mut contents = StreamContents::default();
    contents.metadata.insert("xtrabackup_checkpoints".into(), CHECKPOINTS.into());
    contents.metadata.insert("mariadb_backup_binlog_info".into(), "bin.7\t4\ta:1-5,\nb:1-2\n".into());
    assert_eq!(Metadata::read(&contents).unwrap().point.gtid.as_deref(), Some("a:1-5,b:1-2"));
    contents.metadata.insert("xtrabackup_checkpoints".into(), "from_lsn = 0\nto_lsn = x\n".into());
    insta::assert_snapshot!(Metadata::read(&contents).unwrap_err(), @"the file `xtrabackup_checkpoints` of the stream has no to_lsn that can be read");
}

/// Archives the way `tar` does, which is on every machine.
fn tar() -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!(
        "rekindle-tar-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(folder.join("shop")).unwrap();
    std::fs::write(folder.join("ibdata1"), vec![7; 1300]).unwrap();
    std::fs::write(folder.join("shop").join("n".repeat(150)), b"abc").unwrap();
    std::fs::write(folder.join("empty"), b"").unwrap();
    let made = std::process::Command::new("tar")
        .args(["--create", "--format=gnu", "--sort=name", "--directory"])
        .arg(&folder)
        .arg(".")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    made.stdout
}

#[test]
fn an_archive_is_whole_only_with_its_two_empty_blocks() {
    let tar = tar();
    for step in [1, 511, 512, 4096, tar.len()] {
        let contents = watch(StreamFormat::Tar, &tar, step).unwrap();
        assert_eq!((contents.files, contents.payload_bytes), (3, 1303), "{step}");
    }
    let end = tar.chunks(512).rposition(|block| block.iter().any(|byte| *byte != 0)).unwrap() + 1;
    for blocks in 0..end + 2 {
        assert!(watch(StreamFormat::Tar, &tar[..blocks * 512], 512).is_err(), "{blocks}");
    }
    assert!(watch(StreamFormat::Tar, &tar[..(end + 2) * 512], 512).is_ok());
    let mut damaged = tar.clone();
    damaged[100] ^= 1;
    insta::assert_snapshot!(watch(StreamFormat::Tar, &damaged, 512).unwrap_err(), @"at byte 0 of the stream: no header of a file, or a damaged one");
    let mut more = tar;
    more.push(1);
    assert!(watch(StreamFormat::Tar, &more, 512).is_err());
}

fn object() -> (Vec<u8>, WrittenStream) {
    let options = WriterOptions { member_bytes: 64, threads: 2, ..WriterOptions::default() };
    let mut writer = StreamWriter::new(Vec::new(), StreamFormat::Mbstream, options).unwrap();
    mbstream().chunks(50).for_each(|part| writer.write(part).unwrap());
    writer.finish().unwrap()
}

#[test]
fn the_object_is_plain_gzip_of_the_exact_stream() {
    let (object, written) = object();
    let mut stream = Vec::new();
    let contents = check_stream(&object[..], StreamFormat::Mbstream, |part| stream.write_all(part)).unwrap();
    assert_eq!(stream, mbstream());
    assert_eq!(contents, written.contents);
    assert_eq!(written.object.size_bytes, object.len() as u64);
    assert_eq!(written.object.text_bytes, stream.len() as u64);
    assert!(written.object.members.len() > 5);
}

#[test]
fn every_flipped_byte_of_an_object_is_found() {
    let (object, written) = object();
    for at in 0..object.len() {
        let mut damaged = object.clone();
        damaged[at] ^= 0x10;
        // The time, the flags for the system and the like in a member's header mean nothing; the sha256 tells of them.
        if let Ok(contents) = check_stream(&damaged[..], StreamFormat::Mbstream, |_| Ok(())) {
            assert_eq!(contents, written.contents, "byte {at}");
        }
    }
    for cut in 0..object.len() {
        let read = check_stream(&object[..cut], StreamFormat::Mbstream, |_| Ok(()));
        let is_end_of_file = written.object.members.iter().any(|member| member.offset == cut as u64);
        assert!(read.is_err() || is_end_of_file, "cut at {cut}");
    }
}

fn uri(id: &str) -> BackupUri {
    BackupUri { store: "p".into(), cluster: "shop".into(), id: id.to_owned() }
}

fn publish(store: &MemoryStore, id: &str, from: u64, to: u64, base: Option<&str>) {
    let physical = serde_json::json!({
        "method": "hot", "format": "mbstream", "files": 1, "stream_bytes": 1, "from_lsn": from, "to_lsn": to, "last_lsn": to,
        "base": base.map(|base| serde_json::json!({ "id": base, "sha256": format!("sha of {base}") })),
        "lineage": "one", "inventory_is_whole": true
    });
    let manifest = serde_json::json!({
        "format": 1, "id": id, "kind": "physical", "cluster": "shop",
        "server": { "flavour": "mariadb", "version": "10.11.1", "version_comment": "", "server_id": 1, "log_bin": true },
        "started_at": "2026-11-22T15:00:00Z", "finished_at": "2026-11-22T15:00:00Z", "consistent_point": {},
        "objects": [{ "name": "base.mbstream.gz", "size_bytes": 1, "sha256": format!("sha of {id}"), "role": "files" }],
        "inventory": {}, "tools": [], "physical": physical
    });
    store.insert(&uri(id).key(MANIFEST).unwrap(), sealed::seal(&manifest).unwrap());
}

#[tokio::test]
async fn a_chain_is_loaded_the_full_backup_first() {
    let store = MemoryStore::new("memory:p");
    publish(&store, "a", 0, 10, None);
    publish(&store, "b", 10, 20, Some("a"));
    publish(&store, "c", 20, 30, Some("b"));
    let chain = load_chain(&store, &uri("c")).await.unwrap();
    assert_eq!(chain.iter().map(|link| link.uri.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_broken_chain_is_refused_by_name() {
    let store = MemoryStore::new("memory:p");
    publish(&store, "b", 10, 20, Some("a"));
    publish(&store, "c", 20, 30, Some("b"));
    let load = async |id: &str| load_chain(&store, &uri(id)).await.unwrap_err().to_string();
    insta::assert_snapshot!(load("c").await, @"backup://p/shop/b is an increment to `a`, which is not in this store");
    publish(&store, "a", 0, 9, None);
    insta::assert_snapshot!(load("c").await, @"backup://p/shop/b is an increment to `a`, which ends where this one does not begin");
    publish(&store, "ring", 5, 5, Some("ring"));
    insta::assert_snapshot!(load("ring").await, @"backup://p/shop/ring is an increment to `ring`, after 500 increments without a full backup");
    store.insert(&uri("a").key(MANIFEST).unwrap(), "{}");
    insta::assert_snapshot!(load("b").await, @"backup://p/shop/b is an increment to `a`, whose `manifest.json` is damaged: its bytes do not match its own checksum: it was damaged or changed after it was written");
}
