//! The standard output of a child: receives its stream, yields lines for the log and a bounded copy.

use std::io::{BufRead, BufReader, Read};

/// How much is kept for outputs.
const KEEP_BYTES: usize = 64 * 1024;
/// How long a line of the log gets before it is cut in two.
const LINE_BYTES: u64 = 8 * 1024;
/// How much of the standard error goes into outputs and messages.
pub(super) const STDERR_TAIL_BYTES: usize = 4 * 1024;

/// What was kept of a child's standard output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its beginning, less trailing newlines.
    pub(super) text: String,
    /// Whether there was more.
    pub(super) truncated: bool,
}

/// Reads a stream to its end, hands every line to `log`, and keeps the beginning.
///
/// # Errors
/// What the stream says.
pub(super) fn follow(source: impl Read, mut log: impl FnMut(&str)) -> std::io::Result<Kept> {
    let mut source = BufReader::new(source);
    let mut kept = Vec::new();
    let mut truncated = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if source.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let room = KEEP_BYTES - kept.len();
        truncated |= line.len() > room;
        kept.extend_from_slice(&line[..line.len().min(room)]);
        log(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
    }
    Ok(Kept { text: trimmed(&String::from_utf8_lossy(&kept)), truncated })
}

/// Gives the end of a text, at most `limit` bytes, from a character's beginning.
pub(super) fn tail(text: &str, limit: usize) -> &str {
    let text = text.trim_end_matches(['\n', '\r']);
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    &text[start..]
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(bytes: &[u8]) -> (Kept, Vec<String>) {
        let mut lines = Vec::new();
        let kept = follow(bytes, |line| lines.push(line.to_owned())).unwrap();
        (kept, lines)
    }

    #[test]
    fn lines_are_logged_and_trailing_newlines_dropped() {
        let (kept, lines) = followed(b"one\n\ntwo\n\n");
        assert_eq!(kept, Kept { text: "one\n\ntwo".to_owned(), truncated: false });
        assert_eq!(lines, ["one", "", "two", ""]);
    }

    #[test]
    fn a_stream_without_end_is_cut_and_says_so() {
        let (kept, lines) = followed(&vec![b'x'; KEEP_BYTES + 1]);
        assert_eq!(kept.text.len(), KEEP_BYTES);
        assert!(kept.truncated);
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn a_stream_that_just_fits_is_whole() {
        assert!(!followed(&vec![b'x'; KEEP_BYTES]).0.truncated);
    }

    #[test]
    fn a_tail_never_splits_a_character() {
        assert_eq!(tail("a€b\n", 3), "b");
        assert_eq!(tail("a€b\n", 4), "€b");
        assert_eq!(tail("short", 100), "short");
    }
}
