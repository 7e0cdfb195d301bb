//! Compression on a few threads, in order, with bounded memory.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A gzip member.
pub(super) struct Compressed {
    pub(super) bytes: Vec<u8>,
    /// Of the bytes, lowercase hex.
    pub(super) sha256: String,
}

struct Job {
    text: Vec<u8>,
    reply: SyncSender<io::Result<Compressed>>,
}

/// Turns texts into gzip members; gives them back in the order they were handed in, each with its `T`.
///
/// At most twice as many texts as threads are held.
pub(super) struct Pool<T> {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    pending: VecDeque<(T, Receiver<io::Result<Compressed>>)>,
}

impl<T> Pool<T> {
    pub(super) fn start(threads: usize, level: u32) -> io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..threads)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::Builder::new().name("compress".to_owned()).spawn(move || work(&queue, level))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { jobs: Some(jobs), threads, pending: VecDeque::new() })
    }

    /// Hands a text in. Gives back the oldest member when too many are under way.
    pub(super) fn push(&mut self, tag: T, text: Vec<u8>) -> io::Result<Option<(T, Compressed)>> {
        let (reply, answer) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { text, reply }).map_err(|_| gone())?;
        self.pending.push_back((tag, answer));
        if self.pending.len() >= 2 * self.threads.len() { self.pop() } else { Ok(None) }
    }

    /// Waits for the oldest member; nothing when none is under way.
    pub(super) fn pop(&mut self) -> io::Result<Option<(T, Compressed)>> {
        let Some((tag, answer)) = self.pending.pop_front() else { return Ok(None) };
        let member = answer.recv().map_err(|_| gone())??;
        Ok(Some((tag, member)))
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic there was seen as a missing answer here.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, level: u32) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Nobody waits any more when the dump has failed: the answer may go nowhere.
        let _ = job.reply.send(compress(&job.text, level));
    }
}

/// One member; its header has no time and no name, so the same text gives the same bytes.
fn compress(text: &[u8], level: u32) -> io::Result<Compressed> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3 + 64), Compression::new(level));
    encoder.write_all(text)?;
    let bytes = encoder.finish()?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    Ok(Compressed { bytes, sha256 })
}

fn gone() -> io::Error {
    io::Error::other("the compressing threads are gone")
}
