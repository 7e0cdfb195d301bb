//! Text in a picture: what XML allows, and how wide it is at most.

use crate::plan::style::printable;

/// Writes text so that it is nothing but text (XML 1.0, section 2.4), and holds only characters that XML allows
/// (section 2.2).
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

/// How wide a character is at most, in parts of the font's size. Monospace fonts are 0.5 to 0.61 wide; what is
/// not ASCII may come from any font.
const ASCII_EM: f64 = 0.62;
const OTHER_EM: f64 = 1.1;

/// Gives how wide a line is at most.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em: f64 = text.chars().map(|c| if c.is_ascii() { ASCII_EM } else { OTHER_EM }).sum();
    em * size
}

/// Cuts a line to a width; what is left out is in the tooltip.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let room = most - OTHER_EM * size;
    let mut used = 0.0;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            used += if c.is_ascii() { ASCII_EM } else { OTHER_EM } * size;
            used <= room
        })
        .collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("<script>alert('a' & \"b\")</script>\u{0}\u{ffff}"),
            "&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;\\u{0}\u{fffd}"
        );
    }

    #[test]
    fn a_line_is_cut_to_its_width() {
        assert_eq!(fitted("restore", 10.0, 50.0), "restore");
        assert_eq!(fitted("reset-replication[eu-west-1]", 10.0, 100.0), "reset-replicat…");
        for text in ["ééééééééééééééééé", "🦀🦀🦀🦀🦀🦀🦀🦀🦀", "abcdefghijklmnopqrst"]
        {
            assert!(width(&fitted(text, 10.0, 70.0), 10.0) <= 70.0, "{text}");
        }
    }
}
