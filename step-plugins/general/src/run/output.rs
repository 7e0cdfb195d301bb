//! The standard output of a child: receives its stream, yields lines for the log and a bounded copy.

use std::io::{BufRead, BufReader, Read};

use rekindle_engine::host::Masker;

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

/// Reads a stream to its end, hands every line to `log`, and keeps the beginning. Where it cuts, `masker` keeps a
/// secret from being cut in two: it is hidden by whoever takes the pieces, and they know whole secrets only.
///
/// # Errors
/// What the stream says.
pub(super) fn follow(source: impl Read, masker: &Masker, mut log: impl FnMut(&str)) -> std::io::Result<Kept> {
    let mut source = BufReader::new(source);
    let mut kept = Vec::new();
    let mut truncated = false;
    let mut piece = Vec::new();
    let mut held_back = String::new();
    loop {
        piece.clear();
        if source.by_ref().take(LINE_BYTES).read_until(b'\n', &mut piece)? == 0 {
            break;
        }
        let room = KEEP_BYTES - kept.len();
        truncated |= piece.len() > room;
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
        held_back.push_str(&String::from_utf8_lossy(&piece));
        if piece.ends_with(b"\n") {
            log(held_back.trim_end_matches(['\n', '\r']));
            held_back.clear();
        } else {
            let whole = masker.without_cut_end(&held_back).len();
            log(&held_back[..whole]);
            held_back.drain(..whole);
        }
    }
    if !held_back.is_empty() {
        log(&held_back);
    }
    let text = String::from_utf8_lossy(&kept);
    let text = if truncated { masker.without_cut_end(&text) } else { &text };
    Ok(Kept { text: trimmed(text), truncated })
}

/// Gives the end of a text, at most `limit` bytes, from a character's beginning and not from inside a secret.
pub(super) fn tail<'t>(text: &'t str, limit: usize, masker: &Masker) -> &'t str {
    let text = text.trim_end_matches(['\n', '\r']);
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    if start == 0 { text } else { masker.without_cut_start(&text[start..]) }
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(bytes: &[u8]) -> (Kept, Vec<String>) {
        let mut lines = Vec::new();
        let kept = follow(bytes, &Masker::default(), |line| lines.push(line.to_owned())).unwrap();
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
    fn a_secret_across_a_cut_is_in_one_piece() {
        let masker = Masker::default();
        masker.learn(&rekindle_engine::host::Secret::new("hunter2-and-more"));
        for before in [LINE_BYTES - 5, LINE_BYTES - 16, KEEP_BYTES as u64 - 3] {
            let text = format!(
                "{}hunter2-and-more{}",
                "x".repeat(usize::try_from(before).unwrap()),
                "y".repeat(9_000)
            );
            let mut lines = Vec::new();
            let kept = follow(text.as_bytes(), &masker, |line| lines.push(masker.mask(line))).unwrap();
            let (said, kept) = (lines.concat(), masker.mask(&kept.text));
            assert!(said.contains("x***y") && !said.contains('h'), "{before}");
            assert!(!kept.contains('h'), "{before}");
        }
        let stderr = format!("hunter2-and-more{}", "y".repeat(100));
        assert_eq!(tail(&stderr, 108, &masker), "y".repeat(100));
    }

    #[test]
    fn a_stream_that_just_fits_is_whole() {
        assert!(!followed(&vec![b'x'; KEEP_BYTES]).0.truncated);
    }

    #[test]
    fn a_tail_never_splits_a_character() {
        assert_eq!(tail("a€b\n", 3, &Masker::default()), "b");
        assert_eq!(tail("a€b\n", 4, &Masker::default()), "€b");
        assert_eq!(tail("short", 100, &Masker::default()), "short");
    }
}
