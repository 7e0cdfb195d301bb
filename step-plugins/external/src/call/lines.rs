//! Standard output of a plugin, line by line: receives a stream, yields bounded lines on a bounded queue.

use std::io::{BufRead, BufReader, Read};

use tokio::sync::mpsc;

use super::LINE_BYTES;

/// How many lines may wait to be read; a plugin that is faster waits.
const WAITING_LINES: usize = 64;

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line, without its newline.
    Line(String),
    /// A line that goes on and on; nothing more is read.
    TooLong,
    /// Bytes that are no UTF-8; nothing more is read.
    NotUtf8,
    /// The stream broke.
    Broken(String),
}

/// Reads in a thread of its own, until the stream's end, the first unreadable line, or nobody listens any more.
pub(super) fn listen(stdout: Box<dyn Read + Send>) -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(WAITING_LINES);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        while let Some(heard) = next(&mut stdout) {
            let last = !matches!(heard, Heard::Line(_));
            if sender.blocking_send(heard).is_err() || last {
                return;
            }
        }
    });
    receiver
}

fn next(stdout: &mut impl BufRead) -> Option<Heard> {
    let mut line = Vec::new();
    let limit = LINE_BYTES as u64 + 1;
    if let Err(error) = stdout.by_ref().take(limit).read_until(b'\n', &mut line) {
        return Some(Heard::Broken(error.to_string()));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.is_empty() {
        return None;
    } else if line.len() > LINE_BYTES {
        return Some(Heard::TooLong);
    }
    Some(String::from_utf8(line).map_or(Heard::NotUtf8, Heard::Line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> Vec<Heard> {
        let mut lines = listen(Box::new(std::io::Cursor::new(bytes.to_vec())));
        std::iter::from_fn(|| lines.blocking_recv()).collect()
    }

    fn line(text: &str) -> Heard {
        Heard::Line(text.to_owned())
    }

    #[test]
    fn lines_come_without_their_newlines_also_the_last_one() {
        assert_eq!(heard(b"a\n\nb"), [line("a"), line(""), line("b")]);
        assert_eq!(heard(b""), []);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let longest = "x".repeat(LINE_BYTES);
        assert_eq!(heard(format!("{longest}\nb\n").as_bytes()), [line(&longest), line("b")]);
        assert_eq!(heard(format!("{longest}x\nb\n").as_bytes()), [Heard::TooLong]);
        assert_eq!(heard(&vec![b'x'; 10 << 20]), [Heard::TooLong]);
    }

    #[test]
    fn bytes_that_are_no_text_end_the_reading() {
        assert_eq!(heard(b"a\n\xff\nb\n"), [line("a"), Heard::NotUtf8]);
    }
}
