//! Lines that are typed on standard input, read so that waiting for one can be given up.

use std::io::{BufRead as _, Read as _};

use tokio::sync::mpsc;

/// Lines that may wait; what is typed beyond waits in the terminal.
const WAITING_LINES: usize = 8;
/// A longer line is none of ours: its pieces are taken for lines.
const LONGEST_LINE_BYTES: u64 = 4096;

/// What is typed, from the first question on.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    lines: Option<mpsc::Receiver<String>>,
}

impl Keyboard {
    /// Forgets what was typed before now: it can't be the answer to what is asked next.
    pub(super) fn forget(&mut self) {
        // A terminal that is gone tells so at the next line.
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        if let Some(lines) = &mut self.lines {
            while lines.try_recv().is_ok() {}
        }
    }

    /// Waits for a line; none when no more will come. May be dropped half way: nothing is lost by that.
    pub(super) async fn line(&mut self) -> Option<String> {
        self.lines.get_or_insert_with(read).recv().await
    }
}

/// Reads in a thread of its own: a read from a terminal can't be interrupted, and must not hold the end of the run up.
fn read() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(WAITING_LINES);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut bytes = Vec::new();
            match stdin.by_ref().take(LONGEST_LINE_BYTES).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.blocking_send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}
