//! How many rows an `INSERT … VALUES` holds.

use memchr::{memchr, memchr2};

use super::Escapes;

/// Bytes at which the count stops to look: quotes, parentheses, and what may begin a comment.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let marks = b"'\"`()#-/";
    let mut at = 0;
    while at < marks.len() {
        special[marks[at] as usize] = true;
        at += 1;
    }
    special
};

/// Counts the tuples after `VALUES`: parentheses that open at the outermost level, outside strings and comments.
pub(super) fn count_rows(values: &[u8], escapes: Escapes) -> u64 {
    let (mut rows, mut depth, mut at) = (0, 0_u32, 0);
    while let Some(&byte) = values.get(at) {
        at += 1;
        if !SPECIAL[usize::from(byte)] {
            continue;
        }
        match byte {
            b'(' => {
                rows += u64::from(depth == 0);
                depth += 1;
            }
            b')' => depth = depth.saturating_sub(1),
            b'\'' | b'"' | b'`' => at = quote_end(values, at, byte, escapes.backslash_in(byte)),
            // A minus before a number, a division: most of them begin no comment.
            b'-' if values.get(at) != Some(&b'-') => {}
            _ => at = comment_end(values, at - 1),
        }
    }
    rows
}

fn quote_end(text: &[u8], mut at: usize, quote: u8, backslash: bool) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let found = if backslash { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
        match found {
            None => return text.len(),
            Some(length) if rest[length] == quote => return at + length + 1,
            Some(length) => at += length + 2,
        }
    }
}

/// Gives where a comment that begins at `at` ends, or the next byte when it is none.
fn comment_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let line = rest[0] == b'#' || rest.starts_with(b"--") && rest.get(2).is_none_or(|byte| *byte <= b' ');
    if line {
        return memchr(b'\n', rest).map_or(text.len(), |length| at + length + 1);
    }
    if rest.starts_with(b"/*") {
        return memchr::memmem::find(rest, b"*/").map_or(text.len(), |length| at + length + 2);
    }
    at + 1
}
