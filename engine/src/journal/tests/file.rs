use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{clock, events, owner};
use crate::journal::file::read_back;
use crate::journal::{Event, FileJournal, Journal as _, JournalError, Record};

struct Journal {
    _folder: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Record>,
}

async fn written() -> Journal {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.jsonl");
    let journal = FileJournal::create(&path, clock()).unwrap();
    let events = events();
    let mut records = journal.append(&events[..1]).await.unwrap();
    records.extend(journal.append(&events[1..]).await.unwrap());
    let bytes = fs::read(&path).unwrap();
    Journal { _folder: folder, path, bytes, records }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

fn reread(path: &Path, bytes: &[u8]) -> Result<Vec<Record>, JournalError> {
    read_back(path, bytes).map(|found| found.records)
}

#[tokio::test]
async fn records_read_back_as_they_were_appended() {
    let journal = written().await;
    assert_eq!(journal.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let opened = FileJournal::open(&journal.path, clock()).unwrap();
    assert_eq!(opened.read().await.unwrap(), journal.records);
}

#[tokio::test]
async fn the_format_on_disk_is_one_chained_line_a_record() {
    let journal = written().await;
    let text = String::from_utf8(journal.bytes).unwrap();
    insta::assert_snapshot!(text, @r#"
    {"sum":"d8d739af956a3a60","seq":1,"at":"2026-11-22T15:35:00Z","event":{"type":"run_started","format":2,"run":"20261122T153500Z-1f9c","plan_hash":"00","runbook":"backup","runbook_version":"1.0.0","environment":"dev","runner":{"pid":1,"started_ticks":1,"boot_id":"boot","host":"db-1","version":"0.1.0"}}}
    {"sum":"c34af8e47e2b83ad","seq":2,"at":"2026-11-22T15:35:00Z","event":{"type":"step_started","step":"dump","attempt":1}}
    {"sum":"a94572194a0722ee","seq":3,"at":"2026-11-22T15:35:00Z","event":{"type":"step_succeeded","step":"dump","outputs":{"text":"é\n\"quoted\"","size":1}}}
    {"sum":"93168c4a16546a3f","seq":4,"at":"2026-11-22T15:35:00Z","event":{"type":"run_finished","outcome":"succeeded"}}
    "#);
}

#[tokio::test]
async fn a_journal_cut_anywhere_is_recovered_up_to_its_last_whole_line() {
    let journal = written().await;
    for length in 0..journal.bytes.len() {
        let cut = &journal.bytes[..length];
        let whole = newlines(cut);
        assert_eq!(reread(&journal.path, cut).unwrap(), journal.records[..whole], "cut at {length}");
    }
}

#[tokio::test]
async fn a_journal_with_one_byte_changed_is_refused_by_line_or_recovered_as_torn() {
    let journal = written().await;
    let last = journal.bytes.len() - 1;
    for position in 0..journal.bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xff, journal.bytes[position] ^ b'\n'] {
            let mut bytes = journal.bytes.clone();
            bytes[position] ^= flip;
            if bytes == journal.bytes {
                continue;
            }
            match reread(&journal.path, &bytes) {
                Err(JournalError::Damaged { line, .. }) => {
                    let expected = 1 + newlines(&journal.bytes[..position]) as u64;
                    assert_eq!(line, expected, "byte {position} ^ {flip:#x}");
                }
                // Without its newline the last line can't be told from a torn one.
                Ok(records) if position == last => assert_eq!(records, journal.records[..3]),
                other => panic!("byte {position} ^ {flip:#x} was read as {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_lost_repeated_or_moved_line_is_refused() {
    let journal = written().await;
    let lines: Vec<_> = journal.bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for order in [&[0, 2, 3][..], &[0, 1, 1, 2, 3], &[0, 2, 1, 3], &[1, 2, 3], &[0, 1, 2, 3, 0]] {
        let bytes: Vec<u8> = order.iter().flat_map(|index| lines[*index].iter().copied()).collect();
        assert!(
            matches!(reread(&journal.path, &bytes), Err(JournalError::Damaged { .. })),
            "lines in order {order:?} were read"
        );
    }
}

#[tokio::test]
async fn writing_goes_on_after_a_torn_line_was_cut_off() {
    let journal = written().await;
    fs::write(&journal.path, &journal.bytes[..journal.bytes.len() - 7]).unwrap();
    let opened = FileJournal::open(&journal.path, clock()).unwrap();
    let added = opened.append(&events()[3..]).await.unwrap();
    assert_eq!(added, journal.records[3..]);
    assert_eq!(fs::read(&journal.path).unwrap(), journal.bytes);
}

#[tokio::test]
async fn looking_at_a_torn_journal_leaves_it_as_it_is() {
    let journal = written().await;
    let torn = &journal.bytes[..journal.bytes.len() - 7];
    fs::write(&journal.path, torn).unwrap();
    assert!(FileJournal::look(&journal.path).unwrap().torn_bytes > 0);
    assert_eq!(fs::read(&journal.path).unwrap(), torn);
}

#[tokio::test]
async fn damage_is_refused_by_name_and_left_as_it_is() {
    let journal = written().await;
    let mut bytes = journal.bytes.clone();
    bytes[10] ^= 1;
    fs::write(&journal.path, &bytes).unwrap();
    let error = FileJournal::open(&journal.path, clock()).err().unwrap().to_string();
    let error = error.replace(&journal.path.display().to_string(), "JOURNAL");
    insta::assert_snapshot!(error, @"the journal JOURNAL is damaged at line 1: its checksum does not fit what stands there and in the lines before it");
    assert_eq!(fs::read(&journal.path).unwrap(), bytes);
}

#[tokio::test]
async fn a_newer_format_is_refused_whatever_its_events_look_like() {
    use crate::journal::line::{Sum, encode};
    let journal = written().await;
    let (line, _) = encode(Sum::START, &journal.records[0]).unwrap();
    let text = String::from_utf8(line).unwrap();
    let newer = text.replace("\"format\":2", "\"format\":3").replace("\"runbook\":", "\"book\":");
    // Signed by hand, as the newer version would have done it.
    let rest = newer[25..].trim_end();
    let sum = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!("0000000000000000{rest}")));
    let error =
        reread(&journal.path, format!("{{\"sum\":\"{}\"{rest}\n", &sum[..16]).as_bytes()).unwrap_err();
    assert!(matches!(error, JournalError::NewerFormat { found: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_journal_of_format_1_is_read_and_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.jsonl");
    fs::write(&path, include_str!("format-1.jsonl")).unwrap();
    let journal = FileJournal::open(&path, clock()).unwrap();
    let before = journal.read().await.unwrap();
    assert_eq!(before.len(), 20);
    assert!(matches!(before[0].event, Event::RunStarted { format: 1, .. }));
    assert!(matches!(&before[10].event, Event::StepResolved { by, .. } if by == "kim"));
    journal.append(&[Event::RunResumed { runner: owner(4).runner, fence: None }]).await.unwrap();
    assert_eq!(FileJournal::open(&path, clock()).unwrap().read().await.unwrap().len(), 21);
}

#[tokio::test]
async fn a_journal_is_never_made_over_another_one() {
    let journal = written().await;
    assert!(matches!(FileJournal::create(&journal.path, clock()), Err(JournalError::Io { .. })));
    assert_eq!(fs::read(&journal.path).unwrap(), journal.bytes);
}

#[tokio::test]
async fn nothing_is_written_after_a_failed_write() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.jsonl");
    let journal = FileJournal::create(&path, clock())
        .unwrap()
        .writing_to(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let full = journal.append(&events()).await.unwrap_err();
    assert!(matches!(full, JournalError::Io { operation: "write", .. }), "{full}");
    let stopped = journal.append(&events()).await.unwrap_err();
    assert!(matches!(stopped, JournalError::Stopped { .. }), "{stopped}");
}
