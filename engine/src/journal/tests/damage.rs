//! A journal of a long run, cut, flipped, reordered and joined: what is read is always a beginning of what was
//! written, or nothing.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::{ProptestConfig, any};
use proptest::sample::Index;
use proptest::{prop_assert, proptest};
use serde_json::json;

use super::{StandingClock, clock, events, owner};
use crate::host::Clock as _;
use crate::journal::file::read_back;
use crate::journal::line::{LineError, Sum, decode, encode};
use crate::journal::{
    Event, FileJournal, Journal as _, JournalError, Outcome, Record, Resolution, StepFinding,
};
use crate::step::StepError;

/// What a recovery with everything in it writes, with words from all over the world.
fn long_run() -> Vec<Event> {
    let mut all = events();
    all.truncate(1);
    for number in 0..8_u32 {
        let step = || format!("step-{number}").into();
        let error = StepError::transient("es ist — wie gesagt — \"kaputt\": ключ 鍵 🔑\n\tat line 1\\2")
            .help("nochmal");
        all.push(Event::StepStarted { step: step(), attempt: 1 });
        all.push(Event::StepCheckpoint {
            step: step(),
            value: json!({ "bytes": number * 4096, "naïve": [null, true] }),
        });
        all.push(Event::StepWarned {
            step: step(),
            text: "ein Umlaut: ü, und ein Zeilenende:\r\n".to_owned(),
        });
        let retry_at = Some(StandingClock.now());
        all.push(Event::StepFailed { step: step(), error, retry_at });
        all.push(Event::StepSucceeded {
            step: step(),
            outputs: json!({ "uri": format!("backup://s/{number}"), "😀": 1.5 }),
        });
    }
    let step = || "step-8".into();
    all.extend([
        Event::StepStarted { step: step(), attempt: 1 },
        Event::RunResumed { runner: owner(2).runner, fence: Some(7) },
        Event::StepProbed {
            step: step(),
            finding: StepFinding::Partial { found: "3 of 9 tables".to_owned() },
        },
        Event::RunPaused { step: step(), question: "a part is there: go on?".to_owned() },
        Event::RunResumed { runner: owner(3).runner, fence: Some(8) },
        Event::StepResolved {
            step: step(),
            resolution: Resolution::Rerun,
            by: "Åse".to_owned(),
            why: "I looked at it".to_owned(),
        },
        Event::StepStarted { step: step(), attempt: 2 },
        Event::CancelRequested { by: "SIGINT".to_owned() },
        Event::StepCancelled { step: step() },
        Event::StepSkipped { step: "step-9".into() },
        Event::StepBlocked { step: "step-10".into(), by: step() },
        Event::RunFinished { outcome: Outcome::Cancelled },
    ]);
    all
}

/// A journal as bytes, with what it says and the sum before each line.
struct Written {
    records: Vec<Record>,
    lines: Vec<Vec<u8>>,
    sums: Vec<Sum>,
}

impl Written {
    fn new() -> Self {
        let mut written = Self { records: Vec::new(), lines: Vec::new(), sums: vec![Sum::START] };
        for (seq, event) in (1..).zip(long_run()) {
            let record = Record { seq, at: StandingClock.now(), event };
            let (line, sum) = encode(*written.sums.last().unwrap(), &record).unwrap();
            written.records.push(record);
            written.lines.push(line);
            written.sums.push(sum);
        }
        assert_eq!(written.records.len(), 53);
        written
    }

