//! Brings the copy of a journal up to date: the store's batches and the file on this machine in, the bytes that the
//! file lacks out, proven by the chain.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::super::chain::Position;
use super::super::file::{damage, sync_parent};
use super::super::line::LineError;
use super::super::{JournalError, RunDirectory};
use super::events::EVENTS;
use crate::host::{Key, ObjectStore};

/// How many batches are read at once.
const AT_ONCE: usize = 16;

/// What the copy lacks.
pub(super) struct News {
    /// How much of the file stays: its whole lines.
    stays_bytes: u64,
    /// What comes after.
    bytes: Vec<u8>,
}

/// Compares store and copy.
///
/// # Errors
/// When the store lacks what the copy has: somebody has removed events that were confirmed. When a batch is damaged,
/// or one is missing between others.
pub(super) async fn news(store: &Arc<dyn ObjectStore>, run: &RunDirectory) -> Result<News, JournalError> {
    let path = run.journal_path();
    let copy = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(JournalError::io(&path, "read")(error)),
    };
    let refuse = |(line, error)| damage(&path, line, error);
    let have = Position::START.read(&copy).map_err(refuse)?;
    let whole = &copy[..have.whole_bytes];
    let batches = list(store, run).await?;
    // From the last batch of which the copy has at least the beginning: it may lack the rest.
    let first = batches.iter().rposition(|(seq, _)| *seq < have.end.next_seq).unwrap_or(0);
    let batches = batches.get(first..).unwrap_or_default();
    let begins = batches.first().map_or(1, |(seq, _)| *seq);
    let (at, kept_bytes) = line_start(whole, begins).ok_or_else(|| lost(store, run, have.end))?;
    let bytes = read_all(store, run, at, batches).await?;
    let beyond = &whole[kept_bytes..];
    let Some(new) = bytes.strip_prefix(beyond) else { return Err(lost(store, run, have.end)) };
    Ok(News { stays_bytes: whole.len() as u64, bytes: new.to_vec() })
}

/// Writes what is new, durable before it returns.
pub(super) fn add(run: &RunDirectory, news: &News) -> Result<(), JournalError> {
    let path = run.journal_path();
    let is_new = !path.exists();
    if news.bytes.is_empty() && is_new {
        return Ok(());
    }
    let mut file =
        OpenOptions::new().append(true).create(true).open(&path).map_err(JournalError::io(&path, "open"))?;
    file.set_len(news.stays_bytes).map_err(JournalError::io(&path, "truncate"))?;
    file.write_all(&news.bytes).map_err(JournalError::io(&path, "write"))?;
    file.sync_all().map_err(JournalError::io(&path, "sync"))?;
    if is_new {
        sync_parent(&path).map_err(JournalError::io(&path, "sync"))?;
    }
    Ok(())
}

/// Lists the batches by the number of their first record.
async fn list(store: &Arc<dyn ObjectStore>, run: &RunDirectory) -> Result<Vec<(u64, Key)>, JournalError> {
    let prefix = format!("{EVENTS}{}/", run.id());
    let objects = store.list(&prefix).await?;
    let numbered = objects.into_iter().filter_map(|object| {
        let name = object.key.as_str().strip_prefix(&prefix)?.strip_suffix(".jsonl")?;
        Some((name.parse().ok()?, object.key))
    });
    Ok(numbered.collect())
}

/// Gives the place of record `seq` in proven lines, and where its line begins.
fn line_start(whole: &[u8], seq: u64) -> Option<(Position, usize)> {
    let before = usize::try_from(seq.checked_sub(1)?).ok()?;
    let lengths = whole.split_inclusive(|byte| *byte == b'\n').take(before).map(<[u8]>::len);
    let start = lengths.sum();
    let lines = Position::START.read(&whole[..start]).ok()?;
    (lines.end.next_seq == seq).then_some((lines.end, start))
}

/// Reads batches, several at once, and proves that they follow each other from `at`.
async fn read_all(
    store: &Arc<dyn ObjectStore>,
    run: &RunDirectory,
    at: Position,
    batches: &[(u64, Key)],
) -> Result<Vec<u8>, JournalError> {
    let path = run.journal_path();
    let (mut position, mut all) = (at, Vec::new());
    for some in batches.chunks(AT_ONCE) {
        let read = read_some(store, some).await?;
        for ((seq, key), bytes) in some.iter().zip(read) {
            let wrong = |why: &str| {
                let why = format!("`{key}` in {} {why}", store.url());
                damage(&path, position.next_seq, LineError::Damaged(why))
            };
            if *seq != position.next_seq {
                return Err(wrong("comes where other events are missing"));
            }
            let lines = position.read(&bytes).map_err(|(line, error)| damage(&path, line, error))?;
            if lines.whole_bytes != bytes.len() || bytes.is_empty() {
                return Err(wrong("does not end with a whole line"));
            }
            position = lines.end;
            all.extend_from_slice(&bytes);
        }
    }
    Ok(all)
}

/// Reads some batches at once; what is gone meanwhile has no bytes.
async fn read_some(store: &Arc<dyn ObjectStore>, some: &[(u64, Key)]) -> Result<Vec<Bytes>, JournalError> {
    let mut reads = JoinSet::new();
    for (place, (_, key)) in some.iter().cloned().enumerate() {
        let store = Arc::clone(store);
        reads.spawn(async move { (place, super::read(store.as_ref(), &key).await) });
    }
    let mut found = vec![Bytes::new(); some.len()];
    for (place, read) in reads.join_all().await {
        found[place] = read?.unwrap_or_default();
    }
    Ok(found)
}

fn lost(store: &Arc<dyn ObjectStore>, run: &RunDirectory, end: Position) -> JournalError {
    JournalError::Lost {
        run: run.id().clone(),
        store: store.url().to_owned(),
        last: end.next_seq.saturating_sub(1),
    }
}
