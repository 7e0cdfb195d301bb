//! A bounded copy of a stream: receives bytes, keeps the first and the last 64 KiB.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How much is kept of each end of the stream.
const KEEP_BYTES: usize = 64 * 1024;

/// The first and last bytes of a stream, and how many are missing between them.
#[derive(Debug, Default)]
struct Ends {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    skipped_bytes: u64,
    done: bool,
}

impl Ends {
    fn push(&mut self, bytes: &[u8]) {
        let (to_head, to_tail) = bytes.split_at(bytes.len().min(KEEP_BYTES - self.head.len()));
        self.head.extend_from_slice(to_head);
        self.tail.extend(to_tail);
        let excess = self.tail.len().saturating_sub(KEEP_BYTES);
        self.tail.drain(..excess);
        self.skipped_bytes += excess as u64;
    }

    fn text(&self) -> String {
        let (left, right) = self.tail.as_slices();
        if self.skipped_bytes == 0 {
            // Decoded in one go: a character may lie across the seam.
            return String::from_utf8_lossy(&[&self.head, left, right].concat()).into_owned();
        }
        format!(
            "{}\n[… {} bytes left out …]\n{}",
            String::from_utf8_lossy(&self.head),
            self.skipped_bytes,
            String::from_utf8_lossy(&[left, right].concat())
        )
    }
}

/// Drains a stream in a thread of its own, so that whoever writes it never waits.
#[derive(Debug, Clone)]
pub(super) struct Drain {
    shared: Arc<(Mutex<Ends>, Condvar)>,
}

impl Drain {
    pub(super) fn start(mut source: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Ends::default()), Condvar::new()));
        let drain = Self { shared: Arc::clone(&shared) };
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = match source.read(&mut buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => 0,
                };
                let mut ends = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                if count == 0 {
                    ends.done = true;
                    shared.1.notify_all();
                    return;
                }
                ends.push(&buffer[..count]);
            }
        });
        drain
    }

    /// Gives what was kept, at the stream's end or after `limit`: a process that left the group may hold
    /// the stream open for ever.
    pub(super) fn finish(&self, limit: Duration) -> String {
        let ends = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.1.wait_timeout_while(ends, limit, |ends| !ends.done);
        waited.unwrap_or_else(PoisonError::into_inner).0.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut ends = Ends::default();
        ends.push(&vec![b'a'; KEEP_BYTES - 1]);
        // Three bytes, of which one fits into the head.
        ends.push("€".as_bytes());
        assert_eq!(ends.text(), format!("{}€", "a".repeat(KEEP_BYTES - 1)));
    }

    #[test]
    fn the_middle_of_a_long_stream_is_counted_and_left_out() {
        let mut ends = Ends::default();
        for part in [b'A', b'B', b'C'] {
            ends.push(&vec![part; KEEP_BYTES]);
        }
        let text = ends.text();
        assert!(text.starts_with("AAA") && text.ends_with("CCC") && !text.contains('B'), "{}", text.len());
        assert!(text.contains("[… 65536 bytes left out …]"));
    }
}