    fn bytes(&self) -> Vec<u8> {
        self.lines.concat()
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Record>, JournalError> {
    read_back(&PathBuf::from("journal.jsonl"), bytes).map(|found| found.records)
}

/// Gives the line that a journal is refused for.
#[track_caller]
fn refused_at(bytes: &[u8]) -> u64 {
    match read(bytes) {
        Err(JournalError::Damaged { line, .. }) => line,
        other => panic!("read as {other:?}"),
    }
}

#[test]
fn cut_at_any_byte_it_reads_up_to_its_last_whole_line() {
    let written = Written::new();
    let bytes = written.bytes();
    let whole = |length: usize| bytes[..length].split(|byte| *byte == b'\n').count() - 1;
    for length in 0..=bytes.len() {
        // What stands in whole lines was read for shorter cuts: only the end is new.
        let first = whole(length).saturating_sub(1);
        let start: usize = written.lines[..first].iter().map(Vec::len).sum();
        let mut sum = written.sums[first];
        let mut read = first;
        for line in bytes[start..length].split_inclusive(|byte| *byte == b'\n') {
            let Some(content) = line.strip_suffix(b"\n") else { break };
            let (record, next) = decode(sum, read as u64 + 1, content).unwrap();
            assert_eq!(record, written.records[read]);
            (sum, read) = (next, read + 1);
        }
        assert_eq!(read, whole(length), "cut at {length}");
    }
}

#[tokio::test]
async fn cut_in_its_last_lines_it_goes_on_as_a_whole_journal() {
    let written = Written::new();
    let (bytes, folder) = (written.bytes(), tempfile::tempdir().unwrap());
    let path = folder.path().join("journal.jsonl");
    let tail: usize = written.lines.iter().rev().take(2).map(Vec::len).sum();
    for length in bytes.len() - tail..=bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let before = read(&bytes[..length]).unwrap();
        let journal = FileJournal::open(&path, clock()).unwrap();
        let added = journal.append(&[Event::CancelRequested { by: "kim".to_owned() }]).await.unwrap();
        let after = FileJournal::look(&path).unwrap();
        assert_eq!(
            (after.torn_bytes, &after.records[..before.len()]),
            (0, before.as_slice()),
            "cut at {length}"
        );
        assert_eq!(after.records[before.len()..], added, "cut at {length}");
    }
}

#[test]
fn with_any_byte_of_any_line_changed_that_line_is_refused() {
    let written = Written::new();
    for (index, line) in written.lines.iter().enumerate() {
        let content = &line[..line.len() - 1];
        for position in 0..content.len() {
            let byte = content[position];
            // A bit, a letter's case, the top bit, all bits, and what would end the line or a text in it.
            for flip in [0x01, 0x20, 0x80, 0xff, byte ^ b'\n', byte ^ b'\r', byte ^ b'"', byte] {
                let mut changed = content.to_vec();
                changed[position] ^= flip;
                if changed == content {
                    continue;
                }
                // A newline ends the line early: its first half is what is read next.
                let first = changed.split(|byte| *byte == b'\n').next().unwrap();
                let found = decode(written.sums[index], index as u64 + 1, first);
                assert!(
                    matches!(found, Err(LineError::Damaged(_))),
                    "line {index}, byte {position} ^ {flip:#x}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn lines_that_are_lost_repeated_or_moved_are_refused_where_that_shows() {
    let written = Written::new();
    let end = written.lines.len() - 1;
    for index in 0..end {
        let mut lost = written.lines.clone();
        lost.remove(index);
        assert_eq!(refused_at(&lost.concat()), index as u64 + 1);
        let mut repeated = written.lines.clone();
        repeated.insert(index, written.lines[index].clone());
        assert_eq!(refused_at(&repeated.concat()), index as u64 + 2);
        let mut moved = written.lines.clone();
        moved.swap(index, index + 1);
        assert_eq!(refused_at(&moved.concat()), index as u64 + 1);
    }
}

#[test]
fn whole_lines_missing_at_the_end_are_an_earlier_crash() {
    // Nothing in a file tells that it was longer: see the decision on damaged journals.
    let written = Written::new();
    for kept in 0..written.lines.len() {
        assert_eq!(read(&written.lines[..kept].concat()).unwrap(), written.records[..kept]);
    }
}

#[test]
fn other_line_ends_joined_journals_and_foreign_text_are_refused() {
    let written = Written::new();
    let bytes = written.bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let next = written.lines.len() as u64 + 1;
    assert_eq!(refused_at(text.replace('\n', "\r\n").as_bytes()), 1);
    assert_eq!(refused_at(format!("\u{feff}{text}").as_bytes()), 1);
    assert_eq!(refused_at(&[bytes.as_slice(), &bytes].concat()), next);
    assert_eq!(refused_at(format!("{text}\n").as_bytes()), next);
    assert_eq!(refused_at(format!("{text}{{}}\n").as_bytes()), next);
    assert_eq!(refused_at(format!("\n{text}").as_bytes()), 1);
    assert_eq!(refused_at(b"{\"seq\":1}\n"), 1);
}

#[test]
fn damage_is_told_with_its_line_and_what_is_wrong_with_it() {
    let written = Written::new();
    let mut bytes = written.bytes();
    let in_line_3 = written.lines[..2].concat().len() + 100;
    bytes[in_line_3] ^= 1;
    let error = read_back(Path::new("runs/x/journal.jsonl"), &bytes).unwrap_err();
    insta::assert_snapshot!(error, @"the journal runs/x/journal.jsonl is damaged at line 3: its checksum does not fit what stands there and in the lines before it");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_its_bytes_only_a_beginning_is_ever_read(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let written = Written::new();
        let mut bytes = written.bytes();
        for (place, byte, what) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => {
                    bytes.remove(at);
                }
                _ => bytes.truncate(at),
            }
        }
        if let Ok(records) = read(&bytes) {
            prop_assert!(written.records.starts_with(&records));
        }
    }
}
